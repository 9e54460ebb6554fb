"""Train a small CLIP whose gradients are pictures; stopped, the same command goes on.

    python scripts/guide/train.py FOLDER OUT [--steps N] [--radius R] …

FOLDER holds the prepared data, OUT becomes a model in open_clip's folder format, with its
training's state beside it. Adversarial training (Madry et al., 2018) within an L2 ball, by one step
from a random start (Wong et al., 2020, show that one is enough), for the reason that Ganz & Elad
(CLIPAG, 2023) give: what such a network's gradients change is what a person would. Pictures and
captions are contrasted as in CLIP (Radford et al., 2021), except that a picture has as many right
captions as fit it.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import model as models
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor
from views import LEFT_OUT, Batch, Views

TEMPLATES = (
    *("{}", "{}", "{}", "{}", "a {}", "a {}", "the {}", "a picture of a {}", "a photo of a {}"),
    *("{} everywhere", "a painting of {}", "many {}", "full of {}", "a drawing of a {}"),
)
OTHERS = 1024
"""A step's captions besides the fitting ones, as they were when all were last encoded."""
REFRESHED = 50
"""Steps between that."""
KEYWORD_WEIGHT = 0.3
WARM_UP = 0.03
"""Share of the training in which the rate rises."""
EMA = 0.999


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vision", default="rn32", choices=models.VISION)
    parser.add_argument("--text-width", type=int, default=96)
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--radius", type=float, default=1.0, help="L2, of pixels in [0, 1]")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--sides", type=int, nargs="+", default=[64], help="of views, in turn")
    parser.add_argument("--ramp", type=float, nargs=2, default=(0.5, 0.7), help="of the radius")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--left-out", nargs="*", default=[LEFT_OUT], help="vendors")
    parser.add_argument("--every", type=int, default=100, help="steps between states on disk")
    return parser.parse_args()


