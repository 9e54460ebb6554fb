"""Dream the gallery, samples/gallery/: all of it, or the entries that are named.

    python scripts/gallery.py [NAME…] [--resume] [--page] [--ordinary FOLDER]
    python scripts/gallery.py --check NAME… [--ordinary FOLDER]

An entry is a file NAME.toml. Its first comment says in a sentence what is seen and names the
command that makes it; the rest are the options of that command. Beside it lies what is shown:
NAME.webp, or for a film with sound NAME.mp4 and a silent part of it as NAME.webp. `made.json` holds
the digest of each, and the page README.md is written from all of this.

The dreams themselves, without loss, stay in out/gallery. --resume goes on with a run that was
stopped; --page writes the page alone. --check dreams an entry anew and compares it with what is
there; digests are equal on the same kind of CPU with the same versions, as all is dreamed on one
thread. Entries whose command names `--ordinary` need the folder of a classifier, as
`scripts/canvas_study.py` does, and are left out without it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import cached_property
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

from dreamvid.device import torch_environment

os.environ.update(torch_environment())  # as the command line does

import numpy as np
import scenes
import torch
from canvas_study import classifier_of
from PIL import Image

from dreamvid.cli.preset_files import find_preset
from dreamvid.config import COMMANDS, WriteConfig, build_config
from dreamvid.film.recipe import METADATA_KEY
from dreamvid.making import make
from dreamvid.media import SoundSource, VideoWriter
from dreamvid.media.reader import VideoReader
from dreamvid.media.still import read_image
from dreamvid.types import Frame

ROOT = Path(__file__).resolve().parent.parent
GALLERY = ROOT / "samples" / "gallery"
MASTERS, SCENES = Path("out/gallery"), Path("out/scenes")  # from the project's folder
LOSSLESS = {"codec": "ffv1", "pix_fmt": "yuv444p"}
QUALITY, FILM_QUALITY = 85, 50  # of WebP, 0 to 100
SOUND_CRF = 27.0
PART_BEGIN, PART_SECONDS, PART_RATE = 0.4, 4, 12
"""Of a film with sound, the part on the page: the share of the rest that is before it, and its
frames a second."""
TITLES = {
    "video": "Clips",
    "zoom": "Zooms and loops",
    "music": "Music",
    "image": "Pictures",
}
"""The parts of the page, by use."""


@dataclass(frozen=True)
class Entry:
    """One dream of the gallery."""

    toml: Path

    @property
    def name(self) -> str:
        return self.toml.stem

    @cached_property
    def _head(self) -> list[str]:
        """The paragraphs of the comment that the file begins with."""
        lines = re.match(r"(?:#.*\n)*", self.toml.read_text(encoding="utf-8"))
        assert lines
        return re.sub(r"^# ?", "", lines[0], flags=re.M).strip("\n").split("\n\n")

    @property
    def line(self) -> str:
        """What is seen, in a sentence."""
        return " ".join(self._head[0].split())

    @property
    def commands(self) -> list[str]:
        """What is typed to make it; the last is the program's own command."""
        return self._head[1].splitlines()

    @cached_property
    def _words(self) -> argparse.Namespace:
        parser = argparse.ArgumentParser()
        for name in ("program", "command", "source", "out"):
            parser.add_argument(name)
        for name in ("--config", "--preset"):
            parser.add_argument(name)
        return parser.parse_args(shlex.split(self.commands[-1]))

    @property
    def command(self) -> str:
        return str(self._words.command)

    @property
    def source(self) -> str:
        """IN, as the command names it, from the project's folder."""
        return str(self._words.source)

    @property
    def is_ordinary(self) -> bool:
        """Whether its guide is a classifier that was never hardened."""
        return "--ordinary" in self.toml.read_text(encoding="utf-8")

    @property
    def config(self) -> Any:
        """Its options."""
        preset = self._words.preset and find_preset(self._words.preset)
        return build_config(COMMANDS[self.command], file=self.toml, preset=preset)

    @property
    def use(self) -> str:
        """The part of the page where it stands."""
        return "music" if getattr(self.config, "music", None) else self.command

    @property
    def master(self) -> Path:
        """The dream without loss."""
        return MASTERS / f"{self.name}{'.png' if self.command == 'image' else '.mkv'}"

    @property
    def shown(self) -> Path:
        """What the page shows."""
        return self.toml.with_suffix(".webp")

    @property
    def film(self) -> Path | None:
        """The film with sound; None for what is silent."""
        return self.toml.with_suffix(".mp4") if self.use == "music" else None


@dataclass(frozen=True)
class Made:
    """What is known of a dream."""

    digest: str
    """Hash over all frames, as `--json` prints it; of a picture, over its pixels."""
    mean: float
    """Mean pixel value, 0 to 255."""
    encoding: float
    """Mean difference from it that encoding what is shown makes, in levels of 255."""
    frames: int
    seconds: float
    """Processor time of the dream."""
    cpu: str
    versions: str


def entries() -> list[Entry]:
    """All of the gallery, by name."""
    return [Entry(path) for path in sorted(GALLERY.glob("*.toml"))]


# Dreaming


