"""An endless zoom: what is carried stays sharp, new ground is dreamed, nothing runs away."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from dreamvid.config import DreamConfig
from dreamvid.journal.record import from_bytes, to_bytes
from dreamvid.motion import create_flow
from dreamvid.motion.camera import Camera, Course, resample
from dreamvid.motion.measure import fit_similarity
from dreamvid.zooms.endless import Look, ObjectivesAt, ZoomCarry, ZoomedFrame, dream_zoom
from tests.fakes import TowardsColour
from tests.motion.scenes import texture

RED = (0.9, 0.1, 0.1)
STILL = DreamConfig(steps=0)


def towards_red(time: Fraction) -> list[TowardsColour]:
    return [TowardsColour(RED)]


def film(
    camera: Camera,
    frames: int,
    config: DreamConfig = STILL,
    *,
    rate: int = 24,
    source: Tensor | None = None,
    objectives_at: ObjectivesAt = towards_red,
) -> list[ZoomedFrame]:
    """A texture under `camera`."""
    times = [Fraction(index, rate) for index in range(frames)]
    source = texture(64, 80) if source is None else source
    steps = config.steps
    return list(
        dream_zoom(source, times, camera, objectives_at, lambda time: config, first_steps=steps)
    )


def across(image: Tensor) -> float:
    return float((image[..., 1:] - image[..., :-1]).square().mean())


def down(image: Tensor) -> float:
    return float((image[:, 1:] - image[:, :-1]).square().mean())


def sharpness(image: Tensor) -> float:
    """RMS of the gradient, in any direction."""
    return math.sqrt(across(image) + down(image))


def test_the_first_frame_is_the_source_and_times_are_kept():
    frames = film(Camera(zoom=1.5), 3)
    assert [one.frame.time for one in frames] == [0, Fraction(1, 24), Fraction(2, 24)]
    assert all(one.frame.image.shape == (3, 64, 80) for one in frames)
    assert (frames[0].frame.image - texture(64, 80)).abs().mean() < 0.01


@pytest.mark.parametrize(
    "camera",
    [Camera(zoom=1.5), Camera(zoom=1.3, rotate=40, centre=(0.4, 0.5)), Camera(pan=(0.2, 0.1))],
)
def test_frames_move_as_the_camera_says(camera):
    frames = film(camera, 12)
    first, last = frames[0].frame.image, frames[-1].frame.image
    back = camera.back(Fraction(11, 24), Fraction(0), 64, 80)
    expected = resample(first, back, 64, 80)
    middle = (..., slice(20, 44), slice(25, 55))
    away = (last - expected)[middle].abs().mean()
    assert away < 0.04
    assert (last - first)[middle].abs().mean() > 2 * away


@pytest.mark.parametrize(
    "camera", [Camera(zoom=1.5), Camera(zoom=0.7), Camera(rotate=90), Camera(pan=(0.5, 0))]
)
def test_sharpness_stays_over_hundreds_of_frames_without_any_dreaming(camera):
    """Within 15 % of the first second's; resampled frame by frame, it would be lost."""
    seen = [sharpness(one.frame.image) for one in film(camera, 240)]
    first_second = sum(seen[:24]) / 24
    for second in range(1, 10):
        later = sum(seen[24 * second : 24 * second + 24]) / 24
        assert later == pytest.approx(first_second, rel=0.15), second


def test_colours_and_contrast_do_not_run_away():
    config = DreamConfig(steps=2, cutouts=2, octaves=1, lr=0.1, strength=0.5, hold=0)
    frames = film(
        Camera(zoom=1.5), 48, config, objectives_at=lambda time: [TowardsColour((1, 0, 1))]
    )
    looks = [one.frame.image.mean((1, 2)) for one in frames]
    assert (looks[-1] - looks[8]).abs().max() < 0.1
    assert all(one.frame.image.min() >= 0 and one.frame.image.max() <= 1 for one in frames)


def test_steady_holds_frames_to_what_the_camera_saw():
    changes = []
    for steady in (0.0, 100.0):
        config = DreamConfig(steps=2, cutouts=2, octaves=1, steady=steady)
        last = film(Camera(zoom=1.5), 3, config)[-1]
        changes.append(float((last.frame.image - last.start).square().mean()))
    assert changes[1] < 0.8 * changes[0]


def test_new_ground_is_dreamed_before_it_is_seen():
    config = DreamConfig(steps=3, cutouts=4, octaves=1, tv=0)
    frames = film(Camera(zoom=0.5), 16, config, rate=12, source=texture(64, 64))
    still = film(Camera(zoom=0.5), 16, STILL, rate=12, source=texture(64, 64))
    border = torch.zeros(64, 64, dtype=torch.bool)
    border[:3], border[-3:] = True, True
    colour = torch.tensor(RED).view(3, 1)
    dreamed, undreamed = (
        (those[-1].frame.image[:, border] - colour).square().mean() for those in (frames, still)
    )
    assert dreamed < 0.7 * undreamed


