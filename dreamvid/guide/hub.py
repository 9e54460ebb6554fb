"""Files of the Hugging Face hub: from its cache on this machine, otherwise downloaded."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PATIENCE_S = 5.0
"""Longest time in seconds to wait for the hub's first answer."""


class HubUnreachableError(Exception):
    """A file is not cached and the hub does not answer."""


def hub_files(repository: str, *files: Sequence[str]) -> list[Path]:
    """Paths of files of `repository` (ORG/NAME), all of the same revision.

    Each of `files` lists names for one file; the first that exists is taken. Cached files are used
    as they are and the network is left alone. The cache is searched here, rather than by a client
    in offline mode, because that mode is a setting of the whole process.

    Raises HubUnreachableError, or huggingface_hub's errors where the hub refuses.
    """
    cached = [path for names in files if (path := _cached(repository, names))]
    if len(cached) == len(files):
        return cached
    require_hub()
    return [_downloaded(repository, names) for names in files]


def require_hub() -> None:
    """Raise HubUnreachableError, within seconds, unless the hub answers."""
    if not hub_answers():
        raise HubUnreachableError


def hub_answers() -> bool:
    """Whether the hub can be reached: one request, because its client would retry for a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def cached_repositories() -> dict[str, int]:
    """Repositories in the hub's cache on this machine → their sizes in MB."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return {}
    # An interrupted download leaves a repository that holds no weights.
    return {
        repository.repo_id: round(repository.size_on_disk / 1e6)
        for repository in repositories
        if repository.size_on_disk > 1e6
    }


def _cached(repository: str, names: Sequence[str]) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    for name in names:
        path = try_to_load_from_cache(repository, name)
        if isinstance(path, str):  # not a mark that the repository lacks this file
            return Path(path)
    return None


def _downloaded(repository: str, names: Sequence[str]) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    *preferred, last = names
    for name in preferred:
        with suppress(EntryNotFoundError):
            return Path(hf_hub_download(repository, name))
    return Path(hf_hub_download(repository, last))
