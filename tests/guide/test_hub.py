"""Files of the hub: the cache first, and the network only for what is missing."""

from __future__ import annotations

import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError

from dreamvid.guide import hub
from dreamvid.guide.hub import HubUnreachableError, hub_files


class Hub:
    """A hub with one repository and an empty cache."""

    def __init__(self, folder: Path, *files: str) -> None:
        self.folder, self.files = folder, files
        self.asked: list[str] = []
        self.answers = True

    def cached(self, repository: str, name: str) -> str | None:
        path = self.folder / name
        return str(path) if path.exists() else None

    def download(self, repository: str, name: str) -> str:
        self.asked.append(name)
        if name not in self.files:
            raise EntryNotFoundError("404")
        (self.folder / name).touch()
        return str(self.folder / name)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A reachable hub."""
    found = Hub(tmp_path, "config.json", "weights.bin")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", found.cached)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", found.download)
    monkeypatch.setattr(hub, "hub_answers", lambda: found.answers)
    return found


WANTED = (["config.json"], ["weights.safetensors", "weights.bin"])


def test_the_first_name_that_exists_is_downloaded_and_then_found_in_the_cache(there):
    expected = [there.folder / "config.json", there.folder / "weights.bin"]
    assert hub_files("org/name", *WANTED) == expected
    assert there.asked == ["config.json", "weights.safetensors", "weights.bin"]
    there.asked.clear()
    there.answers = False
    assert hub_files("org/name", *WANTED) == expected
    assert there.asked == []


def test_where_one_file_is_missing_all_come_from_the_same_revision(there):
    (there.folder / "config.json").touch()
    hub_files("org/name", *WANTED)
    assert there.asked == ["config.json", "weights.safetensors", "weights.bin"]


def test_a_file_that_no_repository_holds_is_the_hubs_own_error(there):
    with pytest.raises(EntryNotFoundError):
        hub_files("org/name", ["a.safetensors", "a.bin"])


def test_what_is_not_cached_needs_the_hub(there):
    there.answers = False
    with pytest.raises(HubUnreachableError):
        hub_files("org/name", *WANTED)
    assert there.asked == []


def test_the_clients_settings_are_left_alone(there):
    before = {name: value for name, value in vars(constants).items() if name.isupper()}
    hub_files("org/name", *WANTED)
    assert before == {name: value for name, value in vars(constants).items() if name.isupper()}


def test_a_hub_that_is_switched_off_is_not_asked(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(urllib.request, "urlopen", None)
    assert hub.hub_answers() is False


@pytest.mark.parametrize(
    ("error", "answers"),
    [
        (urllib.error.URLError(ConnectionRefusedError(111, "refused")), False),
        (TimeoutError(), False),
        (ConnectionResetError(), False),
        (urllib.error.HTTPError("https://hub", 403, "no", Message(), None), True),
        (urllib.error.HTTPError("https://hub", 500, "no", Message(), None), True),
    ],
)
def test_the_hub_answers_where_it_says_anything_at_all(error, answers, monkeypatch):
    def fail(request: urllib.request.Request, timeout: float) -> None:
        assert timeout <= 10
        raise error

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(urllib.request, "urlopen", fail)
    assert hub.hub_answers() is answers
