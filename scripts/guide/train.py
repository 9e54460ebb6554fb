"""Train a small CLIP whose gradients are pictures; stopped, the same command goes on.

    python scripts/guide/train.py FOLDER OUT [--steps N] [--radius R] …

FOLDER holds the prepared data, OUT becomes a model in open_clip's folder format, with its
training's state beside it. First the image tower: it learns a unit vector for each concept and
places the concept's pictures about it (Movshovitz-Attias et al., 2017, call them proxies), which on
a small machine takes a tenth of the steps that contrasting pictures with captions takes. Then the
text tower learns where the captions lie among those (`words.py`).

Adversarial training (Madry et al., 2018) within an L2 ball, by one step from a random start (Wong
et al., 2020, show that one is enough), for the reason that Ganz & Elad (CLIPAG, 2023) give: what
such a network's gradients change is what a person would.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import model as models
import torch
import torch.nn.functional as F
import words
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import load_file
from torch import Tensor, nn
from views import LEFT_OUT, Views

from dreamvid.device import choose_precision

CPU = torch.device("cpu")
HALVES = choose_precision("auto", CPU, is_convolutional=True) == torch.bfloat16
"""Whether to train in bfloat16; without units for it, a processor is ten times as slow in that."""
SCALE = 16.0
"""Of the cosines, in the softmax."""
SMOOTHING = 0.05
STYLE_SCALE, STYLE_WEIGHT = 8.0, 0.1
"""Of the cosine with the style's vector, and of that loss beside the concepts'."""
WEIGHT_DECAY = 0.05
WARM_UP = 0.05
"""Share of the training in which the rate rises."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--begin", type=Path, help="an OUT, or a guide, to go on from")
    parser.add_argument("--vision", default="resnet10t", choices=models.VISION)
    parser.add_argument("--text-width", type=int, default=96)
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--until", type=int, help="stop after this step, for others to begin from")
    parser.add_argument("--word-steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--radius", type=float, default=1.0, help="L2, of pixels in [0, 1]")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--sides", type=int, nargs="+", default=[64], help="of views, in turn")
    parser.add_argument("--ramp", type=float, nargs=2, default=(0.5, 0.7), help="of the radius")
    parser.add_argument("--simple", type=float, nargs=2, default=(0.6, 0.3), help="views, in turn")
    parser.add_argument("--faint", type=float, nargs=2, default=(0.45, 0.45), help="alike")
    parser.add_argument("--photographic", type=float, default=0.0, help="share of the views")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--left-out", nargs="*", default=LEFT_OUT, help="vendors")
    parser.add_argument("--every", type=int, default=200, help="steps between states on disk")
    return parser.parse_args()


class Tower(nn.Module):
    """An image tower and the concepts' vectors: views in, logits out."""

    def __init__(self, visual: nn.Module, concepts: int) -> None:
        super().__init__()
        self.visual = visual
        self.vectors = nn.Parameter(torch.randn(concepts, models.EMBEDDING) * 0.06)
        self.style = nn.Parameter(torch.randn(models.EMBEDDING) * 0.06)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, H, W) in [0, 1] → (n, concepts), (n,): above 0 what looks like a photograph."""
        with torch.autocast("cpu", torch.bfloat16, enabled=HALVES):
            embedded = models.encode_images(self.visual, images)
        concepts = SCALE * embedded @ F.normalize(self.vectors, dim=1).T
        return concepts, STYLE_SCALE * embedded @ F.normalize(self.style, dim=0)


def worst_within(tower: Tower, images: Tensor, labels: Tensor, radius: Tensor) -> Tensor:
    """The images, moved to where the loss is greatest, to first order, within each one's radius."""

    def length(x: Tensor) -> Tensor:
        norms: Tensor = x.flatten(1).norm(dim=1)
        return norms.view(-1, 1, 1, 1)

    radius = radius.view(-1, 1, 1, 1)
    delta = torch.randn_like(images)
    delta = delta / length(delta) * radius * torch.rand(len(images), 1, 1, 1)
    delta.requires_grad_(True)
    tower.requires_grad_(False)
    loss = F.cross_entropy(tower((images + delta).clamp(0, 1))[0], labels)
    (gradient,) = torch.autograd.grad(loss, delta)
    tower.requires_grad_(True)
    delta = (delta + gradient / (length(gradient) + 1e-12) * radius).detach()
    delta = delta / (length(delta) / radius).clamp(min=1)
    return (images + delta).clamp(0, 1)


