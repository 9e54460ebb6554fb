"""Read files damaged at random, and count those that do not end in frames or in one line.

    python scripts/fuzz.py [--files 10000] [--first 0]

Each file is one of 16 kinds of films and pictures, cut short, with bits flipped or with pieces of
others in it, or a file of options. It is copied as `dreamvid video` would, without the dream, or
read as `--config`. Runs in processes of their own, so that a crash costs one file. Stopped by
Ctrl-C it tells what it has seen until then. Exits with 1 where any file did not end well.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent.parent))

from dreamvid.config import VideoConfig, build_config, to_toml
from dreamvid.errors import DreamvidError
from tests.media.test_fuzz import LIMIT, MAKERS, copy, mutant, placed
from tests.mutants import damaged

AT_ONCE = 50
"""Files of one task; a crash ends it."""
OPTIONS = to_toml(VideoConfig(prompt=["a rose"], set_=["tv=8*bass"], at=["2 a castle"])).encode()
TOML_EVERY = 17
"""One of so many files is a file of options."""
TOLD = 20
"""Most seeds to name."""


def make_whole(folder: Path) -> dict[str, bytes]:
    """A sound file of each kind."""
    made = {}
    for number, (kind, maker) in enumerate(MAKERS.items()):
        maker(folder / f"{number}.{kind}")
        (path,) = folder.glob(f"{number}.*")
        made[kind] = path.read_bytes()
    return made


def outcome_of(whole: dict[str, bytes], seed: int, folder: Path) -> str:
    """The end of one file: its frames, one line, or what must not be."""
    began, out = time.monotonic(), folder / "out.mkv"
    if seed % TOML_EVERY == 0:
        file = folder / "options.toml"
        file.write_bytes(damaged(OPTIONS, Random(seed)))
        ended = end_of(lambda: build_config(VideoConfig, file=file))
        file.unlink()
    else:
        kind, data = mutant(whole, seed)
        with placed(kind, data, folder, whole) as source:
            ended = end_of(lambda: copy(source, out))
    if out.exists() and ended != "read":
        ended = f"{ended}, and a file under OUT's name"
    out.unlink(missing_ok=True)
    if list(folder.iterdir()):
        ended = f"{ended}, and files left over"
    return ended if time.monotonic() - began < LIMIT else f"{ended}, too late"


def end_of(deed: Callable[[], object]) -> str:
    """How a deed ends."""
    try:
        deed()
    except DreamvidError as error:
        return "several lines" if "\n" in str(error) else "one line"
    except Exception as error:
        return f"uncaught {type(error).__name__}"
    return "read"


def endure(whole: dict[str, bytes], seeds: range, folder: Path) -> list[tuple[int, str]]:
    """The outcome of each seed; the last one tried is noted in `folder`, should it crash."""
    outcomes = []
    for seed in seeds:
        (folder / "seed").write_text(str(seed))
        (folder / "work").mkdir(exist_ok=True)
        faulthandler.dump_traceback_later(3 * LIMIT, exit=True)
        outcomes.append((seed, outcome_of(whole, seed, folder / "work")))
        faulthandler.cancel_dump_traceback_later()
    return outcomes


def run(seeds: range, whole: dict[str, bytes], folder: Path) -> list[tuple[int, str]]:
    """The outcomes of all seeds, by tasks in processes of their own."""
    outcomes: list[tuple[int, str]] = []
    at = seeds.start
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.media.test_fuzz"])
    pool = ProcessPoolExecutor(1, mp_context=context)
    try:
        while at < seeds.stop:
            part = range(at, min(at + AT_ONCE, seeds.stop))
            try:
                outcomes += pool.submit(endure, whole, part, folder).result()
                at = part.stop
            except BrokenProcessPool:
                pool = ProcessPoolExecutor(1, mp_context=context)
                crashed = int((folder / "seed").read_text())
                outcomes.append((crashed, "crash or hang"))
                at = crashed + 1
            if at % 1000 < AT_ONCE:
                print(f"{at - seeds.start} files", flush=True)
    except KeyboardInterrupt:
        print("stopped")
    pool.shutdown(cancel_futures=True)
    return outcomes


def main() -> int:
    """Read all files and print how they ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "whole").mkdir()
        whole = make_whole(folder / "whole")
        seeds = range(arguments.first, arguments.first + arguments.files)
        outcomes = run(seeds, whole, folder)
    for ended, count in Counter(ended for _, ended in outcomes).most_common():
        print(f"{count:6}  {ended}")
    wrong = [(seed, ended) for seed, ended in outcomes if ended not in ("read", "one line")]
    for seed, ended in wrong[:TOLD]:
        print(f"seed {seed}: {ended}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
