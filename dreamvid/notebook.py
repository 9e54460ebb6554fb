"""Progress bars in a notebook, where no listener is given."""

from __future__ import annotations

import sys
from typing import Any

from dreamvid.events import Event, Listener, Message, Progress, Warned, ignore


def usual_listener() -> Listener:
    """Progress bars in a notebook; elsewhere `ignore`, since a library prints nothing."""
    return ProgressBars() if "ipykernel" in sys.modules else ignore


class ProgressBars:
    """A listener that shows each stage as a bar, by tqdm, and warnings as lines."""

    def __init__(self, **options: Any) -> None:
        """Pass `options`, for example `file`, on to tqdm."""
        self._options = options
        self._bar: Any = None
        self._stage = ""

    def __call__(self, event: Event) -> None:
        from tqdm.auto import tqdm

        if isinstance(event, Progress):
            if event.stage != self._stage:
                self._stage = event.stage
                self._bar = tqdm(
                    desc=event.stage, total=event.total, initial=event.done, **self._options
                )
            self._bar.set_postfix_str(event.note, refresh=False)
            self._bar.update(event.done - self._bar.n)
            if event.done == event.total:
                self._bar.close()
        elif isinstance(event, Warned | Message):
            prefix = "warning: " if isinstance(event, Warned) else ""
            tqdm.write(f"dreamvid: {prefix}{event.text}", file=self._options.get("file"))
