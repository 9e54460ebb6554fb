"""One contract for every flow estimator, and what is said when one cannot be had."""

import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import cv2
import pytest
import torch
from torchvision.models import optical_flow

from dreamvid.errors import ConfigError, DreamvidError, GuideError
from dreamvid.motion import create_flow
from dreamvid.motion.flow import tof_flow
from dreamvid.types import FlowEstimator
from tests.motion.scenes import RAFT_SMALL, need, texture, translated


@pytest.fixture(scope="module", params=["dis", "farneback", "raft-small", "tof"])
def estimate(request: pytest.FixtureRequest) -> FlowEstimator:
    if request.param == "tof":
        return tof_flow
    weights = need(RAFT_SMALL) if request.param.startswith("raft") else None
    return create_flow(request.param, "cpu", weights)


@pytest.mark.parametrize("size", [(136, 200), (129, 173), (40, 56), (31, 97)])
def test_sign_and_scale(estimate: FlowEstimator, size: tuple[int, int]) -> None:
    flow = estimate(*translated(*size, dx=3, dy=-2))
    assert flow.shape == (2, *size)
    assert flow.dtype == torch.float32
    assert flow.device.type == "cpu"
    inner = flow[:, 8:-8, 8:-8].flatten(1)
    torch.testing.assert_close(inner.median(1).values, torch.tensor([3.0, -2.0]), atol=0.3, rtol=0)


@pytest.mark.parametrize("size", [(8, 8), (9, 15), (16, 90)])
def test_tiny_pictures(estimate: FlowEstimator, size: tuple[int, int]) -> None:
    flow = estimate(texture(*size, seed=1), texture(*size, seed=1))
    assert flow.shape == (2, *size)
    assert flow.abs().median() < 0.3


def test_the_same_frames_give_the_same_flow(estimate: FlowEstimator) -> None:
    threads = cv2.getNumThreads()
    current, previous = translated(136, 200, dx=1, dy=1)
    kept = current.clone()
    first = estimate(current, previous)
    estimate(texture(130, 140, seed=2), texture(130, 140, seed=3))  # leaves nothing behind
    assert torch.equal(estimate(current, previous), first)
    assert torch.equal(current, kept)
    assert cv2.getNumThreads() == threads


def test_it_keeps_no_gradient(estimate: FlowEstimator) -> None:
    current, previous = translated(128, 128, dx=1, dy=1)
    assert not estimate(current.requires_grad_(), previous).requires_grad


def test_frames_are_of_one_size(estimate: FlowEstimator) -> None:
    with pytest.raises(ValueError, match=r"not \(3, 128, 128\) and \(3, 128, 130\)"):
        estimate(torch.zeros(3, 128, 128), torch.zeros(3, 128, 130))
    with pytest.raises(ValueError, match="floating-point"):
        estimate(torch.zeros(1, 128, 128), torch.zeros(1, 128, 128))


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_dis_survives_the_sizes_that_crash_opencv() -> None:
    code = """
import torch
from dreamvid.motion import create_flow
estimate = create_flow("dis", "cpu")
for size in [(1, 1), (8, 8), (12, 200), (16, 200), (24, 320), (16, 640), (200, 16), (127, 128)]:
    assert estimate(torch.rand(3, *size), torch.rand(3, *size)).isfinite().all(), size
"""
    result = run_python(code)
    assert result.returncode == 0, result.stderr


def test_importing_the_package_loads_no_vision_library() -> None:
    code = """
import sys, dreamvid.motion
print(*sorted({"cv2", "torchvision", "scenedetect"} & sys.modules.keys()))
"""
    assert run_python(code).stdout == "\n"


def test_raft_large_takes_weights_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "large.pth"
    torch.save(optical_flow.raft_large(weights=None).state_dict(), file)
    estimate = create_flow("raft-large", "cpu", str(file))
    assert estimate(*translated(128, 131, dx=1, dy=0)).shape == (2, 128, 131)
    with pytest.raises(GuideError, match="does not hold the parameters of raft-small"):
        create_flow("raft-small", "cpu", file)


def message(name: str, weights: Path | None, error: type[DreamvidError]) -> str:
    with pytest.raises(error) as caught:
        create_flow(name, "cpu", weights)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_unknown_name() -> None:
    text = message("liteflownet", None, ConfigError)
    assert text == (
        "--flow: 'liteflownet' is not allowed; allowed: dis, farneback, raft-small, raft-large"
    )


def test_weights_for_what_has_none() -> None:
    text = message("dis", Path("raft.pth"), ConfigError)
    assert text == (
        "--flow-weights 'raft.pth': --flow dis has no weights; allowed with raft-small, raft-large"
    )


def test_missing_weights(tmp_path: Path) -> None:
    text = message("raft-small", tmp_path / "none.pth", GuideError)
    assert text.startswith(f"--flow-weights '{tmp_path / 'none.pth'}': there is no such file; ")
    assert text.endswith("or try --flow dis")


@pytest.mark.parametrize("content", [b"", b"not weights\n", b"PK\x03\x04 torn off", b"\x80\x02."])
def test_a_file_that_holds_no_weights(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file.pth"
    file.write_bytes(content)
    text = message("raft-small", file, GuideError)
    assert text.startswith(f"--flow-weights '{file}' is no file of weights; allowed: ")
    assert "--flow dis" in text


@pytest.mark.parametrize("content", [{"a": torch.zeros(1)}, [1, 2], {"a": 1}, 3, {1: 2}])
def test_weights_of_something_else(tmp_path: Path, content: object) -> None:
    file = tmp_path / "file.pth"
    torch.save(content, file)
    text = message("raft-small", file, GuideError)
    assert text.startswith(f"--flow-weights '{file}' does not hold the parameters of raft-small; ")


@pytest.mark.parametrize(
    "failure", [URLError("no route to host"), RuntimeError("invalid hash value (expected a)\nb")]
)
def test_failed_download(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failure: Exception
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        print("Downloading …")  # noqa: T201 as torch.hub does
        raise failure

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    text = message("raft-large", None, GuideError)
    assert text.startswith("--flow raft-large: cannot download https://download.pytorch.org/")
    assert "try --flow dis, or --flow-weights FILE" in text
    assert capsys.readouterr() == ("", "")


def test_building_a_network_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    create_flow("raft-small", "cpu", need(RAFT_SMALL))
    assert torch.equal(torch.get_rng_state(), before)
