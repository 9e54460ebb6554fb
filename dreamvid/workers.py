"""Work shared out to processes by Ray, on this machine or on the cluster that is up.

Ray is imported when it is used; nothing else needs it. A worker is an actor: it keeps what it has
loaded from task to task, and when it dies another takes its place and its task.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from dreamvid.device import torch_environment
from dreamvid.errors import ConfigError, DreamvidError
from dreamvid.events import Listener, Message, Progress, Warned

if TYPE_CHECKING:
    from ray.util.queue import Queue

Workers = int | Literal["auto"]
Work = Callable[[Any, Listener], Any]
"""(task, listener) → result: what a worker does with each task. Raises DreamvidError.

It is pickled once for each worker, in which it may keep state. A task may be given again, after its
worker has died. Of the events, messages, warnings and progress are passed on.
"""

RETRIES = 20
"""How often a task is begun again after its worker has died."""
_LOOK_S = 0.2
"""Seconds between two looks at the workers, and so the longest wait for Ctrl-C."""
_STORE_BYTES = 80 * 2**20
"""Ray's shared memory, near its least: nothing large is passed."""


@dataclass(frozen=True)
class Told:
    """An event of a task."""

    task: int
    """Index of the task."""
    event: Message | Warned | Progress


@dataclass(frozen=True)
class Done:
    """The end of a task: its result, or its error."""

    task: int
    result: Any = None
    error: DreamvidError | None = None


def parse_workers(text: str) -> Workers:
    """A number of workers, or auto. Raises ConfigError."""
    if text == "auto":
        return "auto"
    if not re.fullmatch(r"[1-9]\d{0,4}", text):
        raise ConfigError(f"--workers '{text}' is not allowed; allowed: 1 or more, or auto")
    return int(text)


def check_ray() -> None:
    """Raise ConfigError where Ray is not installed."""
    if find_spec("ray") is None:
        raise ConfigError(
            "--workers needs Ray, which is not installed; allowed: pip install 'dreamvid[farm]', "
            "or --shot in processes of your own"
        )


def share_out(
    work: Work, tasks: Sequence[Any], workers: Workers, *, on_gpu: bool, threads: int
) -> Generator[Told | Message | Done | None, None, None]:
    """Let workers do all `tasks`, the first ones first; yield what they tell and their ends.

    Each worker has a GPU of its own where there are GPUs and `on_gpu`; else its share of the
    processors, but at most so many `threads`. Yields None where nothing has happened for a moment.
    Close it to stop all workers at once. Raises ConfigError where Ray is missing, DreamvidError
    where workers keep dying.
    """
    check_ray()
    begin = time.monotonic()
    with _running_ray() as whose:
        share = Share.of(_resources(), workers, len(tasks), on_gpu)
        pool = _Pool(work, tasks, share, threads)
        try:
            took = time.monotonic() - begin
            yield Message(f"{share.describe()} on {whose}, after {took:.1f} s")
            yield from pool.run()
        finally:
            pool.stop()


@contextmanager
def _running_ray() -> Iterator[str]:
    """Ray, and whose it is: the caller's, a cluster's that is up, or this process's own."""
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # or else it warns of a future change
        "RAY_worker_niceness": "0",  # as a run without workers
        **torch_environment(),
    }
    import ray

    if ray.is_initialized():
        yield "the Ray that is running"
        return
    quietly: dict[str, Any] = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    # What the raylet tells would still go to standard output. Ray's debugger does the same.
    ray._private.worker._worker_logs_enabled = False
    try:
        yield _init(quietly)
    finally:
        ray.shutdown()
        ray._private.worker._worker_logs_enabled = True


