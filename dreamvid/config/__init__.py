"""Every option and its default, declared once.

The models are the single source for the command line (names, help, limits, defaults), for
configuration files (TOML) and for the metadata of results (JSON): an option has one name in all
of them, in kebab case.

    values      parsers, types and marks of single options
    sections    the options, by section, and the models of the commands
    describing  options in words: help, TOML, errors
    loading     effective options from presets, files and the command line
"""

from dreamvid.config.describing import Option, options, to_toml
from dreamvid.config.loading import build_config, read_toml, varied
from dreamvid.config.sections import (
    MODELS,
    SMALLEST_ROUND,
    CameraConfig,
    DeliveryConfig,
    DeviceConfig,
    DreamConfig,
    EncodeConfig,
    EvalConfig,
    FlowConfig,
    GuideConfig,
    ImageConfig,
    MotionConfig,
    PromptConfig,
    ReadConfig,
    ScheduledConfig,
    Section,
    SequenceConfig,
    SoundConfig,
    SpanConfig,
    TargetConfig,
    TimeConfig,
    VideoConfig,
    WriteConfig,
    ZoomConfig,
    limits,
    varying,
)
from dreamvid.config.values import (
    DEVICES,
    Position,
    check_device_name,
    parse_duration,
    parse_pair,
    parse_position,
    parse_rate,
    parse_seconds,
    split_assignment,
    split_scene,
    split_weight,
)

__all__ = [
    "DEVICES",
    "MODELS",
    "SMALLEST_ROUND",
    "CameraConfig",
    "DeliveryConfig",
    "DeviceConfig",
    "DreamConfig",
    "EncodeConfig",
    "EvalConfig",
    "FlowConfig",
    "GuideConfig",
    "ImageConfig",
    "MotionConfig",
    "Option",
    "Position",
    "PromptConfig",
    "ReadConfig",
    "ScheduledConfig",
    "Section",
    "SequenceConfig",
    "SoundConfig",
    "SpanConfig",
    "TargetConfig",
    "TimeConfig",
    "VideoConfig",
    "WriteConfig",
    "ZoomConfig",
    "build_config",
    "check_device_name",
    "limits",
    "options",
    "parse_duration",
    "parse_pair",
    "parse_position",
    "parse_rate",
    "parse_seconds",
    "read_toml",
    "split_assignment",
    "split_scene",
    "split_weight",
    "to_toml",
    "varied",
    "varying",
]