def dream(entry: Entry, master: Path, ordinary: Path | None, resume: bool = False) -> Made:
    """Dream an entry into the lossless file `master`; one that is whole is kept with `resume`."""
    kept = master.with_suffix(".json")
    if resume and kept.exists():
        return Made(**json.loads(kept.read_text("utf-8")))
    draw_scene(entry.source)
    parts: dict[str, Any] = {}
    if entry.is_ordinary:
        assert ordinary is not None
        objective = classifier_of(ordinary)
        parts["objectives"] = [objective(prompt) for prompt in entry.config.prompt]
    master.parent.mkdir(parents=True, exist_ok=True)
    begun = time.process_time()
    is_picture = entry.command == "image"
    how = (
        {"overwrite": True}
        if is_picture
        else {**LOSSLESS, "resume": resume, "overwrite": not resume}
    )
    summary = make(entry.config, entry.source, master, **parts, **how)
    seconds = time.process_time() - begun
    made = Made(
        digest=summary.digest or hashlib.sha256(pixels_of_picture(master)).hexdigest(),
        mean=round(float(np.mean([frame.mean() for frame in pixels(master)])), 3),
        encoding=0.0,
        frames=max(summary.frames, 1),
        seconds=round(seconds, 1),
        cpu=processor(),
        versions=f"dreamvid {version('dreamvid')}, torch {torch.__version__}",
    )
    kept.write_text(json.dumps(asdict(made)), encoding="utf-8")
    return made


def draw_scene(source: str) -> None:
    """Draw the scene that `source` is, where it is one and not there yet."""
    path = Path(source)
    if path.parent == SCENES and not path.exists():
        print(f"drawing {source}", flush=True)
        scenes.write(path.stem, path)


def processor() -> str:
    """The CPU's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    found = info.exists() and re.search(r"model name\s*: (.*)", info.read_text(encoding="utf-8"))
    return found[1] if found else platform.processor() or platform.machine()


# What is shown


def pixels(path: Path) -> Iterator[Any]:
    """Frames (H, W, 3) of a film, a picture or an animation, in levels of 255."""
    if path.suffix in (".mkv", ".mp4"):
        with VideoReader(path) as reader:
            for frame in reader:
                yield levels(frame)
    else:
        with Image.open(path) as picture:
            for number in range(getattr(picture, "n_frames", 1)):
                picture.seek(number)
                yield np.asarray(picture.convert("RGB"), np.float32)


def levels(frame: Frame) -> Any:
    """A frame as (H, W, 3), in levels of 255."""
    return 255 * frame.image.permute(1, 2, 0).numpy()


def pixels_of_picture(path: Path) -> bytes:
    """The pixels of a picture file, eight bits each."""
    return (255 * read_image(path)).round().byte().numpy().tobytes()


def deliver(entry: Entry, master: Path) -> None:
    """Write what is shown of the lossless `master`, in place of what was there."""
    if entry.film is not None:
        with_sound(master, entry.film)
    if entry.command == "image":
        with Image.open(master) as picture:
            picture.convert("RGB").save(entry.shown, quality=QUALITY, method=6)
    else:
        animate(master, entry.shown, part=entry.film is not None)


def with_sound(master: Path, film: Path) -> None:
    """Encode a film again, small, with its sound and the options that made it."""
    with VideoReader(master) as reader:
        info = replace(reader.info, time_base=1 / (reader.info.rate or Fraction(PART_RATE)))
        metadata = {METADATA_KEY: reader.info.metadata[METADATA_KEY]}
        sound = SoundSource(master)
        with VideoWriter(
            film, info, WriteConfig(crf=SOUND_CRF), overwrite=True, sound=sound, metadata=metadata
        ) as writer:
            for number, frame in enumerate(reader):
                writer.write(replace(frame, time=number * info.time_base, duration=info.time_base))
        sound.close()


def animate(master: Path, shown: Path, part: bool) -> None:
    """Write an animation of a film that goes round for ever, or of a `part` of a longer one."""
    with VideoReader(master) as reader:
        rate = reader.info.rate or Fraction(PART_RATE)
        frames = [Image.fromarray(levels(frame).round().astype(np.uint8)) for frame in reader]
    if part:
        count, keep = int(PART_SECONDS * rate), max(1, rate // PART_RATE)
        first = int(max(0, len(frames) - count) * PART_BEGIN)
        frames, rate = frames[first : first + count : keep], rate / keep
    ends = [round(1000 * (number + 1) / rate) for number in range(len(frames))]
    frames[0].save(
        shown,
        save_all=True,
        append_images=frames[1:],
        duration=[end - begin for begin, end in pairwise([0, *ends])],
        loop=0,
        quality=FILM_QUALITY,
        method=6,
    )


# What is known of them


def made() -> dict[str, Made]:
    """What is known of the dreams in the gallery, by name."""
    file = GALLERY / "made.json"
    known = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return {name: Made(**facts) for name, facts in known.items()}


def note(entry: Entry, facts: Made) -> None:
    """Keep what is known of an entry."""
    known = {**made(), entry.name: facts}
    kept = {each.name: asdict(known[each.name]) for each in entries() if each.name in known}
    (GALLERY / "made.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def difference(entry: Entry, master: Path) -> float:
    """Mean difference of `master` from what the gallery has of it, in levels of 255."""
    there = pixels(entry.film or entry.shown)
    apart = [np.abs(one - other).mean() for one, other in zip(pixels(master), there, strict=True)]
    return round(float(np.mean(apart)), 3)


def check(entry: Entry, ordinary: Path | None) -> bool:
    """Dream an entry anew, tell how it differs from the gallery's, and whether it is the same."""
    known = made()[entry.name]
    with tempfile.TemporaryDirectory() as folder:
        master = Path(folder) / entry.master.name
        found = dream(entry, master, ordinary)
        apart = difference(entry, master)
    same = found.digest == known.digest
    print(
        f"{entry.name}: {'the same digest' if same else 'ANOTHER digest'}; mean pixel value "
        f"{found.mean:.3f}, in the gallery {known.mean:.3f}; mean difference from what is shown "
        f"{apart:.3f} of 255, of which encoding makes {known.encoding:.3f}"
    )
    if not same and (found.cpu, found.versions) != (known.cpu, known.versions):
        print(f"  made on {known.cpu} with {known.versions}; this is {found.cpu}, {found.versions}")
    return same


