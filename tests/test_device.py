"""Names of devices, and those that are not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from dreamvid import device as device_module
from dreamvid.config import check_device_name
from dreamvid.device import choose_device, choose_precision, torch_environment
from dreamvid.errors import ConfigError, DeviceError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bool], None]:
    """Makes believe that the machine has so many CUDA cards, and Apple's or not."""

    def pretend(cards: int, mps: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cards > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize("name", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:12"])
def test_names_that_devices_have(name):
    assert check_device_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", f"cuda:{10**19}", "cpu:0", "mps\n"]
)
def test_a_name_that_no_device_has_is_told_with_those_allowed(name):
    told = name.replace("\n", " ")  # in one line
    expected = f"--device: '{told}' is not allowed; allowed: auto, cpu, cuda, cuda:N or mps"
    with pytest.raises(ConfigError) as raised:
        choose_device(name)
    assert str(raised.value) == expected
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("cards", "mps", "best"), [(2, False, "cuda"), (0, True, "mps"), (0, False, "cpu")]
)
def test_auto_takes_the_best_there_is(machine, cards, mps, best):
    machine(cards, mps)
    assert choose_device("auto") == torch.device(best)


def test_a_device_that_is_there_is_taken(machine):
    machine(2, True)
    for name in ("cpu", "mps", "cuda", "cuda:1"):
        assert choose_device(name) == torch.device(name)


@pytest.mark.parametrize(
    ("cards", "mps", "name", "there"),
    [
        (0, False, "cuda", "auto, cpu"),
        (0, False, "cuda:0", "auto, cpu"),
        (2, False, "cuda:2", "auto, cpu, cuda:0, cuda:1"),
        (0, True, "cuda", "auto, cpu, mps"),
        (0, False, "mps", "auto, cpu"),
        (1, False, "mps", "auto, cpu, cuda:0"),
    ],
)
def test_a_device_that_is_not_there_is_told_with_those_that_are(machine, cards, mps, name, there):
    machine(cards, mps)
    with pytest.raises(DeviceError) as raised:
        choose_device(name)
    assert str(raised.value) == f"--device: '{name}' is not there; allowed here: {there}"
    assert raised.value.exit_code == 1


F32, BF16 = torch.float32, torch.bfloat16


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_a_precision_that_is_named_is_taken(device):
    for convolutional in (True, False):
        assert choose_precision("float32", torch.device(device), convolutional) == F32
        assert choose_precision("bfloat16", torch.device(device), convolutional) == BF16


@pytest.mark.parametrize(
    ("tiles", "products", "convolutions", "others"),
    [(False, False, F32, F32), (False, True, BF16, F32), (True, True, BF16, BF16)],
)
def test_a_cpu_gets_bfloat16_where_that_is_faster(
    monkeypatch, tiles, products, convolutions, others
):
    monkeypatch.setattr(device_module, "_bfloat16_units", lambda: (tiles, products))
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu, is_convolutional=True) == convolutions
    assert choose_precision("auto", cpu, is_convolutional=False) == others


def test_a_card_gets_bfloat16_where_that_card_has_it(monkeypatch):
    """Of two unlike cards, the one that is named counts, not the current one."""
    current = [torch.device("cuda:0")]

    @contextmanager
    def enter(device: torch.device) -> Iterator[None]:
        current.append(device)
        yield
        current.pop()

    def is_supported(including_emulation: bool = True) -> bool:
        return not including_emulation and current[-1].index == 1

    monkeypatch.setattr(torch.cuda, "device", enter)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    for index, expected in enumerate([F32, BF16]):
        card = torch.device("cuda", index)
        assert choose_precision("auto", card, is_convolutional=False) == expected
    assert choose_precision("auto", torch.device("mps"), is_convolutional=True) == F32


QUESTIONS = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")


def test_torch_still_has_the_private_names_that_it_is_asked_by():
    """Where they vanish, CPUs fall back to float32: look for their public successors."""
    assert [name for name in QUESTIONS if not hasattr(torch.cpu, name)] == []


@pytest.mark.parametrize("gone", range(len(QUESTIONS)))
def test_a_question_that_torch_no_longer_answers_is_answered_no(monkeypatch, gone):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    for name in QUESTIONS:
        monkeypatch.setattr(torch.cpu, name, lambda: True)
    monkeypatch.delattr(torch.cpu, QUESTIONS[gone])
    assert device_module._bfloat16_units() == (gone != 0, gone != 1)


def test_this_machine_can_be_asked():
    assert all(isinstance(unit, bool) for unit in device_module._bfloat16_units())


def test_torch_is_told_how_its_threads_wait(monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    assert torch_environment() == {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_whoever_has_said_it_is_left_in_peace(monkeypatch, name):
    for other in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "7")
    assert torch_environment() == {}
