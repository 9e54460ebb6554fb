"""Long shots in parts: where they are cut, what the seams show, and that all ways are one film."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import dreamvid
from dreamvid.config import SequenceConfig, VideoConfig
from dreamvid.errors import ConfigError, JournalError
from dreamvid.events import Event, FrameDone, Message
from dreamvid.film import clip as film_clip
from dreamvid.film import sharing
from dreamvid.film.seam import Shared, blend_seam
from dreamvid.film.sequence import (
    DreamedFrame,
    FrameSettings,
    constant_settings,
    dream_frames,
    find_shots,
)
from dreamvid.film.splitting import Place, split_up
from dreamvid.guide.objective import as_film_objective
from dreamvid.journal import folder_of
from dreamvid.types import Frame, Shot
from tests.fakes import KnownFlow, TowardsColour
from tests.film.test_sharing import OneWorker
from tests.media.clips import Clip, make, steady

RATE = 12
SEAM = 4
"""Frames of a seam at that rate."""


def shot_of(frames: int, begin: int = 0, rate: int = RATE) -> tuple[Shot, list[Place]]:
    """A shot after so many frames, and its places; a frame's mark is its index, its steps are 2."""
    places = [
        Place(Fraction(index, rate), Fraction(index + 1, rate), index, 2, 7)
        for index in range(begin, begin + frames)
    ]
    before = Fraction(begin - 1, rate) if begin else None
    first, last = places[0].time, places[-1].end
    shot = Shot(3, begin, begin + frames - 1, first, last, 7 + 2 * (frames - 1), before, 99)
    return shot, places


@pytest.mark.parametrize("begin", [0, 5])
@pytest.mark.parametrize(
    ("frames", "seconds", "rate", "parts", "seam"),
    [
        (24, "2", 12, 1, 0),
        (24, "1.9", 12, 2, 4),
        (24, "0.7", 12, 3, 4),
        (24, "0.001", 12, 3, 4),
        (15, "0.1", 12, 1, 0),
        (24 * 60, "10", 24, 6, 8),
        (24 * 60 + 1, "10", 24, 7, 8),
        (9, "1", 1, 2, 2),
    ],
)
def test_parts_and_seams_cover_a_shot_once(begin, frames, seconds, rate, parts, seam):
    shot, places = shot_of(frames, begin, rate)
    found = split_up(shot, places, Fraction(seconds))
    if parts == 1:
        assert found == [shot]
        return
    assert [piece.kind for piece in found] == ["part", *["seam", "part"] * (parts - 1)]
    covered = [index for piece in found for index in range(piece.first, piece.last + 1)]
    assert covered == list(range(begin, begin + frames))
    for number, piece in enumerate(found):
        assert piece.begin == Fraction(piece.first, rate)
        assert piece.end == Fraction(piece.last + 1, rate)
        reads = piece.first - piece.lead
        if reads == begin:
            assert (piece.before, piece.mark) == (shot.before, shot.mark)
        else:
            assert (piece.before, piece.mark) == (Fraction(reads - 1, rate), reads - 1)
        if piece.kind == "seam":
            assert (piece.frames, piece.steps, piece.lead, piece.tail) == (seam, 0, 0, 0)
        else:
            assert piece.lead == (seam if number else 0)
            assert piece.tail == (seam if number < len(found) - 1 else 0)
            dreamed = piece.lead + piece.frames + piece.tail
            assert piece.steps == 7 + 2 * (dreamed - 1)
            assert seam <= piece.frames


def test_without_seconds_a_shot_stays_whole():
    shot, places = shot_of(1000)
    assert split_up(shot, places, None) == [shot]


# Over the loop


def rms(image: Tensor) -> float:
    return image.square().mean().sqrt().item()


def jumps(current: Tensor, previous: Tensor) -> bool:
    return bool((current.mean() - previous.mean()).abs() > 0.2)


def never(current: Tensor, previous: Tensor) -> bool:
    return False


def frames_with_flash(*bright: int) -> list[Frame]:
    generator = torch.Generator().manual_seed(0)
    noise = 0.2 + 0.2 * torch.rand(3, 16, 16, generator=generator)
    return [
        Frame(noise + 0.4 * (index in bright), Fraction(index, RATE), Fraction(1, RATE))
        for index in range(24)
    ]


QUICK = SequenceConfig(
    steps=1, first_steps=2, octaves=1, cutouts=2, catch_up=0, strength=0.2, tv=0, colour_drift=0
)


@pytest.mark.parametrize("begin", range(6, 16))
def test_no_part_begins_or_ends_within_a_flash(begin):
    """There, what is a flash in the whole shot would be taken for a cut."""
    frames = frames_with_flash(begin, begin + 1, begin + 2)
    plan = constant_settings([TowardsColour((1.0, 0.0, 0.0))], QUICK)
    found = list(find_shots(frames, plan, jumps, lambda frame: 0, Fraction(1)))
    assert [piece.kind for piece in found] == ["part", "seam", "part"]
    for part in found[::2]:
        first, stop = part.first - part.lead, part.last + part.tail + 1
        dreamed = dream_frames(
            frames[first:stop], plan, flow=KnownFlow(0), is_cut=jumps, first=first
        )
        assert [each.begins_shot for each in dreamed] == [True] + [False] * (stop - first - 1)


