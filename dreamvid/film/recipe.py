"""The recipe of a result: the options that made it, kept in its metadata."""

from __future__ import annotations

METADATA_KEY = "dreamvid"
"""Key under which a result's metadata keep the options that made it, as JSON."""