class Training:
    """All that a stopped training needs to go on."""

    def __init__(self, given: argparse.Namespace) -> None:
        torch.manual_seed(given.seed)
        self.given = given
        self.views = Views(given.folder, tuple(given.left_out), given.photographic)
        self.measured = [v for v in given.left_out if v in self.views.vendors]
        built = models.create(given.vision, given.text_width, given.folder / "data.npz")
        self.model = built.to(memory_format=torch.channels_last)
        self.tower = Tower(self.model.visual, len(self.views.concepts))
        # A quarter less time on a CPU.
        self.tower.compile()
        learned = list(self.tower.parameters())
        found = [self.tower.vectors, self.tower.style]
        weights = [p for p in learned if p.ndim > 1 and p is not self.tower.vectors]
        others = [p for p in learned if p.ndim <= 1 and p is not self.tower.style]
        groups = [
            {"params": weights, "weight_decay": WEIGHT_DECAY},
            {"params": [*others, *found], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=given.rate, betas=(0.9, 0.98), fused=True)
        self.step, self.seconds = 0, 0.0
        self._path = given.out / "training.pt"
        if self._path.exists():
            state = torch.load(self._path, weights_only=False)
            self._take(state)
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = state["step"], state["seconds"]
            torch.set_rng_state(state["random"])
        elif given.begin is not None:
            self._begin(given.begin)

    def _take(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.tower.vectors.data.copy_(state["vectors"])
        self.tower.style.data.copy_(state["style"])

    def _begin(self, folder: Path) -> None:
        """Go on from a training, with its words if it has taught any, or from a guide."""
        ended, guide = folder / "training.pt", folder / "open_clip_model.safetensors"
        if guide.exists():
            self.model.load_state_dict(self.model.state_dict() | load_file(guide))
        if ended.exists():
            state = torch.load(ended, weights_only=False)
            towers = {k: v for k, v in state["model"].items() if k.startswith("visual.")}
            self.model.load_state_dict(self.model.state_dict() | towers)
            self.tower.vectors.data.copy_(state["vectors"])
            self.tower.style.data.copy_(state["style"])
        else:
            facts = json.loads((folder / "open_clip_config.json").read_text())
            learned_norm = facts["vocabulary_cfg"]["learned_norm"]
            self.tower.vectors.data.copy_(self._places(learned_norm))

    @torch.no_grad()
    def _places(self, learned_norm: float) -> Tensor:
        """Where a guide has the concepts, for want of their vectors: (concepts, EMBEDDING).

        Where their names' words lie, as far as it has learned those, and some of their pictures.
        """
        self.model.eval()
        tokenize = SimpleTokenizer(context_length=models.CONTEXT)
        names = tokenize([concept.names[0] for concept in self.views.concepts])
        norms = self.model.token_embedding.weight.norm(dim=1)
        is_known = ((norms[names] >= learned_norm) | (names == 0)).all(1)[:, None]
        places = models.encode_text(self.model, names)
        images, labels = self.views.some_of_each(models.SIDE, ~is_known.flatten())
        seen = torch.zeros_like(places)
        seen.index_add_(0, labels, models.encode_images(self.model.visual, images))
        self.model.train()
        return F.normalize(torch.where(is_known, places, seen + 0.01 * places), dim=1)

    def save(self) -> None:
        self.given.out.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.model.state_dict(),
            "vectors": self.tower.vectors.data,
            "style": self.tower.style.data,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "random": torch.get_rng_state(),
        }
        partial = self._path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self._path)

    def advance(self) -> float:
        """One step; its loss."""
        given, done = self.given, self.step / self.given.steps
        for group in self.optimizer.param_groups:
            group["lr"] = given.rate * words.rate_at(done, WARM_UP)
        side = self.side()
        simple, faint = (a + (b - a) * done for a, b in (given.simple, given.faint))
        images, labels, presence, styles = self.views.draw(given.batch, side, simple, faint)
        low, high = given.ramp
        radius = given.radius * min(1, max(0, (done - low) / (high - low))) * side / models.SIDE
        if radius:
            # Of a faint thing a small change leaves nothing.
            images = worst_within(self.tower, images, labels, radius * presence)
        concepts, style = self.tower(images)
        loss = F.cross_entropy(concepts, labels, label_smoothing=SMOOTHING)
        # A view between the styles weighs nothing.
        loss = loss - STYLE_WEIGHT * (styles.abs() * F.logsigmoid(styles * style)).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.tower.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def side(self) -> int:
        """Of the views at this step."""
        sides: list[int] = self.given.sides
        steps: int = self.given.steps
        return sides[min(self.step, steps - 1) * len(sides) // steps]

    @torch.no_grad()
    def recall(self, vendor: str) -> tuple[float, float]:
        """Shares of a vendor's left-out pictures whose concept is first, or among five."""
        self.model.eval()
        pictures, right, named = self.views.left_out(self.side(), vendor)
        images = models.encode_images(self.model.visual, pictures)
        agreement = images @ F.normalize(self.tower.vectors[named], dim=1).T
        places = (agreement > agreement.gather(1, right[:, None])).sum(1)
        self.model.train()
        first, five = (round(float((places < k).float().mean()), 3) for k in (1, 5))
        return first, five

    def finish(self) -> None:
        """Teach the words, and save the model."""
        given = self.given
        vectors = F.normalize(self.tower.vectors.detach(), dim=1)
        style = F.normalize(self.tower.style.detach(), dim=0)
        learned = words.teach(self.model, vectors, style, self.views, given.word_steps, SCALE)
        self.model.logit_scale.data.fill_(math.log(SCALE))
        models.save(self.model.state_dict(), given.vision, given.text_width, learned, given.out)
        facts = {k: str(v) if isinstance(v, Path) else v for k, v in vars(given).items()}
        facts |= {"seconds": round(self.seconds)}
        (given.out / "training.json").write_text(json.dumps(facts, indent=2) + "\n")


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    training = Training(given)
    training.model.train()
    begin = time.monotonic() - training.seconds
    recent: list[float] = []
    last = given.steps if given.until is None else min(given.until, given.steps)
    while training.step < last:
        recent.append(training.advance())
        training.seconds = time.monotonic() - begin
        if training.step % given.every == 0 or training.step == last:
            training.save()
            told = {
                "step": training.step,
                "seconds": round(training.seconds),
                "loss": round(sum(recent) / len(recent), 3),
                "left out, first and among five": [training.recall(v) for v in training.measured],
            }
            print(json.dumps(told), flush=True)
            recent.clear()
    if training.step == given.steps:
        training.finish()


if __name__ == "__main__":
    main()