def test_a_seam_goes_evenly_from_one_difference_to_the_other_and_keeps_the_strength():
    frames = frames_with_flash()[:4]
    here, there = torch.full((3, 16, 16), 0.1), torch.full((3, 16, 16), -0.1)
    mask = torch.ones(1, 16, 16)
    settings = FrameSettings(QUICK.model_copy(update={"strength": 0.05}), [])
    seam = Shot(2, 7, 10, frames[0].time, frames[-1].time, 0, kind="seam")

    def shared_at(index: int) -> tuple[Shared, Shared]:
        return Shared(here.half(), mask.half()), Shared(there.half(), 0 * mask.half())

    made = list(blend_seam(frames, lambda *_: settings, shared_at, seam, 7))
    means = [float((each.frame.image - each.source).mean()) for each in made]
    assert means == pytest.approx([0.05, 0.02, -0.02, -0.05], abs=1e-4)
    found = [float(each.found.mean()) for each in made if each.found is not None]
    assert found == pytest.approx([0.8, 0.6, 0.4, 0.2])
    assert [each.carry.last for each in made] == [7, 8, 9, 10]


class EitherWay:
    """An objective as good in one way as in the other: away from grey. Chance decides which."""

    compares = False
    size = 16

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        return -(cutouts - 0.5).square().mean()


def steps_between(differences: Sequence[Tensor]) -> list[float]:
    return [rms(b - a) for a, b in pairwise(differences)]


def test_no_jump_shows_at_a_seam_but_one_would_at_a_cut():
    grey = torch.full((3, 16, 16), 0.5)
    frames = [Frame(grey, Fraction(index, 24), Fraction(1, 24)) for index in range(48)]
    config = QUICK.model_copy(update={"steps": 3, "first_steps": 20, "hold": 0.0, "decay": 0.9})
    plan = constant_settings([EitherWay()], config)
    before, seam, after = find_shots(frames, plan, never, lambda frame: 0, Fraction(1))
    dreamed = [
        [
            Shared.of(each)
            for each in dream_frames(
                frames[part.first - part.lead : part.last + part.tail + 1],
                plan,
                flow=KnownFlow(0),
                is_cut=never,
                first=part.first - part.lead,
            )
        ]
        for part in (before, after)
    ]
    earlier, later = dreamed

    def shared_at(index: int) -> tuple[Shared, Shared]:
        return earlier[index], later[index - seam.first]

    inside = max(
        step
        for part in dreamed
        for step in steps_between([each.difference.float() for each in part])
    )
    blended = blend_seam(frames[seam.first : seam.last + 1], plan, shared_at, seam, seam.first)
    shown = [each.frame.image - each.source for each in blended]
    last, first = earlier[before.last], later[after.lead]
    across = steps_between([last.difference.float(), *shown, first.difference.float()])
    cut = steps_between([last.difference.float(), first.difference.float()])
    assert max(across) < 2 * inside
    assert cut[0] > 4 * inside


# Whole films, in this process


OPTIONS: dict[str, Any] = {
    **{"prompt": ["red"], "steps": 2, "first_steps": 12, "octaves": 1, "cutouts": 4, "tv": 0},
    **{"catch_up": 0, "flow": "farneback", "codec": "ffv1", "canvas": "octaves", "lr": 0.02},
}
SPLIT = VideoConfig.model_validate(OPTIONS | {"split": 0.7})


@dataclass(frozen=True)
class Film:
    source: Path
    pieces: tuple[Shot, ...]
    summary: dreamvid.Summary
    dreams: list[Tensor]
    sources: list[Tensor]


def dreamt(source: Path, out: Path, **given: Any) -> tuple[dreamvid.Summary, list[FrameDone]]:
    """The summary, and all frames in order of time."""
    told: list[Event] = []
    usual: dict[str, Any] = {"config": SPLIT, "objectives": [EitherWay()], "listener": told.append}
    given = usual | given
    summary = dreamvid.dream_video(source, out, **given)
    frames = [event for event in told if isinstance(event, FrameDone)]
    return summary, sorted(frames, key=lambda event: event.index)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """A shot of 3 frames, and one of 24 in three parts; made by one process."""
    folder = tmp_path_factory.mktemp("long")
    times, shots = steady(27, RATE), (3, 24)
    source = make(folder / "in.mp4", Clip(times, Fraction(1, RATE), shots=shots, sound="aac"))
    pieces = dreamvid.find_shots(source, config=SPLIT, timing=False).shots
    summary, frames = dreamt(source, folder / "out.mkv")
    assert [event.index for event in frames] == list(range(27))
    dreams, sources = [each.frame.image for each in frames], [each.source for each in frames]
    return Film(source, pieces, summary, dreams, sources)


