"""Dream a very long film, killed now and then, and look whether anything grows.

    python scripts/soak.py [--frames 100000] [--kills 4] [--folder FOLDER]

The film is tiny and its guide a stand-in, but the way is whole: reader, cuts, music, numbers that
change over time, flow, dream, encoder, journal, and joining at the end. Every thousand frames the
process notes its memory, open files, threads, processor time a frame, and the journal's folder.
It is killed at even distances and resumed. At the end a table is printed, and exits with 1
where memory grows by more than 20 MB after a process's first thousand frames, files or threads
become more, a frame takes 5 % more processor time than at first, the journal keeps more than its
segments and 8 MB, or a frame is lost. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

EVERY = 1000
"""Frames between two notes."""
WIDTH, HEIGHT, RATE = 48, 32, 25
SHOT = 300
"""Frames of a shot."""
MUSIC_S = 60
MOST_MEGABYTES, MOST_TIME, MOST_KEPT = 20, 1.05, 8
OPTIONS: dict[str, Any] = {
    **{"prompt": "red", "steps": 1, "first_steps": 2, "octaves": 1, "cutouts": 1, "catch_up": 0},
    **{"flow": "farneback", "codec": "libx264"},
    "set": ["strength=0.1+0.1*pulse(beat)", "tv=0.5+0.5*rms", "lr=0.03+0.01*sin(t)"],
}


@dataclass(frozen=True)
class Note:
    """What a process takes after so many frames of the film."""

    process: int
    frames: int
    megabytes: float
    files: int
    threads: int
    milliseconds: float
    """Processor time a frame, over the frames since the last note."""
    kept: float
    """Megabytes of the journal's folder beside closed segments."""


def make_clip(path: Path, frames: int) -> None:
    """A pattern that moves, another one in each shot."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for picture in pictures(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def pictures(frames: int) -> Iterator[np.ndarray]:
    for shot in range(-(-frames // SHOT)):
        dice = np.random.default_rng(shot)
        scene = dice.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
        whole = scene.repeat(8, 0).repeat(8, 1)
        for index in range(min(SHOT, frames - shot * SHOT)):
            yield np.roll(whole, index // 4, 1)


def make_music(path: Path) -> None:
    """Two beats a second."""
    rate = 22_050
    time_s = np.arange(MUSIC_S * rate) / rate
    wave = np.sin(2 * np.pi * 110 * time_s) * np.exp(-12 * (time_s % 0.5))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        samples = (wave * 20_000).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def megabytes() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def kept(folder: Path) -> float:
    """Megabytes of a journal beside its closed segments."""
    others = (path for path in folder.iterdir() if path.suffix != ".segment")
    return sum(path.stat().st_size for path in others) / 1e6


def dream(folder: Path) -> None:
    """Dream or resume the film, and write a note every thousand frames."""
    import torch

    import dreamvid
    from dreamvid.events import Event, FrameDone
    from dreamvid.journal import folder_of
    from tests.fakes import TowardsColour

    torch.set_num_threads(1)
    out, began = folder / "out.mp4", 0.0
    first: int | None = None

    def note(event: Event) -> None:
        nonlocal began, first
        if not isinstance(event, FrameDone):
            return
        first = event.index if first is None else first
        done = event.index - first + 1
        if done == 1 or done % EVERY:
            began = time.process_time() if done == 1 else began
            return
        now = time.process_time()
        taken = Note(
            os.getpid(),
            event.index + 1,
            megabytes(),
            len(list(Path("/proc/self/fd").iterdir())),
            len(list(Path("/proc/self/task").iterdir())),
            1000 * (now - began) / EVERY,
            kept(folder_of(out)),
        )
        with (folder / "notes").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(taken)) + "\n")
        began = time.process_time()

    summary = dreamvid.dream_video(
        folder / "in.mp4",
        out,
        resume=True,
        music=str(folder / "music.wav"),
        objectives=[TowardsColour((1.0, 0.0, 0.0))],
        listener=note,
        **OPTIONS,
    )
    (folder / "summary").write_text(json.dumps(summary.to_json()), encoding="utf-8")


def notes_of(folder: Path) -> list[Note]:
    path = folder / "notes"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Note(**json.loads(line)) for line in lines]


def soak(folder: Path, frames: int, kills: int) -> None:
    """Make the clip, and dream it in a process that is killed `kills` times."""
    make_clip(folder / "in.mp4", frames)
    make_music(folder / "music.wav")
    for number in range(kills + 1):
        until = frames * (number + 1) // (kills + 1)
        command = [sys.executable, __file__, "--dream", str(folder)]
        with subprocess.Popen(command) as process:
            while process.poll() is None:
                time.sleep(0.2)
                taken = notes_of(folder)
                if number < kills and taken and taken[-1].frames >= until:
                    process.send_signal(signal.SIGKILL)
                    break
            print(f"process {number + 1} ended at {notes_of(folder)[-1].frames} frames", flush=True)


def complaints(folder: Path, frames: int) -> Iterator[str]:
    """What has grown or is lost."""
    summary = json.loads((folder / "summary").read_text(encoding="utf-8"))
    if summary["frames"] != frames:
        yield f"{summary['frames']} of {frames} frames"
    if (folder / "out.mp4.dreaming").exists():
        yield "the journal is still there"
    notes = notes_of(folder)
    for process in dict.fromkeys(note.process for note in notes):
        first, *later = [note for note in notes if note.process == process]
        for note in later:
            if note.megabytes > first.megabytes + MOST_MEGABYTES:
                before = f"{first.megabytes:.0f} before"
                yield f"{note.megabytes:.0f} MB at {note.frames} frames, {before}"
            if (note.files, note.threads) > (first.files, first.threads):
                yield f"{note.files} files and {note.threads} threads at {note.frames} frames"
        if later and (taken := median(note.milliseconds for note in later)) > (
            MOST_TIME * first.milliseconds
        ):
            yield f"{taken:.2f} ms a frame, {first.milliseconds:.2f} in the first thousand"
    if max(note.kept for note in notes) > MOST_KEPT:
        yield f"a journal of {max(note.kept for note in notes):.1f} MB beside its segments"


def print_table(notes: list[Note]) -> None:
    print("process  frames  MB    files  threads  ms a frame  journal MB")
    names = {pid: number for number, pid in enumerate(dict.fromkeys(n.process for n in notes), 1)}
    step = max(1, len(notes) // 25)
    for note in notes[::step]:
        print(
            f"{names[note.process]:7}  {note.frames:6}  {note.megabytes:4.0f}  {note.files:5}  "
            f"{note.threads:7}  {note.milliseconds:10.2f}  {note.kept:10.2f}"
        )


def main() -> int:
    """Soak, or dream as one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="keep all files here")
    parser.add_argument("--dream", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.dream is not None:
        dream(arguments.dream)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        soak(folder, arguments.frames, arguments.kills)
        print_table(notes_of(folder))
        found = list(complaints(folder, arguments.frames))
    print("\n".join(found) or "nothing has grown, nothing is lost")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