def test_new_ground_is_neither_flat_nor_a_mirror():
    (*_, last) = film(Camera(pan=(1.0, 0)), 36, source=texture(64, 64))
    image = last.frame.image
    new = image[:, :, 32:]
    assert sharpness(new) > 0.5 * sharpness(texture(64, 64))
    for axis in range(8, 56):
        reach = min(axis, 64 - axis, 12)
        left = image[:, :, axis - reach : axis].flip(2)
        assert (left - image[:, :, axis : axis + reach]).abs().mean() > 0.01


def test_each_frame_asks_what_holds_at_its_time():
    asked: list[Fraction] = []

    def objectives_at(time: Fraction) -> list[TowardsColour]:
        asked.append(time)
        return [TowardsColour(RED)]

    film(Camera(zoom=1.5), 4, objectives_at=objectives_at)
    assert asked == [Fraction(index, 24) for index in range(4)]


def test_options_change_from_frame_to_frame():
    """Strength in the third frame alone."""
    shares = {"global_share": 0.25, "local_share": 0.5, "cutout_noise": 0.04}
    plain = {"canvas": "octaves", "octaves": 1, "steps": 2, "cutouts": 2, "hold": 0}
    still = DreamConfig.model_validate(plain | shares | {"lr": 0.1, "strength": 0})
    strong = still.model_copy(update={"strength": 0.3})
    times = [Fraction(index, 24) for index in range(4)]
    zoomed = dream_zoom(
        texture(64, 80),
        times,
        Camera(),
        towards_red,
        lambda time: strong if time == times[2] else still,
        first_steps=2,
    )
    changes = [float((one.frame.image - one.start).square().mean().sqrt()) for one in zoomed]
    assert changes[2] > 0.05
    assert max(changes[:2] + changes[3:]) < 0.03


def test_a_zoom_that_strikes_is_seen_when_it_strikes():
    """Six frames a beat; what is measured from the film is what was asked."""

    def rates_at(step: int) -> tuple[float, float]:
        return (4.0 if step % 6 == 0 else 1.1), 0.0

    camera = Camera(course=Course(rates_at, Fraction(24)))
    frames = [one.frame.image for one in film(camera, 19, source=texture(160, 160))]
    backward = create_flow("dis", "cpu").backward
    measured = [
        -24 * math.log(abs(fit_similarity(backward(now, before)).factor))
        for before, now in pairwise(frames)
    ]
    asked = [math.log(rates_at(step)[0]) for step in range(1, 19)]
    assert measured == pytest.approx(asked, abs=0.15)


def test_a_seed_gives_one_film():
    config = DreamConfig(steps=1, cutouts=2, octaves=1)
    films = [
        film(Camera(zoom=0.7), 4, config.model_copy(update={"seed": seed})) for seed in (1, 1, 2)
    ]
    ends = [those[-1].frame.image for those in films]
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


@pytest.mark.parametrize(
    ("camera", "symmetry"),
    [
        (Camera(zoom=3, rotate=60), "none"),
        (Camera(zoom=0.4), "none"),
        (Camera(zoom=0.4, rotate=20), "kaleidoscope:6"),
    ],
)
def test_it_resumes_after_any_frame_as_if_never_stopped(camera, symmetry):
    """Past frames at which the sheet is resampled, with patches in what comes into view."""
    config = DreamConfig(steps=1, cutouts=2, octaves=1, symmetry=symmetry)
    times = [Fraction(index, 6) for index in range(7)]

    def zoomed(carry: ZoomCarry | None) -> list[ZoomedFrame]:
        source = texture(64, 80)
        given = source, times, camera, towards_red, lambda time: config
        return list(dream_zoom(*given, first_steps=2, carry=carry))

    straight = zoomed(None)
    assert len({one.carry.seed for one in straight}) > 1
    for one in straight:
        again = zoomed(from_bytes(ZoomCarry, to_bytes(one.carry)))
        rest = straight[one.carry.index + 1 :]
        assert len(again) == len(rest)
        for a, b in zip(again, rest, strict=True):
            assert a.frame.time == b.frame.time
            assert torch.equal(a.frame.image, b.frame.image)
            assert to_bytes(a.carry) == to_bytes(b.carry)


def test_a_look_is_held_in_detail_contrast_and_colour():
    image = texture(64, 80)
    look = Look.of(image)
    assert (look.hold(image) - image).abs().mean() < 0.02
    pale = 0.5 + 0.5 * (image - 0.5) + 0.1
    held = look.hold(pale)
    assert abs(held.mean() - image.mean()) < abs(pale.mean() - image.mean())
    assert abs(sharpness(held) - sharpness(image)) < abs(sharpness(pale) - sharpness(image))