class Texts:
    """Captions as tokens, and which fit."""

    def __init__(self, views: Views) -> None:
        self._texts, self._tokenize = views.texts, SimpleTokenizer(context_length=models.CONTEXT)
        self._cache: dict[str, Tensor] = {}

    def tokens(self, texts: list[str]) -> Tensor:
        for text in texts:
            if text not in self._cache:
                self._cache[text] = self._tokenize([text])[0]
        return torch.stack([self._cache[text] for text in texts])

    def draw(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens of a fitting caption for each view, `OTHERS` more captions' numbers, what fits.

        The last is (views, all those captions): how well each fits.
        """
        captions = list(zip(batch.names, batch.keywords, strict=True))
        picked = [_choose(names, words) for names, words in captions]
        others = torch.randint(len(self._texts), (OTHERS,))
        fits = torch.zeros(len(picked), len(self._texts))
        for row, (names, words) in enumerate(captions):
            fits[row, words] = KEYWORD_WEIGHT
            fits[row, names] = 1
        told = self.tokens([self._phrase(number) for number in picked])
        return told, others, fits[:, torch.cat([torch.tensor(picked), others])]

    @torch.no_grad()
    def encode_all(self, model: CLIP) -> Tensor:
        """All captions, as they stand."""
        parts = [self._texts[n : n + 1024] for n in range(0, len(self._texts), 1024)]
        return torch.cat([models.encode_text(model, self.tokens(part)) for part in parts])

    def _phrase(self, number: int) -> str:
        template = TEMPLATES[int(torch.randint(len(TEMPLATES), ()))]
        return template.format(self._texts[number])


def _choose(names: list[int], keywords: list[int]) -> int:
    """A name, mostly."""
    pool = keywords if keywords and float(torch.rand(())) < KEYWORD_WEIGHT else names
    return pool[int(torch.randint(len(pool), ()))]


def loss_of(images: Tensor, texts: Tensor, fits: Tensor, scale: Tensor) -> Tensor:
    """Cross entropy of each view among the captions, and of each caption among the views."""
    logits = scale * images @ texts.T
    rows = -(fits / fits.sum(1, keepdim=True) * F.log_softmax(logits, 1)).sum(1).mean()
    count = len(images)
    fits, logits = fits[:, :count].T, logits[:, :count].T
    return rows - (fits / fits.sum(1, keepdim=True) * F.log_softmax(logits, 1)).sum(1).mean()


def worst_within(
    visual: Callable[[Tensor], Tensor],
    images: Tensor,
    texts: Tensor,
    fits: Tensor,
    scale: Tensor,
    radius: float,
) -> Tensor:
    """The images, each moved by at most `radius` to where the loss is greatest, to first order."""

    def length(x: Tensor) -> Tensor:
        norms: Tensor = x.flatten(1).norm(dim=1)
        return norms.view(-1, 1, 1, 1)

    delta = torch.randn_like(images)
    delta = delta / length(delta) * radius * torch.rand(len(images), 1, 1, 1)
    delta.requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16):
        embedded = models.encode_images(visual, (images + delta).clamp(0, 1))
    (gradient,) = torch.autograd.grad(loss_of(embedded, texts, fits, scale), delta)
    delta = (delta + gradient / (length(gradient) + 1e-12) * radius).detach()
    delta = delta / (length(delta) / radius).clamp(min=1)
    return (images + delta).clamp(0, 1)


class Training:
    """All that a stopped training needs to go on."""

    def __init__(self, given: argparse.Namespace) -> None:
        torch.manual_seed(given.seed)
        self.given = given
        self.views = Views(given.folder, tuple(given.left_out))
        self.texts = Texts(self.views)
        built = models.create(given.vision, given.text_width, given.folder / "data.npz")
        self.model = built.to(memory_format=torch.channels_last)
        self.mean = copy.deepcopy(self.model)
        # A quarter less time on a CPU.
        self.visual = torch.compile(self.model.visual)
        embedding = [self.model.token_embedding.weight]
        others = [p for p in self.model.parameters() if p is not embedding[0]]
        groups = [
            {"params": [p for p in others if p.ndim > 1], "weight_decay": 0.05, "share": 1.0},
            {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0, "share": 1.0},
            # Slowly, so that words never seen keep their place among those that are.
            {"params": embedding, "weight_decay": 0.0, "share": 0.1},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=given.rate, betas=(0.9, 0.98))
        self.step, self.seconds = 0, 0.0
        self._all_texts: Tensor | None = None
        self._path = given.out / "training.pt"
        if self._path.exists():
            self._restore(torch.load(self._path, weights_only=False))

    def _restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.mean.load_state_dict(state["mean"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        torch.set_rng_state(state["random"])

    def save(self) -> None:
        self.given.out.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.model.state_dict(),
            "mean": self.mean.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "random": torch.get_rng_state(),
        }
        partial = self._path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self._path)
        models.save(
            self.mean.state_dict(), self.given.vision, self.given.text_width, self.given.out
        )
        facts = {k: str(v) if isinstance(v, Path) else v for k, v in vars(self.given).items()}
        facts |= {"step": self.step, "seconds": round(self.seconds)}
        (self.given.out / "training.json").write_text(json.dumps(facts, indent=2) + "\n")

    def advance(self) -> float:
        """One step; its loss."""
        given, done = self.given, self.step / self.given.steps
        rate = given.rate * min(1, done / WARM_UP + 0.01) * (0.51 + 0.49 * math.cos(math.pi * done))
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        side = self._side()
        batch = self.views.draw(given.batch, side)
        if self.step % REFRESHED == 0 or self._all_texts is None:
            self._all_texts = self.texts.encode_all(self.model)
        tokens, others, fits = self.texts.draw(batch)
        told = models.encode_text(self.model, tokens)
        texts, scale = torch.cat([told, self._all_texts[others]]), self._scale()
        low, high = given.ramp
        radius = given.radius * min(1, max(0, (done - low) / (high - low))) * side / models.SIDE
        images = batch.images
        if radius:
            self.model.visual.requires_grad_(False)
            images = worst_within(self.visual, images, texts.detach(), fits, scale.detach(), radius)
            self.model.visual.requires_grad_(True)
        with torch.autocast("cpu", torch.bfloat16):
            embedded = models.encode_images(self.visual, images)
        loss = loss_of(embedded, texts, fits, scale)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self._average()
        self.step += 1
        return float(loss)

    @torch.no_grad()
    def recall(self, model: CLIP) -> tuple[float, float]:
        """Shares of the pictures left out whose name is the first, or among the first five."""
        model.eval()
        done = min(self.step, self.given.steps - 1) / self.given.steps
        pictures, names, right = self.views.left_out(
            self.given.sides[int(done * len(self.given.sides))]
        )
        images = models.encode_images(model.visual, pictures)
        agreement = images @ models.encode_text(model, self.texts.tokens(names)).T
        places = (agreement > agreement.gather(1, right[:, None])).sum(1)
        model.train()
        first, five = (round(float((places < k).float().mean()), 3) for k in (1, 5))
        return first, five

    def _side(self) -> int:
        """Of the views at this step."""
        sides: list[int] = self.given.sides
        steps: int = self.given.steps
        return sides[min(self.step * len(sides) // steps, len(sides) - 1)]

    def _scale(self) -> Tensor:
        scale: Tensor = self.model.logit_scale.exp().clamp(max=50)
        return scale

    def _average(self) -> None:
        keep = min(EMA, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            means, news = self.mean.state_dict().values(), self.model.state_dict().values()
            for mean, new in zip(means, news, strict=True):
                if mean.is_floating_point():
                    mean.lerp_(new, 1 - keep)
                else:
                    mean.copy_(new)


def main() -> None:
    given = arguments()
    torch.set_num_threads(2)
    training = Training(given)
    training.model.train()
    begin = time.monotonic() - training.seconds
    recent: list[float] = []
    while training.step < given.steps:
        recent.append(training.advance())
        training.seconds = time.monotonic() - begin
        if training.step % given.every == 0 or training.step == given.steps:
            training.save()
            mean = sum(recent) / len(recent)
            print(
                f"step {training.step} {training.seconds:.0f} s loss {mean:.3f}",
                f"top-1, top-5 {training.recall(training.model)} {training.recall(training.mean)}",
                flush=True,
            )
            recent.clear()


if __name__ == "__main__":
    main()
