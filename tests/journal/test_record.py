"""What is carried, as bytes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from dreamvid.errors import JournalError
from dreamvid.film.keeping import KeptCarry
from dreamvid.film.sequence import Carry
from dreamvid.journal.record import from_bytes, to_bytes


@dataclass(frozen=True)
class Everything:
    image: Tensor
    counts: Tensor
    scalar: Tensor
    index: int
    mean: float
    time: Fraction
    name: str
    nothing: Tensor | None = None
    is_done: bool = True


def everything() -> Everything:
    image = torch.rand(3, 4, 5).transpose(1, 2)
    image[0, 0, 0] = float("nan")
    counts = torch.arange(7)
    return Everything(
        image, counts, torch.tensor(True), -3, 0.1 + 0.2, Fraction(1001, 30000), "a “b”\n"
    )


def test_every_kind_of_field_comes_back_bit_for_bit():
    before = everything()
    after = from_bytes(Everything, to_bytes(before))
    for field in fields(Everything):
        a, b = getattr(before, field.name), getattr(after, field.name)
        if isinstance(a, Tensor):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            assert torch.equal(a.nan_to_num(9), b.nan_to_num(9))
        else:
            assert (a, type(a)) == (b, type(b))
    assert to_bytes(after) == to_bytes(before)


def test_what_is_carried_from_frame_to_frame_can_be_kept():
    source = torch.rand(3, 4, 6)
    carry = Carry(7, Fraction(1001, 30000), source, torch.rand(3, 4, 6), torch.rand(3))
    data = to_bytes(KeptCarry.of(carry))
    again = from_bytes(KeptCarry, data)
    assert to_bytes(again) == data
    assert len(data) < 1.1 * source.nbytes + 500  # the source is a hash
    assert again.shows(source)
    assert not again.shows(source.flip(0))
    restored = again.restored(source)
    assert vars(restored).keys() == vars(carry).keys()
    assert torch.equal(restored.dream, carry.dream)
    assert restored.source is source
    with pytest.raises(
        JournalError, match=r"dream is \(3, 4, 6\), its source \(3, 4, 5\); allowed"
    ):
        again.restored(source[:, :, :5])


def test_what_cannot_be_kept_is_named():
    @dataclass
    class Odd:
        pair: tuple[int, int]

    with pytest.raises(TypeError, match="pair is a tuple"):
        to_bytes(Odd((1, 2)))


@pytest.mark.parametrize("data", [b"", b"\x05\x00\x00\x00{}", to_bytes(everything())[:-9]])
def test_what_is_not_of_it_is_refused(data):
    with pytest.raises(ValueError, match="this is no Everything"):
        from_bytes(Everything, data)
    with pytest.raises(ValueError, match="this is no Carry"):
        from_bytes(Carry, to_bytes(everything()))
