"""Dreams video: gradient descent on the pixels until every frame means the prompt.

A whole film is one call, `dream_video("in.mp4", "out.mp4", prompt="a coral reef")`. The names below
are the library; each is loaded when it is first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dreamvid.config import (
        EvalConfig,
        ImageConfig,
        ReportConfig,
        ScoreConfig,
        VideoConfig,
        ZoomConfig,
    )
    from dreamvid.control.clock import Clock
    from dreamvid.control.schedule import Schedule
    from dreamvid.device import choose_device
    from dreamvid.doctor import Diagnosis, diagnose
    from dreamvid.dream.descent import descend
    from dreamvid.dream.places import Placed
    from dreamvid.errors import DreamvidError
    from dreamvid.evaluation.accumulator import Evaluation
    from dreamvid.evaluation.run import EvaluationResult, evaluate, evaluate_loop
    from dreamvid.evaluation.score import Scores, score
    from dreamvid.events import (
        Event,
        Finished,
        FrameDone,
        Listener,
        Message,
        Progress,
        StepDone,
        Warned,
    )
    from dreamvid.film.outlook import Outlook, plan
    from dreamvid.film.report import Summary
    from dreamvid.film.sequence import FrameSettings, constant_settings, dream_frames
    from dreamvid.film.settings import scheduled_settings
    from dreamvid.film.shots import FoundShots, find_shots
    from dreamvid.guide.objective import create_objectives
    from dreamvid.live.performance import Performance, play
    from dreamvid.making import dream_image, dream_video, zoom
    from dreamvid.media.reader import VideoReader
    from dreamvid.media.still import read_image, write_image
    from dreamvid.media.writer import VideoWriter
    from dreamvid.motion.camera import Camera
    from dreamvid.motion.flow import create_flow
    from dreamvid.motion.shots import create_cut_detector
    from dreamvid.reporting.comparing import Comparison, compare
    from dreamvid.reporting.run import Report, report
    from dreamvid.rerunning import rerun
    from dreamvid.resuming import join, peek, resume
    from dreamvid.types import Frame, Shot
    from dreamvid.zooms.endless import dream_zoom
    from dreamvid.zooms.loop import Loop, dream_loop, film_loop

_HOMES = {
    # Whole results, from file to file.
    "compare": "reporting.comparing",
    "diagnose": "doctor",
    "dream_image": "making",
    "dream_video": "making",
    "evaluate": "evaluation.run",
    "evaluate_loop": "evaluation.run",
    "find_shots": "film.shots",
    "join": "resuming",
    "peek": "resuming",
    "play": "live.performance",
    "plan": "film.outlook",
    "report": "reporting.run",
    "rerun": "rerunning",
    "resume": "resuming",
    "score": "evaluation.score",
    "zoom": "making",
    # What they take and give.
    "Comparison": "reporting.comparing",
    "Diagnosis": "doctor",
    "DreamvidError": "errors",
    "EvalConfig": "config",
    "EvaluationResult": "evaluation.run",
    "Event": "events",
    "Finished": "events",
    "FoundShots": "film.shots",
    "FrameDone": "events",
    "ImageConfig": "config",
    "Listener": "events",
    "Message": "events",
    "Outlook": "film.outlook",
    "Performance": "live.performance",
    "Progress": "events",
    "Report": "reporting.run",
    "ReportConfig": "config",
    "ScoreConfig": "config",
    "Scores": "evaluation.score",
    "Shot": "types",
    "StepDone": "events",
    "Summary": "film.report",
    "VideoConfig": "config",
    "Warned": "events",
    "ZoomConfig": "config",
    # The parts, to be put together otherwise.
    "Camera": "motion.camera",
    "Clock": "control.clock",
    "Evaluation": "evaluation.accumulator",
    "Frame": "types",
    "FrameSettings": "film.sequence",
    "Loop": "zooms.loop",
    "Placed": "dream.places",
    "Schedule": "control.schedule",
    "VideoReader": "media.reader",
    "VideoWriter": "media.writer",
    "choose_device": "device",
    "constant_settings": "film.sequence",
    "create_cut_detector": "motion.shots",
    "create_flow": "motion.flow",
    "create_objectives": "guide.objective",
    "descend": "dream.descent",
    "dream_frames": "film.sequence",
    "dream_loop": "zooms.loop",
    "dream_zoom": "zooms.endless",
    "film_loop": "zooms.loop",
    "read_image": "media.still",
    "scheduled_settings": "film.settings",
    "write_image": "media.still",
}

__all__ = [
    "Camera",
    "Clock",
    "Comparison",
    "Diagnosis",
    "DreamvidError",
    "EvalConfig",
    "Evaluation",
    "EvaluationResult",
    "Event",
    "Finished",
    "FoundShots",
    "Frame",
    "FrameDone",
    "FrameSettings",
    "ImageConfig",
    "Listener",
    "Loop",
    "Message",
    "Outlook",
    "Performance",
    "Placed",
    "Progress",
    "Report",
    "ReportConfig",
    "Schedule",
    "ScoreConfig",
    "Scores",
    "Shot",
    "StepDone",
    "Summary",
    "VideoConfig",
    "VideoReader",
    "VideoWriter",
    "Warned",
    "ZoomConfig",
    "choose_device",
    "compare",
    "constant_settings",
    "create_cut_detector",
    "create_flow",
    "create_objectives",
    "descend",
    "diagnose",
    "dream_frames",
    "dream_image",
    "dream_loop",
    "dream_video",
    "dream_zoom",
    "evaluate",
    "evaluate_loop",
    "film_loop",
    "find_shots",
    "join",
    "peek",
    "plan",
    "play",
    "read_image",
    "report",
    "rerun",
    "resume",
    "scheduled_settings",
    "score",
    "write_image",
    "zoom",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dreamvid' has no attribute '{name}'")
    return getattr(import_module(f"dreamvid.{_HOMES[name]}"), name)
