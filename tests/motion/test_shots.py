from collections.abc import Iterator

import av
import pytest
import torch
from torch import Tensor

from dreamvid.config import MotionConfig, build_config
from dreamvid.motion import content_change, create_cut_detector
from tests.motion.scenes import CLIP, need, texture, translated

is_cut = create_cut_detector(build_config(MotionConfig).cut_threshold)


def test_nothing_changes_in_a_still() -> None:
    assert content_change(texture(90, 160), texture(90, 160)) == 0


def test_black_to_white_by_hand() -> None:
    """Value changes by 255, hue and saturation not at all: a third of 255."""
    assert content_change(torch.ones(3, 90, 160), torch.zeros(3, 90, 160)) == pytest.approx(85)


def test_red_to_blue_by_hand() -> None:
    """Hue changes by 120 of OpenCV's 180, the rest not at all."""
    red, blue = torch.zeros(3, 90, 160), torch.zeros(3, 90, 160)
    red[0], blue[2] = 1, 1
    assert content_change(blue, red) == pytest.approx(40)


def test_the_threshold_itself_is_a_cut() -> None:
    white, black = torch.ones(3, 90, 160), torch.zeros(3, 90, 160)
    assert create_cut_detector(85.0)(white, black)
    assert not create_cut_detector(85.1)(white, black)


def test_another_picture_is_a_cut_and_a_moved_one_is_none() -> None:
    assert is_cut(texture(180, 320, seed=2) * 0.5, 1 - texture(180, 320, seed=3) * 0.5)
    assert not is_cut(*translated(180, 320, dx=2, dy=-1))


def test_size_hardly_matters() -> None:
    """At 640 pixels as at 160: the score is taken on a thumbnail."""
    small = texture(90, 160, seed=2), texture(90, 160, seed=3)
    large = (image.repeat_interleave(4, 1).repeat_interleave(4, 2) for image in small)
    assert content_change(*large) == pytest.approx(content_change(*small), rel=0.1)


def test_a_fade_from_black_is_no_cut() -> None:
    """Where all is dark, hue and saturation jump with the noise of the source."""
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 3, (6, 3, 90, 160), generator=generator) / 255
    assert not any(is_cut(levels[i + 1], levels[i]) for i in range(5))


def test_it_remembers_nothing() -> None:
    one, two = texture(90, 160, seed=2), 1 - texture(90, 160, seed=3)
    first = is_cut(two, one), is_cut(one, one), is_cut(one, two)
    assert (is_cut(two, one), is_cut(one, one), is_cut(one, two)) == first == (True, False, True)


@pytest.mark.parametrize("size", [(8, 8), (17, 301), (1, 2000)])
def test_any_size(size: tuple[int, int]) -> None:
    assert content_change(torch.ones(3, *size), torch.zeros(3, *size)) == pytest.approx(85)


def test_frames_are_of_one_size() -> None:
    with pytest.raises(ValueError, match=r"not \(3, 8, 8\) and \(3, 8, 9\)"):
        content_change(torch.zeros(3, 8, 8), torch.zeros(3, 8, 9))


def decode(numbers: set[int]) -> Iterator[tuple[int, Tensor]]:
    with av.open(str(need(CLIP))) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in numbers:
                pixels = torch.from_numpy(frame.to_ndarray(format="rgb24", width=320, height=180))
                yield number, pixels.permute(2, 0, 1).float() / 255


def test_real_film() -> None:
    """A fade from black, two cuts, a bird shot off its branch, a title, and a third cut."""
    stretches = [*range(20), *range(280, 290), *range(374, 382), *range(486, 504), *range(550, 556)]
    frames = dict(decode(set(stretches)))
    pairs = [number for number in stretches if number - 1 in frames]
    cuts = [number for number in pairs if is_cut(frames[number], frames[number - 1])]
    assert cuts == [285, 378, 553]
