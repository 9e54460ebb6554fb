"""What every test gets: one torch thread, global randomness put back, and two guides."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dreamvid.device import torch_environment

os.environ.update(torch_environment())  # as the command line does, for the processes of tests too

import torch

from dreamvid.guide.loading import Clip, load_clip

if TYPE_CHECKING:
    from playwright.sync_api import Browser

JUDGE = Path(__file__).parent / "judge"
CPU = torch.device("cpu")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Torch's threads wait actively for one another: on a busy machine, minutes for seconds."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def global_randomness_put_back() -> Iterator[None]:
    state = torch.get_rng_state()
    yield
    torch.set_rng_state(state)


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """Fails a test that leaves a thread behind."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser, where there is one."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium is installed here")
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed here")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def mini() -> Clip:
    """The built-in guide."""
    return load_clip("mini", CPU)


@pytest.fixture(scope="session")
def judge() -> Clip:
    """A second model, which never guides."""
    return load_clip(f"local-dir:{JUDGE}", CPU)
