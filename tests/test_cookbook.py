"""Every command and every block of Python in the README and its pages works as it stands there.

Clips and pictures are tiny, and steps are 0 where the page does not say otherwise: what is tested
is that the words are right, not what they dream.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import typer

from dreamvid.cli.app import app
from tests.cli.conftest import Command, dreamvid  # noqa: F401 (a fixture)
from tests.control.midi import write_midi
from tests.media.clips import Clip, make, steady

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "samples").glob("*.md"))]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]

NOT_RUN = (
    *("pip install", "| ffplay"),  # other programs
    *("v4l2", "avfoundation", "x11grab"),  # devices
    *(":laion2b_", "hf-hub:", "--where-model"),  # downloads
    *("for clip in", "$clip", "done"),  # a loop of the shell
    *("dreamvid resume dream.mp4", "dreamvid peek dream.mp4"),  # a run that was stopped
)
"""What marks a line that no test can run; the options in it are still checked."""

SECONDS = 8
"""How long the clip is."""

HURRY = {
    "video": ["--steps", "0", "--first-steps", "0", "--fps", "1"],
    "zoom": ["--steps", "0", "--first-steps", "0", "--loop-steps", "0", "--fps", "2"],
    "image": ["--steps", "0"],
    "plan": ["--no-timing"],
    "shots": ["--no-timing"],
    "live": ["--steps", "0", "--first-steps", "0", "--no-browser", "--duration", "0.2"],
}
"""What makes a command quick."""

HURRY_PYTHON = {
    "dream_video": "steps=0, first_steps=0, fps=1",
    "zoom": "steps=0, first_steps=0, loop_steps=0, fps=2",
    "dream_image": "steps=0",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    heading: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.heading}"

    @property
    def lines(self) -> list[str]:
        """One for each command, without comments."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]


def blocks(language: str) -> list[Block]:
    """The blocks of all pages in this language."""
    return [
        Block(page.name, _heading(page.read_text(encoding="utf-8")[: found.start()]), found[1])
        for page in PAGES
        for found in re.finditer(
            rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S
        )
    ]


def _heading(before: str) -> str:
    headings: list[str] = re.findall(r"^#+ (.*)", before, re.M)
    return headings[-1]


def python_blocks() -> list[Block]:
    """Those that can run here; a run that was stopped is not at hand."""
    return [block for block in blocks("python") if "long.mp4" not in block.text]


