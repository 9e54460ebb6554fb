"""Which photographs are taken, and what is said of them."""

from __future__ import annotations

import io
import struct
import zlib

import photographs
import pytest
from PIL import Image

FOLDER = "gcompris/src/activities/categorization/resource/images/tools"
README = """\
Copyright: Somebody
Source: https://example.org/one
License: CC0-1.0
Files:
hammer1.webp
hammer2.webp

Copyright: Another
License: CC-BY-SA 4.0
Files: wrench.webp

Copyright: A Third
License: CC-BY-3.0
Comments: made smaller
Files: pencil.webp sickle.webp
"""


def picture(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(file, "WEBP", lossless=True)
    return file.getvalue()


def resource(files: dict[str, bytes]) -> bytes:
    """A Qt resource file of one folder, as `rcc` writes its first version."""
    parts = FOLDER.split("/")
    names, content, nodes = b"", b"", []

    def name(text: str) -> int:
        nonlocal names
        begin = len(names)
        names += struct.pack(">HI", len(text), 0) + text.encode("utf-16-be")
        return begin

    nodes.append(struct.pack(">IHII", 0, 2, 1, 1))
    for depth, part in enumerate(parts):
        children = len(files) if depth == len(parts) - 1 else 1
        nodes.append(struct.pack(">IHII", name(part), 2, children, depth + 2))
    for text, data in files.items():
        packed = struct.pack(">I", len(data)) + zlib.compress(data)
        nodes.append(struct.pack(">IHII", name(text), 1, 0, len(content)))
        content += struct.pack(">I", len(packed)) + packed
    tree = b"".join(nodes)
    head = struct.pack(">4sIIII", b"qres", 1, 20, 20 + len(tree), 20 + len(tree) + len(content))
    return head + tree + content + names


def test_those_are_taken_that_ask_at_most_for_attribution(tmp_path):
    files = {"README": README.encode(), "notes.webp": picture("black")}
    for name in ("hammer1", "hammer2", "wrench", "pencil", "sickle"):
        files[f"{name}.webp"] = picture("red" if name == "hammer2" else "blue")
    (tmp_path / "tools.rcc").write_bytes(resource(files))
    taken = list(photographs.photographs(tmp_path))
    # Nothing is said of what a pencil would be among the tools.
    assert [each.names for each in taken] == [["hammer"], ["hammer"], ["sickle"]]
    assert [each.maker for each in taken] == ["Somebody", "Somebody", "A Third"]
    assert [each.licence for each in taken] == ["CC0-1.0", "CC0-1.0", "CC-BY-3.0"]
    assert [each.source for each in taken] == ["https://example.org/one"] * 2 + [""]
    assert taken[1].image.getpixel((4, 3)) == (255, 0, 0, 255)
    assert taken[0].is_left_out == taken[1].is_left_out


def test_what_is_no_resource_file_is_refused():
    with pytest.raises(ValueError, match="not a Qt resource file"):
        photographs.unpack(b"PK\x03\x04" + bytes(40))