def test_the_pieces_of_a_film_are_numbered_through(film):
    kinds = [(piece.number, piece.kind, piece.frames) for piece in film.pieces]
    assert kinds == [
        (1, "shot", 3),
        (2, "part", 6),
        (3, "seam", 4),
        (4, "part", 4),
        (5, "seam", 4),
        (6, "part", 6),
    ]
    assert (film.summary.frames, film.summary.shots) == (27, 2)


def test_piece_by_piece_from_the_last_is_the_film_of_one_process(film, tmp_path):
    out = tmp_path / "out.mkv"
    for number in range(6, 0, -1):
        dreamt(film.source, out, shots=[number])
    kept = folder_of(out).glob("shot-*/*")
    assert {path.suffix for path in kept} == {"", ".segment", ".0", ".1"}
    assert dreamvid.join(out).digest == film.summary.digest
    assert not folder_of(out).exists()


def test_masks_key_frames_camera_and_sizes_hold_in_seams_too(film, tmp_path):
    mask = make(tmp_path / "mask.mkv", Clip(steady(8, RATE), Fraction(1, RATE)))
    changes = {"mask": str(mask), "every": 3, "rotate": 20, "symmetry": "mirror"}
    changes |= {"size": "48x36", "deliver": "source", "set_": ["strength=0.1+t/10"]}
    config = VideoConfig.model_validate(OPTIONS | {"split": 0.7, "start": 0.25} | changes)
    whole, frames = dreamt(film.source, tmp_path / "whole.mkv", config=config)
    out = tmp_path / "out.mkv"
    for number in (2, 4, 5, 3, 1):
        dreamt(film.source, out, config=config, shots=[number])
    assert dreamvid.join(out).digest == whole.digest
    assert len(frames) == 24
    assert all(image.shape == (3, 48, 64) for image in (each.frame.image for each in frames))


def test_workers_make_the_film_of_one_process(film, tmp_path, monkeypatch):
    worker = OneWorker()
    monkeypatch.setattr(sharing, "share_out", worker)
    monkeypatch.setattr(film_clip, "load_objectives", lambda *_: [as_film_objective(EitherWay())])
    out = tmp_path / "out.mkv"
    summary, _ = dreamt(film.source, out, objectives=None, workers=2)
    assert worker.tasks == [4, 2, 6, 1, 3, 5]
    assert summary.digest == film.summary.digest


def test_a_seam_alone_makes_its_parts_first(film, tmp_path):
    told: list[Event] = []
    dreamt(film.source, tmp_path / "out.mkv", shots=[3], listener=told.append)
    texts = [event.text for event in told if isinstance(event, Message)]
    assert texts == [
        *("shot 2: 6 frames", "shot 4: 4 frames", "shot 3: 4 frames"),
        "of 6 shots there remain 1, 5-6",
    ]


def test_another_split_is_another_film(film, tmp_path):
    out = tmp_path / "out.mkv"
    dreamt(film.source, out, shots=[1])
    for split in (None, Fraction(1)):
        other = SPLIT.model_copy(update={"split": split})
        with pytest.raises(
            JournalError, match=r"cannot change midway has: --split is .*, was 0\.7"
        ):
            dreamt(film.source, out, config=other, resume=True)


def test_what_a_seam_needs_is_checked(film, tmp_path):
    out = tmp_path / "out.mkv"
    dreamt(film.source, out, shots=[2, 4])
    damaged = folder_of(out) / "shot-0004.mkv.dreaming" / "000010.shared"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    with pytest.raises(JournalError, match=r"the journal is damaged: .*000010\.shared"):
        dreamt(film.source, out, shots=[3])


def test_a_film_without_a_journal_is_not_split(film):
    with pytest.raises(ConfigError, match=r"--split: .* has no journal; allowed: from files to f"):
        dreamt(film.source, Path("-"))


def parts_alone(film: Film) -> Iterator[tuple[Shot, list[DreamedFrame]]]:
    """Each part, and what the loop alone makes of all the frames that it dreams."""
    plan = constant_settings([as_film_objective(EitherWay())], SPLIT)
    flow = dreamvid.create_flow("farneback", torch.device("cpu"), calm=True)
    is_cut = dreamvid.create_cut_detector(SPLIT.cut_threshold)
    for piece in film.pieces:
        if piece.kind == "part":
            first, stop = piece.first - piece.lead, piece.last + piece.tail + 1
            frames = [
                Frame(film.sources[index], Fraction(index, RATE), Fraction(1, RATE))
                for index in range(first, stop)
            ]
            yield piece, list(dream_frames(frames, plan, flow=flow, is_cut=is_cut, first=first))


def test_outside_of_seams_the_frames_are_those_of_each_part_alone(film):
    for piece, alone in parts_alone(film):
        own = alone[piece.lead : piece.lead + piece.frames]
        for index, dreamed in enumerate(own, piece.first):
            assert torch.equal(dreamed.frame.image, film.dreams[index])
