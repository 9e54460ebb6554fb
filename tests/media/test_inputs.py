"""Files that cannot be read: one line each, no traceback, nothing on stderr."""

from __future__ import annotations

import random
from pathlib import Path

import av
import pytest

from dreamvid.errors import MediaError
from dreamvid.media import SoundSource, VideoReader, probe
from dreamvid.media.files import check_input
from dreamvid.media.source import Source, check_result
from tests.media.clips import Clip, make


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no film\n" * 100)
    (tmp_path / "noise.mkv").write_bytes(random.Random(0).randbytes(5000))
    whole = make(tmp_path / "whole.mp4", Clip()).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # its index was at the end
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame(format="s16", layout="mono", samples=800)
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    return tmp_path


MESSAGES = {
    "none.mp4": r"none\.mp4' does not exist; allowed: an existing file",
    "empty.mp4": r"empty\.mp4' is empty; allowed: a file that FFmpeg can read",
    "text.mp4": r"text\.mp4' (cannot be read|holds no picture|has no picture)",
    "noise.mkv": r"noise\.mkv' (cannot be read|holds no picture|has no picture)",
    "cut.mp4": r"cut\.mp4' cannot be read; allowed: a file that FFmpeg can read: Invalid data",
    "sound.wav": r"sound\.wav' has no picture stream; allowed: a video file",
    "": r"is a folder; allowed: a file",
}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("opens", [probe, VideoReader])
def test_one_line_each(bad, capfd, name, opens):
    with pytest.raises(MediaError, match=MESSAGES[name]) as caught:
        opens(bad / name)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_sound_of_what_is_not_there(bad):
    with pytest.raises(MediaError, match="does not exist"):
        SoundSource(bad / "none.mp4")


def test_an_address_is_a_file_name(tmp_path):
    with pytest.raises(MediaError, match="does not exist"):
        probe(Path("http://localhost/a.mp4"))
    path = make(tmp_path / "whole.mp4", Clip()).rename(tmp_path / "concat:a|b.mp4")
    assert probe(path).frame_count == 24


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_mutated_files_end_in_frames_or_an_error(tmp_path, capfd, suffix):
    clip = Clip(codec="mpeg4", options={}) if suffix == "avi" else Clip(sound="aac")
    whole = make(tmp_path / f"a.{suffix}", clip)
    data = whole.read_bytes()
    path = tmp_path / f"b.{suffix}"
    for seed in range(25):
        dice = random.Random(seed)
        mutated = bytearray(data)
        for _ in range(dice.randint(1, 40)):
            mutated[dice.randrange(len(data))] = dice.randrange(256)
        path.write_bytes(mutated[: dice.randint(len(data) // 4, len(data))])
        try:
            with VideoReader(path, on_warning=lambda message: None) as reader:
                times = [frame.time for frame in reader]
        except MediaError as error:
            assert "\n" not in str(error)
        else:
            assert times == sorted(set(times))
    assert capfd.readouterr().err == ""


LONG = Path("x" * 5000)
TOO_LONG = r"^'x+…' cannot be looked up: .*; allowed: the name of a file or folder$"


@pytest.mark.parametrize("name", ["{}.mp4", "{}.png", "{}-%d.png", "{}*", "{}/%d.png", "{}"])
def test_a_name_that_is_too_long_as_input(name):
    with pytest.raises(MediaError, match=TOO_LONG):
        Source.find(Path(name.format(LONG)))
    with pytest.raises(MediaError, match=TOO_LONG):
        check_input(Path(name.format(LONG)))


@pytest.mark.parametrize("name", ["{}.mp4", "{}-%d.png", "{}/a.mp4", "{}/%d.png", "{}"])
def test_a_name_that_is_too_long_as_output(tmp_path, name):
    with pytest.raises(MediaError, match=TOO_LONG.replace("'x", "'.*x")):
        check_result(tmp_path / name.format(LONG), None, False)


def test_numbers_that_make_a_name_too_long(tmp_path):
    with pytest.raises(
        MediaError, match=r"^'.*0001\.png' cannot be looked up: .*; allowed: the name"
    ):
        check_result(tmp_path / "%0500d.png", None, False)


def test_a_null_character_in_a_name():
    with pytest.raises(MediaError, match="cannot be looked up: embedded null"):
        Source.find(Path("a\0.mp4"))