def _init(quietly: dict[str, Any]) -> str:
    """Connect to the cluster that RAY_ADDRESS or `ray start` names, or start a Ray; whose it is."""
    import ray

    own = {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
    try:
        ray.init(num_cpus=_processors(), **own, **quietly)
        return "a Ray of its own"
    except ValueError:  # there is a cluster, which has processors of its own
        pass
    try:
        ray.init(**quietly)
        return "the Ray cluster"
    except ConnectionError as error:
        raise DreamvidError(
            f"{error}; allowed: one that is up, with RAY_AUTH_MODE=token where it wants one, or "
            "none (`ray stop`, no RAY_ADDRESS)"
        ) from None


def _resources() -> Mapping[str, float]:
    import ray

    return ray.cluster_resources()  # type: ignore[no-any-return]


def _processors() -> int:
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Share:
    """How many workers there are, and what each has for itself."""

    workers: int
    processors: float
    """Whole ones, or a part of one."""
    gpus: int
    """0 or 1."""

    @classmethod
    def of(cls, there: Mapping[str, float], asked: Workers, tasks: int, on_gpu: bool) -> Share:
        """The shares of what is `there`, CPUs and GPUs, for no more workers than tasks or GPUs."""
        processors, gpus = int(there.get("CPU", 1)), int(there.get("GPU", 0)) if on_gpu else 0
        number = (gpus or processors) if asked == "auto" else asked
        number = min(number, tasks, gpus or number)
        each = processors / number
        return cls(number, int(each) if each >= 1 else round(each * 0.99, 4), int(gpus > 0))

    def describe(self) -> str:
        """In one line."""
        plural = "" if self.workers == 1 else "s"
        return f"{self.workers} worker{plural}{' with a GPU each' if self.gpus else ''}"


class _Pool:
    """Workers that have been started, and their tasks."""

    def __init__(self, work: Work, tasks: Sequence[Any], share: Share, threads: int) -> None:
        import ray
        from ray.util.queue import Queue

        self._work, self._tasks = work, tasks
        self._events: Queue = Queue(actor_options={"num_cpus": 0})
        kind = ray.remote(
            num_cpus=share.processors,
            num_gpus=share.gpus,
            max_restarts=RETRIES,
            max_task_retries=RETRIES,
        )(_Worker)
        own = max(1, min(threads, int(share.processors)))
        self._idle = [kind.remote(own) for _ in range(share.workers)]
        self._busy: dict[Any, tuple[Any, int]] = {}
        """The worker and the index of each task in work, by the reference to its end."""

    def run(self) -> Iterator[Told | Done | None]:
        """Hand out all tasks, and yield what happens."""
        import ray

        waiting = deque(enumerate(self._tasks))
        while waiting or self._busy:
            while waiting and self._idle:
                index, task = waiting.popleft()
                worker = self._idle.pop()
                end = worker.do.remote(self._work, self._events, index, task)
                self._busy[end] = worker, index
            for idle in self._idle:
                ray.kill(idle)  # another that waits for its place may begin
            self._idle.clear()
            done, _ = ray.wait(list(self._busy), timeout=_LOOK_S)
            yield from self._told()
            yield None
            for reference in done:
                worker, index = self._busy.pop(reference)
                yield self._end(reference, index)
                self._idle.append(worker)

    def _end(self, reference: Any, index: int) -> Done:
        import ray

        try:
            result, error = ray.get(reference)
        except ray.exceptions.RayActorError:
            raise DreamvidError(
                f"a worker has died {RETRIES} times; allowed: fewer --workers, a smaller --size, "
                "or one process, which tells why"
            ) from None
        return Done(index, result, error)

    def _told(self) -> Iterator[Told]:
        for _ in range(self._events.qsize()):
            yield self._events.get()

    def stop(self) -> None:
        """End all workers at once; what they have finished is safe."""
        import ray

        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            ray.kill(worker)
        with suppress(ray.exceptions.RayActorError):
            self._events.shutdown(force=True)


class _Worker:
    """An actor: does one task after the other, in a process of its own."""

    def __init__(self, threads: int) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # which torch reads when it is loaded
        self._work: Work | None = None

    def do(
        self, work: Work, events: Queue, index: int, task: Any
    ) -> tuple[Any, DreamvidError | None]:
        """The result of a task, or its error; `work` of the first task serves all."""
        self._work = self._work or work

        def listener(event: object) -> None:
            if isinstance(event, Message | Warned | Progress):
                events.put(Told(index, event))

        try:
            return self._work(task, listener), None
        except DreamvidError as error:
            return None, error
