"""What a guide sees in pictures: how near they are to prompts, and to the words of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.config import ReadConfig, ScoreConfig, split_area, split_weight
from dreamvid.errors import ConfigError
from dreamvid.events import Listener, Progress
from dreamvid.film.checks import config_of
from dreamvid.film.report import Reporter
from dreamvid.guide.names import parse_guide
from dreamvid.guide.words import word_list
from dreamvid.media.files import check_input
from dreamvid.media.source import Source
from dreamvid.notebook import usual_listener

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.guide.loading import Clip

BATCH = 16
"""Pictures that a guide sees at once."""
STAGE = "looking"


@dataclass(frozen=True)
class Score:
    """What a guide sees in one picture, or in one frame of a film."""

    picture: str
    time: float | None
    """Seconds in the film; None for a picture."""
    score: float | None
    """Weighted mean of the similarities, those to negatives subtracted; None without prompts."""
    similarities: tuple[float, ...]
    """Cosine of the picture to each of the prompts, the mean over all guides."""
    words: tuple[tuple[str, float], ...]
    """The nearest words, each with its cosine, or with that to the difference of two pictures."""


@dataclass(frozen=True)
class Scores:
    """The pictures by their scores, the best first; without prompts, in their own order."""

    guide: tuple[str, ...]
    prompts: tuple[str, ...]
    """Texts, files and directions, in the order of a score's similarities."""
    pictures: tuple[Score, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object of all values, as `dreamvid score --json` prints it."""
        return asdict(self)


def score(
    pictures: Sequence[str | PathLike[str]],
    *,
    config: ScoreConfig | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> Scores:
    """Rank pictures, and the frames of films, by their similarity to the prompts.

    Each of `pictures` is a file, a folder or a pattern, as `dreamvid video` reads it. Each option
    of `dreamvid score` is a keyword, on top of `config`. With `words` each also gets the nearest
    words of a list, or those nearest to its difference from the picture `less`.

    Raises ConfigError, MediaError, GuideError or DeviceError.
    """
    config = config_of(ScoreConfig, config, options)
    _check(config)
    span = ReadConfig(start=config.start, end=config.end, fps=config.fps)
    found = [Source.find(Path(picture), span) for picture in pictures]
    films = ("video", "animation", "pipe")  # of others, each picture is looked at
    sources = [each if each.kind in films else replace(each, config=ReadConfig()) for each in found]

    from dreamvid.device import choose_device
    from dreamvid.guide.loading import load_clip

    reporter = Reporter(listener or usual_listener())
    device = choose_device(config.device)
    prompts = _prompts(config)
    judges = []
    for guide in config.guide:
        clip = load_clip(guide, device, config.precision)
        judges.append(_Judge.of(clip, prompts, config))
        del clip  # before the next one is loaded
    scored = [
        _score(name, time, features, judges, prompts, config.words)
        for name, time, features in _seen(sources, judges, reporter)
    ]
    if prompts:
        scored.sort(key=lambda each: -(each.score or 0))
    return Scores(tuple(config.guide), tuple(each.label for each in prompts), tuple(scored))


def _check(config: ScoreConfig) -> None:
    """Raise a DreamvidError for wrong options, before anything heavy is loaded."""
    if not config.words:
        config.require_prompt()
    if config.less is not None:
        if not config.words:
            raise ConfigError("--less is given without --words; allowed with --words N")
        check_input(Path(config.less))
    for guide in config.guide:
        parse_guide(guide)
    for weighted in config.image_prompt:
        check_input(Path(split_weight(weighted)[0]))


@dataclass(frozen=True)
class _Prompt:
    """One thing to compare with."""

    label: str
    weight: float
    """Below 0 for a negative."""
    embed: Callable[[Clip], Tensor]
    """The guide → its vector (D,) of unit length."""


def _prompts(config: ScoreConfig) -> list[_Prompt]:
    """All prompts of the options: texts, pictures, negatives, directions."""
    from dreamvid.media.still import read_image

    def text(words: str) -> Callable[[Clip], Tensor]:
        return lambda clip: clip.embed_texts([words])[0]

    def picture(path: str) -> Callable[[Clip], Tensor]:
        return lambda clip: clip.embed_images([read_image(Path(path))])[0]

    def direction(begin: str, end: str) -> Callable[[Clip], Tensor]:
        return lambda clip: _unit(text(end)(clip) - text(begin)(clip))

    ends = [split_weight(weighted) for weighted in config.to]
    paths = [split_weight(weighted) for weighted in config.image_prompt]
    return [
        *(
            _Prompt(words, weight, text(split_area(words)[0]))
            for words, weight in map(split_weight, config.prompt)
        ),
        *(_Prompt(path, weight, picture(path)) for path, weight in paths),
        *(
            _Prompt(f"not {words}", -weight, text(words))
            for words, weight in map(split_weight, config.negative)
        ),
        *(
            _Prompt(f"{begin} -> {end}", weight, direction(begin, end))
            for begin, (end, weight) in zip(config.from_, ends, strict=True)
        ),
    ]


def _unit(vector: Tensor) -> Tensor:
    unit: Tensor = vector / vector.norm().clamp(min=1e-12)
    return unit


@dataclass(frozen=True)
class _Judge:
    """One guide's image tower, and what it compares with."""

    tower: Any
    prompts: Tensor
    """(P, D), of unit length."""
    words: Tensor
    """(W, D), of unit length; none where no word is asked for."""
    less: Tensor | None
    """(D,): features of the picture to subtract."""

    @classmethod
    def of(cls, clip: Clip, prompts: Sequence[_Prompt], config: ScoreConfig) -> _Judge:
        import torch

        from dreamvid.media.still import read_image

        none = clip.embed_texts([])
        asked = torch.stack([each.embed(clip) for each in prompts]) if prompts else none
        words = clip.embed_texts(word_list()) if config.words else none
        less = None
        if config.less is not None:
            less = clip.embed_images([read_image(Path(config.less))])[0]
        return cls(clip.tower, asked, words, less)

    def nearness(self, features: Tensor) -> Tensor:
        """The cosine (W,) of a picture's features (D,) to the words."""
        seen = features if self.less is None else _unit(features - self.less)
        return self.words @ seen


def _seen(
    sources: Sequence[Source], judges: Sequence[_Judge], reporter: Reporter
) -> Iterator[tuple[str, float | None, list[Tensor]]]:
    """Each picture's name and time, and its features (D,) by each judge."""
    import torch

    from dreamvid.guide.tower import see_whole

    images = _images(sources, reporter)
    done = 0
    with torch.no_grad():
        while batch := list(islice(images, BATCH)):
            shown = [image for _, _, image in batch]
            features = [see_whole(judge.tower, shown) for judge in judges]
            for number, (name, time, _) in enumerate(batch):
                yield name, time, [each[number] for each in features]
            done += len(batch)
            reporter.tell(Progress(STAGE, done, None))


def _images(
    sources: Sequence[Source], reporter: Reporter
) -> Iterator[tuple[str, float | None, Tensor]]:
    """Each picture, and each frame of a film with its time in seconds."""
    for source in sources:
        with source.open(reporter.warn) as reader:
            for number, frame in enumerate(reader):
                if source.kind == "pictures":
                    yield str(source.files[number]), None, frame.image
                else:
                    yield str(source.path), round(float(frame.time), 3), frame.image


def _score(
    name: str,
    time: float | None,
    features: Sequence[Tensor],
    judges: Sequence[_Judge],
    prompts: Sequence[_Prompt],
    words: int,
) -> Score:
    pairs = list(zip(judges, features, strict=True))
    cosines = _mean([judge.prompts @ seen for judge, seen in pairs]).tolist()
    total = sum(abs(each.weight) for each in prompts)
    weighted = sum(each.weight * cosine for each, cosine in zip(prompts, cosines, strict=True))
    nearest: list[tuple[str, float]] = []
    if words:
        nearness, known = _mean([judge.nearness(seen) for judge, seen in pairs]), word_list()
        best = nearness.topk(min(words, len(known)))
        nearest = [
            (known[index], round(value, 4))
            for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]
    return Score(
        name,
        time,
        round(weighted / total, 4) if prompts else None,
        tuple(round(cosine, 4) for cosine in cosines),
        tuple(nearest),
    )


def _mean(values: Sequence[Tensor]) -> Tensor:
    import torch

    return torch.stack([each.cpu() for each in values]).mean(0)
