import math

import pytest
import torch
from torch import Tensor

from dreamvid.motion import trust, warp
from tests.motion.scenes import texture


def constant(dx: float, dy: float, height: int = 40, width: int = 60) -> Tensor:
    return torch.tensor([float(dx), float(dy)]).view(2, 1, 1).repeat(1, height, width)


def moving_square() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A square of 20 goes 6 pixels right: (current, previous, backward, forward)."""
    background, square = texture(80, 90, seed=1), texture(20, 20, seed=2)
    current, previous = background.clone(), background.clone()
    previous[:, 30:50, 20:40] = square
    current[:, 30:50, 26:46] = square
    backward, forward = torch.zeros(2, 80, 90), torch.zeros(2, 80, 90)
    backward[0, 30:50, 26:46] = -6
    forward[0, 30:50, 20:40] = 6
    return current, previous, backward, forward


def test_it_is_0_where_the_square_hid_the_background() -> None:
    *_, backward, forward = moving_square()
    result = trust(backward, forward)
    assert result.shape == (1, 80, 90)
    assert result.dtype == torch.float32
    assert (result[0, 30:50, 20:26] == 0).all()


def test_it_is_1_inside_the_square_and_on_the_still_ground() -> None:
    *_, backward, forward = moving_square()
    result = trust(backward, forward)[0]
    assert (result[34:46, 30:42] == 1).all()
    assert (result[:26] == 1).all()
    assert (result[54:] == 1).all()
    assert (result[:, :16] == 1).all()
    assert (result[:, 50:] == 1).all()


def test_what_is_trusted_warps_to_the_current_frame() -> None:
    current, previous, backward, forward = moving_square()
    wrong = (warp(previous, backward) - current).abs().amax(0, keepdim=True)
    assert wrong.max() > 0.1
    assert (wrong * trust(backward, forward)).max() == 0


def test_it_is_0_out_of_the_frame() -> None:
    result = trust(constant(5, 0), constant(-5, 0))[0]
    assert (result[:, -5:] == 0).all()
    assert (result[:, -6] > 0.5).all()
    assert (result[:, :-8] == 1).all()
    result = trust(constant(0, -3), constant(0, 3))[0]
    assert (result[:3] == 0).all()
    assert (result[5:] == 1).all()


def test_noise_in_a_still_scene_does_not_untrust_the_border() -> None:
    assert (trust(constant(-0.2, 0.2), constant(0.2, -0.2)) == 1).all()


@pytest.mark.parametrize(
    ("error", "expected"), [(0.0, 1), (0.7, 1), (0.74, 1), (0.75, 0), (0.9, 0)]
)
def test_the_way_there_and_back_may_differ_by_rule(error: float, expected: int) -> None:
    """|û + w|² = error² against 0.01 (|û|² + |w|²) + 0.5, with |w| = 2 and |û| = 2 − error."""
    assert (error**2 < 0.01 * ((2 - error) ** 2 + 4) + 0.5) == bool(expected)
    result = trust(constant(2, 0), constant(error - 2, 0))
    assert (result[0, :, :-5] == expected).all()


def test_it_is_0_on_a_motion_edge() -> None:
    """A stretch by 1.1: |∇w|² = 0.01 exceeds 0.01 |w|² + 0.002 while |w| = 0.1 x < √0.8."""
    x = torch.arange(60.0).expand(40, 60)
    zero = torch.zeros_like(x)
    backward = torch.stack([0.1 * x, zero])
    forward = torch.stack([-0.1 * x / 1.1, zero])  # exactly the way back
    result = trust(backward, forward)[0]
    edge = math.floor(math.sqrt(0.8) / 0.1)
    assert (result[:, : edge + 1] == 0).all()
    assert (result[:, edge + 1] > 0.5).all()
    assert (result[:, edge + 3 : 52] == 1).all()  # 1.1 × 55 is out of the frame


def test_the_rim_is_softened_on_the_trusted_side_only() -> None:
    """Columns from 30 on are hidden; the weights are those of a Gaussian of 0.8 pixels."""
    backward, forward = constant(0, 0), constant(0, 0)
    backward[0, :, 30:] = float("nan")
    near, far = math.exp(-0.5 / 0.8**2), math.exp(-2 / 0.8**2)
    total = 1 + 2 * near + 2 * far
    row = trust(backward, forward)[0, 20]
    # The motion edge takes column 29, whose central difference reaches column 30.
    expected = torch.tensor([1, 1 - far / total, 1 - (near + far) / total, 0, 0])
    torch.testing.assert_close(row[26:31], expected)
    assert (row[29:] == 0).all()


def test_what_is_no_number_is_not_trusted() -> None:
    backward, forward = constant(0, 0), constant(0, 0)
    forward[:, 10:20, 10:20] = float("nan")
    assert (trust(backward, forward)[0, 10:20, 10:20] == 0).all()


def test_it_never_asks_for_a_value() -> None:
    flow = torch.empty(2, 9, 7, device="meta")
    assert trust(flow, flow).shape == (1, 9, 7)


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match=r"not \(2, 4, 4\) and \(2, 4, 5\)"):
        trust(torch.zeros(2, 4, 4), torch.zeros(2, 4, 5))