def runs_here(line: str) -> bool:
    """Whether no device, download, other program or stopped run is needed."""
    return not any(mark in line for mark in NOT_RUN)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the pages name."""
    folder = tmp_path_factory.mktemp("cookbook")
    silent = make(
        folder / "silent.mp4", Clip(times=steady(SECONDS, 1), size=(96, 64), last=Fraction(1))
    )
    _add_music(silent, ROOT / "samples" / "loop.m4a", folder / "clip.mp4")
    silent.unlink()
    _write_pictures(folder)
    (folder / "song.lrc").write_text("[00:00.50]a calm sea\n[00:04.00]a storm\n", encoding="utf-8")
    (folder / "song.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nice\n", encoding="utf-8")
    for name in ("drums.wav", "bass.wav", "song.wav"):  # what is in a file counts, not its name
        shutil.copy(ROOT / "samples" / "loop.m4a", folder / name)
    write_midi(folder / "song.mid", [(beat, 9, 36, 100) for beat in range(2 * SECONDS)])
    (folder / "samples").mkdir()
    shutil.copy(folder / "clip.mp4", folder / "samples" / "flight.mp4")
    for name in ("loop.m4a", "reef.toml"):
        shutil.copy(ROOT / "samples" / name, folder / "samples")
    toml = next(block for block in blocks("toml") if "# mine.toml" in block.text)
    (folder / "mine.toml").write_text(toml.text, encoding="utf-8")
    jobs = next(block for block in blocks("toml") if "# jobs.toml" in block.text)
    hurried = jobs.text.replace("[all]", "[all]\nsteps = 0\nfirst-steps = 0\nloop-steps = 0")
    (folder / "jobs.toml").write_text(hurried, encoding="utf-8")
    (folder / "tests").mkdir()
    (folder / "tests" / "judge").symlink_to(ROOT / "tests" / "judge")
    return folder


def _add_music(clip: Path, music: Path, out: Path) -> None:
    """Copy both into one file, of the music as much as there are pictures."""
    with (
        av.open(str(clip)) as pictures,
        av.open(str(music)) as sounds,
        av.open(str(out), "w") as both,
    ):
        sources = [pictures.streams.video[0], sounds.streams.audio[0]]
        copies = [both.add_stream_from_template(source) for source in sources]
        for container, source, copy in zip((pictures, sounds), sources, copies, strict=True):
            for packet in container.demux(source):
                if packet.dts is not None and packet.dts * packet.time_base < SECONDS:
                    packet.stream = copy
                    both.mux(packet)


def _write_pictures(folder: Path) -> None:
    """Photographs, a mask, and pictures of a film, some with alpha."""
    texture = np.random.default_rng(0).integers(0, 256, (6, 9, 4), np.uint8)
    picture = cv2.resize(texture, (96, 64), interpolation=cv2.INTER_CUBIC)
    mask = np.zeros((64, 96), np.uint8)
    mask[:, :48] = 255
    for name, image in {"photo.jpg": picture[..., :3], "mask.png": mask}.items():
        cv2.imwrite(str(folder / name), image)
    shutil.copy(folder / "photo.jpg", folder / "style.jpg")
    for name, channels in {"frames": 3, "title": 4}.items():
        (folder / name).mkdir()
        for index in range(3):
            image = np.roll(picture, index, 1)[..., :channels]
            cv2.imwrite(str(folder / name / f"{index:04d}.png"), image)


@pytest.fixture
def kitchen(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of that folder, to be in."""
    here = shutil.copytree(files, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield here


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_every_command_runs(block: Block, kitchen: Path, dreamvid: Command) -> None:  # noqa: F811
    for line in filter(runs_here, block.lines):
        program, name, *arguments = shlex.split(line, comments=True)
        if program == "mkdir":
            Path(name).mkdir()
            continue
        assert program == "dreamvid", line
        arguments, target = _redirected(arguments)
        result = dreamvid(name, *arguments, *HURRY.get(name, []))
        assert result.status == 0, f"{line}\n{result.err}"
        if target is not None:
            target.write_text(result.out, encoding="utf-8")


def _redirected(arguments: list[str]) -> tuple[list[str], Path | None]:
    """What stands before `> FILE`, and that file."""
    if ">" not in arguments:
        return arguments, None
    return arguments[:-2], Path(arguments[-1])


@pytest.mark.parametrize(
    "line",
    [line.strip() for block in blocks("sh") for line in block.lines if "dreamvid " in line],
)
def test_every_option_is_one_of_its_command(line: str) -> None:
    name = re.search(r"dreamvid (\w+)", line)
    assert name, line
    commands = ["rerun", "video", "zoom", "image"] if name[1] == "rerun" else [name[1]]
    spellings = {
        spelling
        for command in commands
        for parameter in COMMANDS[command].params
        for spelling in (*parameter.opts, *parameter.secondary_opts)
    }
    part = line[name.start() :].split(" | ")[0]
    used = {
        word.split("=")[0]
        for word in shlex.split(part, comments=True)
        if re.match(r"--?[a-z]", word)
    }
    assert used <= spellings


@pytest.mark.parametrize("block", python_blocks(), ids=str)
def test_python_blocks(block: Block, kitchen: Path) -> None:
    exec(compile(in_a_hurry(block.text), str(block), "exec"), {})


def in_a_hurry(code: str) -> str:
    """The same calls without steps, where they do not say how many."""

    def hurried(call: re.Match[str]) -> str:
        name, arguments = call[1], call[2]
        if "steps=" in arguments or "config=" in arguments:
            return call[0]
        return f"dreamvid.{name}({arguments}, {HURRY_PYTHON[name]})"

    return re.sub(rf"dreamvid\.({'|'.join(HURRY_PYTHON)})\((.*)\)", hurried, code)


def test_there_is_something_to_run() -> None:
    lines = [line for block in blocks("sh") for line in block.lines]
    assert len(list(filter(runs_here, lines))) >= 50
    assert len(python_blocks()) >= 6
