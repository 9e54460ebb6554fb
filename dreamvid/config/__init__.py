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
from dreamvid.config.loading import build_config, checked, config_from, read_toml, varied
from dreamvid.config.sections import (
    COMMANDS,
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
    ScoreConfig,
    Section,
    SequenceConfig,
    SoundConfig,
    SpanConfig,
    TargetConfig,
    TimeConfig,
    VideoConfig,
    WriteConfig,
    ZoomConfig,
    command_of,
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
    "COMMANDS",
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
    "ScoreConfig",
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
    "checked",
    "command_of",
    "config_from",
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