# The page

HEAD = """# Gallery

Written by `python scripts/gallery.py`, which dreams all of it anew (about {minutes:.0f} minutes
of one core); do not edit it by hand. Under each picture stand the command that makes it and the
file of its options. Footage that is not in `samples/` is drawn from seeded noise by
`python scripts/scenes.py`. Nothing was filmed, and all of this is dedicated to the public domain
under [CC0 1.0](https://creativecommons.org/publicdomain/zero/1.0/).

`python scripts/gallery.py --check NAME` dreams one anew and compares its digest with that in
[made.json](made.json). Digests are equal on the same kind of CPU with the same versions (all of
this is dreamed on one thread); elsewhere the difference of the pixels says how near it is.
"""
ORDINARY_NOTE = (
    "Its guide is an ordinary classifier, never hardened; without the folder that the command "
    "names, its options still serve any other guide."
)


def page() -> str:
    """The gallery's page, as Markdown."""
    known = made()
    there = [entry for entry in entries() if entry.name in known]
    parts = [HEAD.format(minutes=sum(known[entry.name].seconds for entry in there) / 60)]
    for use, title in TITLES.items():
        parts += [f"## {title}\n", *(shown_on_page(each) for each in there if each.use == use)]
    return "\n".join(parts)


def shown_on_page(entry: Entry) -> str:
    """An entry of the page."""
    picture = f"![{entry.line}]({entry.shown.name})"
    film = "" if entry.film is None else f" [With sound]({entry.film.name})."
    note = f" {ORDINARY_NOTE}" if entry.is_ordinary else ""
    typed = "\n".join(entry.commands)
    return (
        f"### {entry.name}\n\n{picture}\n\n{entry.line}{film}{note} "
        f"[Its options]({entry.toml.name}).\n\n```sh\n{typed}\n```\n"
    )


def main() -> None:
    """Dream what is named, or all, and write the page; or check."""
    given = arguments()
    os.chdir(ROOT)
    torch.set_num_threads(1)
    chosen = [] if given.page else list(chosen_of(given.names, given.ordinary))
    if given.check:
        same = [check(entry, given.ordinary) for entry in chosen]
        sys.exit(not all(same))
    rebuild(chosen, given.ordinary, given.resume)
    (GALLERY / "README.md").write_text(page(), encoding="utf-8")


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="entries; usually all")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    parser.add_argument("--page", action="store_true", help="write the page alone")
    parser.add_argument("--check", action="store_true", help="compare with what is there")
    parser.add_argument("--ordinary", type=Path, help="folder of a network that is not hardened")
    given = parser.parse_args()
    unknown = set(given.names) - {entry.name for entry in entries()}
    if unknown:
        known = ", ".join(entry.name for entry in entries())
        parser.error(f"no entry is called {', '.join(sorted(unknown))}; allowed: {known}")
    if given.ordinary is not None:
        given.ordinary = given.ordinary.resolve()
    return given


def chosen_of(names: Sequence[str], ordinary: Path | None) -> Iterator[Entry]:
    """The entries of these names, or all, without those whose guide is not at hand."""
    for entry in entries():
        if names and entry.name not in names:
            continue
        if entry.is_ordinary and ordinary is None:
            print(f"{entry.name} is left out: its guide needs --ordinary FOLDER")
        else:
            yield entry


def rebuild(chosen: Sequence[Entry], ordinary: Path | None, resume: bool) -> None:
    """Dream these entries and show them in the gallery."""
    if not resume:
        for entry in chosen:
            entry.master.with_suffix(".json").unlink(missing_ok=True)
    for entry in chosen:
        found = dream(entry, entry.master, ordinary, resume)
        deliver(entry, entry.master)
        note(entry, replace(found, encoding=difference(entry, entry.master)))
        size = sum(path.stat().st_size for path in (entry.shown, entry.film) if path) / 1000
        print(f"{entry.name}: {found.seconds:.0f} s, {size:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
