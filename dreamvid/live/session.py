"""What is played: a source shown at its own rate, with what was dreamed on it."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING

from dreamvid.config import VideoConfig
from dreamvid.control.schedule import Setting
from dreamvid.dream.canvas import constrain
from dreamvid.errors import ConfigError, DreamvidError
from dreamvid.live.bus import Bus
from dreamvid.live.dreaming import Dreamer, Moment
from dreamvid.live.following import Follower
from dreamvid.live.job import LiveJob
from dreamvid.live.meaning import Meaning
from dreamvid.live.picture import Picture
from dreamvid.live.playing import Player, Taken
from dreamvid.live.recording import Recording, save_still
from dreamvid.types import Frame

if TYPE_CHECKING:
    from dreamvid.media.probing import VideoInfo

RECENT = 120
"""Frames that rates and delays are told of."""
RECENT_S = 3.0
LINES = 5
"""Lines that are kept for who begins to watch."""


@dataclass(frozen=True, eq=False)
class Shown:
    """One frame as it is shown."""

    index: int
    frame: Frame
    """The dream; its time is in seconds since the beginning."""
    source: Frame
    """The source, of the same size."""
    setting: Setting[VideoConfig]
    begins_shot: bool
    due: float
    """Time by `time.monotonic` at which it was due."""
    at: float
    """Time at which it was ready to be shown."""


@dataclass(frozen=True)
class Figures:
    """How well it goes, over the last frames."""

    shown: int = 0
    """Frames shown so far."""
    rate: float = 0.0
    """Frames shown a second."""
    dreams: int = 0
    """Differences dreamed so far."""
    dream_rate: float = 0.0
    """New differences a second."""
    delay_ms: float = 0.0
    """Median of the time from due to shown."""
    left_out: int = 0
    """Frames of the source that were left out."""


class Session:
    """Frames as they are shown, for one pass; `open_session` makes one.

    All that is not the frames themselves may be called from any thread.
    """

    def __init__(
        self,
        job: LiveJob,
        player: Player,
        picture: Picture,
        bus: Bus,
        meaning: Meaning,
        dreamer: Dreamer,
        follower: Follower,
        *,
        repeats: bool,
        stopped: Flag,
    ) -> None:
        """Show what `player` gives; with `repeats`, time begins anew with each of its rounds.

        `stopped` is the flag that ends it, and the player's waiting.
        """
        self.job, self.bus = job, bus
        self.newest: Shown | None = None
        self.watchers: list[Callable[[Shown], None]] = []
        """Called with each frame, in the thread that shows; they must be quick."""
        self._player, self._picture, self._meaning = player, picture, meaning
        self._dreamer, self._follower = dreamer, follower
        self._repeats, self._stopped = repeats, stopped
        self._taken: Generator[Taken, None, None] | None = None
        self._beat_time = 0.0
        self._dreams: deque[float] = deque(maxlen=RECENT)
        self._shown_at: deque[float] = deque(maxlen=RECENT)
        self._delays: deque[float] = deque(maxlen=RECENT)
        self._dream_count = 0
        self._news: deque[str] = deque(maxlen=RECENT)
        self._lines: tuple[str, ...] = ()
        self._wants_recording = job.record
        self._recording: Recording | None = None
        self._finishing: list[Thread] = []

    @property
    def info(self) -> VideoInfo:
        """Header of what is shown."""
        return self._picture.info

    @property
    def is_recording(self) -> bool:
        """Whether a take is recorded."""
        return self._recording is not None

    def now(self) -> float:
        """Seconds of the clock that glides follow."""
        return time.monotonic()

    def elapsed(self) -> float:
        """Seconds of the time that beats are counted in, at this moment."""
        newest = self.newest
        if newest is None:
            return 0.0
        return self._beat_time + (self.now() - newest.due)

    def stop(self) -> None:
        """End after the frame in work."""
        self._stopped.set()

    def record(self, wanted: bool) -> None:
        """Begin or end a take, with the next frame."""
        self._wants_recording = wanted

    def save_still(self) -> Path:
        """Write the newest frame as a picture. Raises ConfigError, MediaError."""
        if self.newest is None:
            raise ConfigError("still: nothing is shown yet; allowed: a moment later")
        return save_still(self.job.folder, self.newest.frame.image)

    def tell(self, line: str) -> None:
        """Leave a line for who watches and who listens."""
        self._news.append(line)
        self._lines = (*self._lines[-LINES + 1 :], line)

    @property
    def lines(self) -> tuple[str, ...]:
        """The last lines that were left."""
        return self._lines

    def take_news(self) -> list[str]:
        """The lines that were left since the last call."""
        lines = []
        while self._news:
            lines.append(self._news.popleft())
        return lines

    @property
    def figures(self) -> Figures:
        """How well it goes."""
        shown = 0 if self.newest is None else self.newest.index + 1
        delays = list(self._delays)
        return Figures(
            shown,
            _rate(list(self._shown_at), self.now()),
            self._dream_count,
            _rate(list(self._dreams), self.now()),
            1000 * statistics.median(delays) if delays else 0.0,
            self._player.skipped,
        )

    def __iter__(self) -> Iterator[Shown]:
        self._taken = iter(self._player)
        for index, taken in enumerate(self._taken):
            if self._stopped.is_set():
                break
            shown = self._show(index, taken)
            self.newest = shown
            self._shown_at.append(shown.at)
            self._delays.append(shown.at - shown.due)
            self._record(shown)
            for watch in self.watchers:
                watch(shown)
            yield shown

    def close(self) -> None:
        """End reading and a take, and wait until its files are whole.

        The frames must not be iterated over at the same time.
        """
        if self._taken is not None:
            self._taken.close()
        self._wants_recording = False
        self._end_recording()
        for thread in self._finishing:
            thread.join()

    def _show(self, index: int, taken: Taken) -> Shown:
        time, number = taken.elapsed, index
        if self._repeats:
            time, number = taken.frame.time, taken.index
        self._beat_time = float(time)
        setting = self.bus.at(time, number, taken.frame.duration, self.now())
        seen = self._picture.see(taken, setting.config)
        small = self._picture.shrink(seen)
        dreamt = self._dreamer.take()
        if dreamt is not None:
            self._follower.arrive(dreamt.source, dreamt.added, dreamt.effort)
            self._dreams.append(self.now())
            self._dream_count += 1
        begins_shot = self._follower.advance(small.image)
        if self._dreamer.is_idle:
            self._begin(small, setting)
        added = self._follower.difference()
        dream = small
        if added is not None:
            strength = setting.config.strength
            dream = small.with_image(constrain(small.image + added, small.image, strength))
        delivered = self._picture.finish(dream, small.image)
        return Shown(index, delivered, seen, setting, begins_shot, taken.due, self.now())

    def _begin(self, small: Frame, setting: Setting[VideoConfig]) -> None:
        texts = self.bus.config
        settings = partial(self._meaning.at, setting, texts)
        self._dreamer.offer(Moment(small, settings, self._follower.begin(), self.bus.wishes))

    def _record(self, shown: Shown) -> None:
        if not self._wants_recording:
            self._end_recording()
            return
        if self._recording is None:
            try:
                job = self.job
                self._recording = Recording(job.folder, self.info, self.bus.config, job.source_name)
            except DreamvidError as error:
                self._wants_recording = False
                self.tell(f"record: {error}")
                return
        try:
            self._recording.add(shown.frame, shown.source, self.bus.played)
        except DreamvidError:
            self._wants_recording = False  # its end tells why

    def _end_recording(self) -> None:
        if self._recording is not None:
            self._finishing.append(self._recording.finish(self.bus.config, self.tell))
            self._recording = None


def _rate(times: Sequence[float], now: float) -> float:
    """Events a second, from the times of the last."""
    recent = [each for each in times if now - each < RECENT_S]
    return len(recent) / max(now - recent[0], 1e-3) if len(recent) > 1 else 0.0
