"""Flow estimators by name: sizes, weights, and the errors of weights that are not available."""

import io
import subprocess
import sys
from email.message import Message
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torch import Tensor
from torchvision.models import optical_flow

from dreamvid.errors import ConfigError, DreamvidError, GuideError
from dreamvid.motion import create_flow
from dreamvid.motion.flow import OpticalFlow, load_raft, raft, tof_flow
from dreamvid.motion.measure import BackwardFlow
from tests.motion.scenes import RAFT_SMALL, need, translated


@pytest.mark.parametrize("estimate", [create_flow("dis", "cpu").backward, tof_flow])
def test_frames_are_of_one_size(estimate: BackwardFlow) -> None:
    with pytest.raises(ValueError, match=r"not \(3, 128, 128\) and \(3, 128, 130\)"):
        estimate(torch.zeros(3, 128, 128), torch.zeros(3, 128, 130))
    with pytest.raises(ValueError, match="floating-point"):
        estimate(torch.zeros(1, 128, 128), torch.zeros(1, 128, 128))


@pytest.mark.parametrize("name", ["dis", "farneback", "raft-small"])
def test_both_directions_at_once_are_each_direction_alone(name: str) -> None:
    estimate = create_flow(name, "cpu", need(RAFT_SMALL) if name == "raft-small" else None)
    current, previous = translated(129, 173, dx=3, dy=-2)
    tolerance = 1e-4 if name == "raft-small" else 0
    alone = estimate.backward(current, previous), estimate.backward(previous, current)
    for flow, expected in zip(estimate(current, previous), alone, strict=True):
        torch.testing.assert_close(flow, expected, atol=tolerance, rtol=0)


def test_each_flow_has_memory_of_its_own() -> None:
    """A film's evaluation remembers backward flow alone."""
    estimate = create_flow("raft-small", "cpu", need(RAFT_SMALL))
    for flow in estimate(*translated(128, 136, dx=1, dy=0)):
        assert flow.untyped_storage().nbytes() == flow.nbytes


@pytest.mark.parametrize("name", ["dis", "farneback", "raft-small"])
def test_motion_of_large_frames_is_estimated_at_a_smaller_size(name: str) -> None:
    weights = need(RAFT_SMALL) if name == "raft-small" else None
    estimate = create_flow(name, "cpu", weights, max_side=200)
    for flow, shift in zip(
        estimate(*translated(272, 400, dx=6, dy=-4)), ([6.0, -4.0], [-6.0, 4.0]), strict=True
    ):
        assert flow.shape == (2, 272, 400)
        median = flow[:, 16:-16, 16:-16].flatten(1).median(1).values
        torch.testing.assert_close(median, torch.tensor(shift), atol=0.6, rtol=0)


def sizes_seen(max_side: int | None, height: int, width: int) -> tuple[list[int], Tensor]:
    """The size that a backend sees, and the flow of two pixels there, scaled to the frames'."""
    seen: list[list[int]] = []

    def two(currents: Tensor, previous: Tensor) -> list[Tensor]:
        seen.append(list(currents.shape[2:]))
        return [torch.full((2, *each.shape[1:]), 2.0) for each in currents]

    frame = torch.zeros(3, height, width)
    backward, _ = OpticalFlow(two, 128, max_side)(frame, frame)
    return seen[0], backward


def test_the_flow_of_shrunk_frames_is_scaled_on_each_axis() -> None:
    size, backward = sizes_seen(640, 1081, 1920)
    assert size == [360, 640]
    assert backward.shape == (2, 1081, 1920)
    torch.testing.assert_close(backward[0], torch.full((1081, 1920), 6.0))
    torch.testing.assert_close(backward[1], torch.full((1081, 1920), 2 * 1081 / 360))


@pytest.mark.parametrize(
    ("max_side", "frame", "size"),
    [
        (640, (360, 640), [360, 640]),  # frames within the limit are left alone
        (640, (640, 360), [640, 360]),
        (None, (1080, 1920), [1080, 1920]),
        (640, (256, 2560), [128, 1280]),  # no side falls below the backend's smallest
        (640, (100, 2560), [200, 5120]),
    ],
)
def test_the_size_at_which_motion_is_estimated(
    max_side: int | None, frame: tuple[int, int], size: list[int]
) -> None:
    assert sizes_seen(max_side, *frame)[0] == size


def test_frames_within_the_limit_give_the_same_bits() -> None:
    frames = translated(136, 200, dx=3, dy=-2)
    for one, other in zip(
        create_flow("dis", "cpu", max_side=200)(*frames),
        create_flow("dis", "cpu")(*frames),
        strict=True,
    ):
        assert torch.equal(one, other)


def test_half_precision_changes_rafts_flow_by_a_fraction_of_a_pixel() -> None:
    network = load_raft("raft-small", need(RAFT_SMALL))
    current, previous = (each[None] for each in translated(136, 200, dx=3, dy=-2))
    exact, rounded = (
        raft(network, torch.device("cpu"), dtype, current, previous)[0]
        for dtype in (torch.float32, torch.bfloat16)  # with fewer digits than float16
    )
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    assert (exact - rounded).norm(dim=0).median() < 0.1


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_dis_survives_the_sizes_that_crash_opencv() -> None:
    code = """
import torch
from dreamvid.motion import create_flow
estimate = create_flow("dis", "cpu")
for size in [(1, 1), (8, 8), (12, 200), (16, 200), (24, 320), (16, 640), (200, 16), (127, 128)]:
    backward, forward = estimate(torch.rand(3, *size), torch.rand(3, *size))
    assert backward.isfinite().all() and forward.isfinite().all(), size
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
    assert estimate.backward(*translated(128, 131, dx=1, dy=0)).shape == (2, 128, 131)
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


class Answer(io.BytesIO):
    """An answer of a server."""

    def info(self) -> Message:
        return Message()


@pytest.mark.parametrize(
    "failure", [URLError("no route to host"), RuntimeError("first line\nsecond line"), None]
)
def test_failed_download(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    failure: Exception | None,
) -> None:
    def answer(request: object) -> Answer:
        if failure is not None:
            raise failure
        return Answer(b"of another hash")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", answer)
    text = message("raft-large", None, GuideError)
    assert text.startswith("--flow raft-large: cannot download https://download.pytorch.org/")
    assert "try --flow dis, or --flow-weights FILE" in text
    assert capfd.readouterr() == ("", "")
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_weights_are_downloaded_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    weights, fetched = need(RAFT_SMALL).read_bytes(), []

    def fetch(url: str, file: str, hash_prefix: str, progress: bool) -> None:
        fetched.append((Path(url).name, hash_prefix, progress))
        Path(file).write_bytes(weights)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fetch)
    for _ in range(2):
        create_flow("raft-small", "cpu")
    name = "raft_small_C_T_V2-01064c6d.pth"
    assert fetched == [(name, "01064c6d", False)]
    assert (tmp_path / "hub" / "checkpoints" / name).is_file()  # where torch.hub looks for it


def test_building_a_network_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    create_flow("raft-small", "cpu", need(RAFT_SMALL))
    assert torch.equal(torch.get_rng_state(), before)
