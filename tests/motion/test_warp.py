import pytest
import torch
from torch import Tensor

from dreamvid.motion import chain, warp


def constant(dx: float, dy: float, height: int, width: int) -> Tensor:
    return torch.tensor([dx, dy]).view(2, 1, 1).expand(2, height, width)


ROW = torch.tensor([[[0.1, 0.2, 0.3, 0.4]]])  # (1, 1, 4)


@pytest.mark.parametrize(
    ("dx", "expected"),
    [
        (1.0, [0.2, 0.3, 0.4, 0.4]),  # each pixel was one to the right; the border repeats
        (-1.0, [0.1, 0.1, 0.2, 0.3]),
        (2.0, [0.3, 0.4, 0.4, 0.4]),
        (-9.0, [0.1, 0.1, 0.1, 0.1]),
        (0.0, [0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_a_row_moves_by_whole_pixels(dx: float, expected: list[float]) -> None:
    assert warp(ROW, constant(dx, 0, 1, 4)).flatten().tolist() == torch.tensor(expected).tolist()


def test_half_a_pixel_is_the_mean_of_two() -> None:
    result = warp(ROW, constant(0.5, 0, 1, 4))
    torch.testing.assert_close(result, torch.tensor([[[0.15, 0.25, 0.35, 0.4]]]))


def test_half_a_pixel_both_ways_is_the_mean_of_four() -> None:
    image = torch.tensor([[[0.0, 1.0], [2.0, 5.0]]])
    assert warp(image, constant(0.5, 0.5, 2, 2))[0, 0, 0] == 2.0


@pytest.mark.parametrize(("dx", "dy"), [(5, 0), (-5, 0), (0, 5), (0, -5), (3, -2), (-7, 4)])
def test_an_integer_shift_is_exact(dx: int, dy: int) -> None:
    previous = torch.rand(3, 45, 61, generator=torch.Generator().manual_seed(1))
    current = warp(previous, constant(dx, dy, 45, 61))
    rows = (torch.arange(45) + dy).clamp(0, 44)
    columns = (torch.arange(61) + dx).clamp(0, 60)
    assert torch.equal(current, previous[:, rows][:, :, columns])


def test_a_shift_is_exact_at_the_far_end_of_a_wide_picture() -> None:
    previous = torch.rand(1, 2, 4001, generator=torch.Generator().manual_seed(2))
    current = warp(previous, constant(-1, 0, 2, 4001))
    assert torch.equal(current[:, :, 1:], previous[:, :, :-1])


def test_each_pixel_follows_its_own_vector() -> None:
    flow = torch.zeros(2, 3, 3)
    flow[:, 0, 0] = torch.tensor([2.0, 1.0])
    image = torch.arange(9.0).view(1, 3, 3)
    expected = image.clone()
    expected[0, 0, 0] = image[0, 1, 2]
    assert torch.equal(warp(image, flow), expected)


def test_it_is_differentiable_in_the_image() -> None:
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(2, 5, 6, dtype=torch.float64, generator=generator, requires_grad=True)
    flow = 4 * torch.randn(2, 5, 6, generator=generator)
    assert torch.autograd.gradcheck(lambda pixels: warp(pixels, flow), [image])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_type_is_the_images(dtype: torch.dtype) -> None:
    assert warp(torch.ones(3, 4, 5, dtype=dtype), torch.zeros(2, 4, 5)).dtype == dtype


def test_what_is_no_number_reads_no_foreign_memory() -> None:
    flow = torch.full((2, 4, 4), float("nan"))
    flow[:, 0] = float("inf")
    assert warp(torch.ones(3, 4, 4), flow).shape == (3, 4, 4)


def test_it_never_asks_for_a_value() -> None:
    image, flow = torch.empty(3, 9, 7, device="meta"), torch.empty(2, 9, 7, device="meta")
    assert warp(image, flow).shape == (3, 9, 7)  # a meta tensor has none to give


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match=r"not \(3, 4, 4\) and \(2, 4, 5\)"):
        warp(torch.zeros(3, 4, 4), torch.zeros(2, 4, 5))


def test_the_chain_of_a_steady_pan_is_as_many_pans() -> None:
    pan, trusted = constant(1.5, -0.25, 6, 8), torch.ones(1, 6, 8)
    for steps, (way, trust) in enumerate(chain([(pan, trusted)] * 5), 1):
        torch.testing.assert_close(way, steps * pan)
        assert torch.equal(trust, trusted)


def test_each_step_of_a_chain_is_read_where_the_chain_has_led() -> None:
    # The pixel in the first column was one to the right, and that one, before, two further.
    newest = constant(1, 0, 1, 4), torch.tensor([[[1.0, 0.5, 1.0, 0.0]]])
    oldest = torch.tensor([[[7.0, 2.0, 0.5, -1.0]], [[0.0, 0, 0, 0]]]), newest[1]
    (_, _), (way, trust) = chain([newest, oldest])
    assert way[0, 0].tolist() == [3.0, 1.5, 0.0, 0.0]
    assert trust[0, 0].tolist() == [0.5, 0.5, 0.0, 0.0]


def test_a_chain_through_pictures_is_their_warps_in_turn() -> None:
    generator = torch.Generator().manual_seed(2)
    image = torch.rand(3, 20, 30, generator=generator)
    shifts = [(2.0, 1.0), (-3.0, 0.0), (4.0, -2.0)]
    flows = [constant(dx, dy, 20, 30) for dx, dy in shifts]
    *_, (way, _) = chain((flow, torch.ones(1, 20, 30)) for flow in flows)
    in_turn = image
    for flow in reversed(flows):
        in_turn = warp(in_turn, flow)
    inside = (slice(None), slice(6, -6), slice(10, -10))
    assert torch.equal(warp(image, way)[inside], in_turn[inside])
