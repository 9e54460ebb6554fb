"""The objective that CLIP and prompts make, and what dreams by it mean to a second model."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dreamvid.config import DreamConfig, PromptConfig, VideoConfig
from dreamvid.dream.descent import descend, frame_generator
from dreamvid.guide.loading import Clip, load_clip
from dreamvid.guide.objective import (
    ClipObjective,
    create_objective,
    create_objectives,
    mixed,
    spherical_distance,
)
from dreamvid.types import Mix, PromptWeights
from tests.conftest import CPU
from tests.motion.scenes import texture

ROSE = "a red rose"


BERRY = "a strawberry"


def prompts(**given: list[str]) -> PromptConfig:
    return PromptConfig.model_validate(given)


def test_a_prompt_for_which_there_is_no_room_is_told_of(mini):
    room = mini.tokenizer(["a"]).shape[1] - 2  # but for the marks of beginning and end
    fits = " ".join(["reef"] * room)
    assert mini.reads_all(fits)
    assert mini.reads_all("")
    told: list[str] = []
    config = VideoConfig(prompt=["a reef::2", f"{fits} fish::1"], negative=[f"{fits} text"])
    create_objectives(config, CPU, on_warning=told.append)
    assert told == [
        f"guide 'mini' has no room for the end of '{fits} {word}'" for word in ("fish", "text")
    ]


@pytest.mark.parametrize(
    ("text", "is_known"),
    [
        *((text, True) for text in ("a coral reef", "STRAWBERRY", "the moon, kubernetes", "the")),
        *((text, False) for text in ("ein Schloss", "un oiseau", "клубника", "苺", "kubernetes")),
    ],
)
def test_a_text_of_which_it_has_learned_no_word_is_told_of(mini, text, is_known):
    assert mini.knows(text) == is_known
    told: list[str] = []
    create_objectives(VideoConfig(prompt=["a reef"], negative=[text]), CPU, on_warning=told.append)
    expected = f"guide 'mini' has learned no word of '{text}'; it knows English words for things"
    assert [line.startswith(expected) for line in told] == [True] * (not is_known)


def test_of_other_guides_it_is_not_known_which_words_they_have_learned(judge):
    assert replace(judge, vocabulary=None).knows("клубника")


@pytest.mark.parametrize("name", ["mini", "judge"])
def test_gradients_reach_every_pixel_and_no_weight(name, request):
    clip: Clip = request.getfixturevalue(name)
    images = texture(64, 64)[None].requires_grad_()
    objective = create_objective(clip, prompts(prompt=[ROSE]))
    (gradient,) = torch.autograd.grad(objective(images, None), images)
    assert gradient.isfinite().all()
    assert (gradient != 0).float().mean() > 0.99
    assert not any(weight.requires_grad for weight in clip.tower.parameters())


def pictures() -> Tensor:
    return torch.stack([texture(64, 64, seed) for seed in range(4)])


def loss_of(clip: Clip, cutouts: Tensor, **given: list[str]) -> float:
    return create_objective(clip, prompts(**given))(cutouts, None).item()


def test_a_loss_is_the_weighted_spherical_distance_averaged_over_cutouts(mini):
    features = mini.tower(pictures())
    distances = spherical_distance(features @ mini.embed_texts([ROSE, "the sky"]).T).mean(0)
    found = loss_of(mini, pictures(), prompt=[f"{ROSE}::3", "the sky::0.5"])
    assert found == pytest.approx(float(3 * distances[0] + 0.5 * distances[1]), rel=1e-5)


def test_the_loss_of_many_cutouts_is_the_mean_of_each(mini):
    objective = create_objective(mini, prompts(prompt=[ROSE], negative=["the sky"]))
    each = [objective(picture[None], None).item() for picture in pictures()]
    assert objective(pictures(), None).item() == pytest.approx(sum(each) / 4, rel=1e-5)


def test_negatives_add_their_cosine_until_unrelated(mini):
    rosy = F.interpolate(dreamed(mini, prompt=[ROSE])[None], size=(64, 64))
    shown = torch.cat([rosy, pictures()])
    cosines = (mini.tower(shown) @ mini.embed_texts([ROSE]).T)[:, 0]
    assert cosines.max() > 0.1 and cosines.min() < 0
    expected = 2 * cosines.clamp(min=0).mean().item()
    assert loss_of(mini, shown, negative=[f"{ROSE}::2"]) == pytest.approx(expected)


def test_a_negative_that_is_already_opposite_pushes_no_further(mini):
    picture = pictures()[:1]
    objective = create_objective(mini, prompts(negative=["rainbow"]))
    for sign, loss in ((1, 1), (-1, 0)):
        objective.targets = replace(objective.targets, repel=sign * mini.tower(picture))
        assert objective(picture, None).item() == pytest.approx(loss, abs=1e-5)


def test_a_direction_takes_away_its_progress_since_the_source(mini):
    objective = create_objective(mini, prompts(from_=["snow"], to=["fire::2"]))
    assert objective.compares
    assert objective(pictures(), pictures()).item() == pytest.approx(0, abs=1e-6)
    start, end = mini.embed_texts(["snow", "fire"])
    direction = (end - start) / (end - start).norm()
    progress = (mini.tower(pictures().flip(3)) - mini.tower(pictures())) @ direction
    found = objective(pictures().flip(3), pictures()).item()
    assert found == pytest.approx(-2 * progress.mean().item(), abs=1e-5)


def test_a_directions_gradient_is_finite_and_not_zero_at_the_source(mini):
    objective = create_objective(mini, prompts(from_=["snow"], to=["fire"]))
    images = pictures().requires_grad_()
    (gradient,) = torch.autograd.grad(objective(images, pictures()), images)
    assert gradient.isfinite().all()
    assert gradient.abs().mean() > 0


def test_similarity_is_the_weighted_mean_cosine_of_the_whole_picture(mini):
    image = texture(64, 96)
    objective = create_objective(mini, prompts(prompt=[f"{ROSE}::3", "the sky"]))
    cosines = mini.embed_images([image]) @ mini.embed_texts([ROSE, "the sky"]).T
    expected = float(3 * cosines[0, 0] + cosines[0, 1]) / 4
    assert objective.similarity(image).item() == pytest.approx(expected, abs=1e-5)


def test_similarity_to_negatives_alone_is_minus_their_cosine(mini):
    image = texture(64, 96)
    wanted, unwanted = (
        create_objective(mini, prompts(**{kind: [ROSE]})) for kind in ("prompt", "negative")
    )
    assert unwanted.similarity(image).item() == pytest.approx(-wanted.similarity(image).item())


def test_images_of_any_size_are_seen_in_one_pass(mini):
    objective = create_objective(mini, prompts(prompt=[ROSE]))
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(3, *size, generator=generator) for size in ((40, 60), (90, 50))]
    one_by_one = torch.stack([objective.similarity(image) for image in images])
    torch.testing.assert_close(objective.similarities(images), one_by_one)


SOURCE = 0.5 + 0.3 * (texture(64, 96) - 0.5)
"""Pale, so that what is dreamed stands out."""


def dreamed(
    clip: Clip, images: Sequence[Tensor] = (), source: Tensor = SOURCE, **given: list[str]
) -> Tensor:
    """Two dozen steps from `source`."""
    shares = {"global_share": 0.25, "local_share": 0.5, "cutout_noise": 0.04}
    plain = {"canvas": "octaves", "octaves": 2, "steps": 24, "cutouts": 8}
    config = DreamConfig.model_validate(plain | shares | {"tv": 1, "strength": 0.25, "lr": 0.05})
    objective = create_objective(clip, prompts(**given), images)
    return descend(source, [objective], config, generator=frame_generator(0, 0))


def seen(judge: Clip, image: Tensor, *texts: str) -> list[float]:
    """The judge's cosines of a picture to texts."""
    cosines: list[float] = (judge.embed_images([image]) @ judge.embed_texts(texts).T)[0].tolist()
    return cosines


@pytest.mark.parametrize(("prompt", "gain"), [("a castle", 0.5), (BERRY, 0.35), ("fire", 0.3)])
def test_prompts_attract(mini, judge, prompt, gain):
    (before,), (after,) = (
        seen(judge, image, prompt) for image in (SOURCE, dreamed(mini, prompt=[prompt]))
    )
    assert after > before + gain


THINGS = BERRY, "fire", "a tree", "a castle"


OTHER = "a snowflake"


@pytest.mark.parametrize("prompt", THINGS)
def test_a_dream_is_told_from_other_things(mini, judge, prompt):
    result = dreamed(mini, prompt=[prompt])
    before, after = (torch.tensor(seen(judge, image, *THINGS)) for image in (SOURCE, result))
    gain, wanted = after - before, THINGS.index(prompt)
    assert gain[wanted] > 0.15
    assert gain.argmax() == wanted


@pytest.mark.parametrize("negative", [BERRY, "fire", "a tree"])
def test_negatives_repel(mini, judge, negative):
    shown = dreamed(mini, prompt=[negative])
    result = dreamed(mini, source=shown, negative=[negative])
    (before,), (after,) = (seen(judge, image, negative) for image in (shown, result))
    assert after < before - 0.15


def test_a_direction_leads_from_one_text_to_the_other(mini, judge):
    shown = dreamed(mini, prompt=[BERRY])
    result = dreamed(mini, source=shown, from_=[BERRY], to=[OTHER])
    start_before, end_before = seen(judge, shown, BERRY, OTHER)
    start_after, end_after = seen(judge, result, BERRY, OTHER)
    assert start_after < start_before - 0.2
    assert end_after > end_before + 0.2


def test_weights_decide_between_prompts(mini, judge):
    ripe = seen(judge, dreamed(mini, prompt=[f"{BERRY}::3", OTHER]), BERRY, OTHER)
    icy = seen(judge, dreamed(mini, prompt=[BERRY, f"{OTHER}::3"]), BERRY, OTHER)
    assert ripe[0] > icy[0] + 0.2
    assert icy[1] > ripe[1] + 0.2


def test_a_picture_as_prompt_attracts(mini, judge):
    berries = dreamed(mini, prompt=[BERRY])
    result = dreamed(mini, [berries], image_prompt=["berries.png"])
    source, dream, picture = judge.embed_images([SOURCE, result, berries])
    assert dream @ picture > source @ picture + 0.2


def test_a_picture_as_prompt_has_its_own_weight(mini):
    images = [texture(40, 50, 8), texture(40, 50, 9)]
    objective = create_objective(
        mini, prompts(**{"image-prompt": ["a::2", "b"], "prompt": ["fire::5"]}), images
    )
    assert objective.targets.attract_weights.tolist() == [5, 2, 1]
    expected = torch.cat([mini.embed_texts(["fire"]), mini.embed_images(images)])
    assert torch.equal(objective.targets.attract, expected)


def test_the_text_tower_is_freed():
    clip = load_clip("mini", CPU)
    text = weakref.ref(clip.model.get_parameter("token_embedding.weight"))
    image = weakref.ref(clip.tower.visual.get_parameter("trunk.conv1.0.weight"))
    objective: ClipObjective = create_objective(clip, prompts(prompt=[ROSE]))
    del clip
    gc.collect()
    assert text() is None
    assert image() is not None
    assert objective.tower.size == 64


def test_a_mix_turns_evenly_from_one_text_to_the_other():
    scenes = torch.eye(3)
    mixes = [mixed(scenes, Mix(0, 2, share)) for share in (0.0, 0.25, 1.0)]
    angle = torch.pi / 8
    expected = [[1, 0, 0], [math.cos(angle), 0, math.sin(angle)], [0, 0, 1]]
    torch.testing.assert_close(torch.stack(mixes), torch.tensor(expected, dtype=torch.float32))
    same = torch.eye(3)[:1].expand(2, 3)
    assert torch.equal(mixed(same, Mix(0, 1, 0.5)), same[0])


def test_an_objective_at_a_moment_is_the_one_of_that_text(mini):
    timed = VideoConfig(prompt=["ice"], at=[("0", "a rose"), ("4", "a castle")])
    weights = PromptWeights(prompt=(0.5,), mix=Mix(0, 1, 0.0), mix_weight=2.0)
    cutouts = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    everything = create_objective(mini, timed)
    for share, text in ((0.0, "a rose"), (1.0, "a castle")):
        at = everything.at(replace(weights, mix=Mix(0, 1, share)))
        alone = create_objective(mini, PromptConfig(prompt=["ice::0.5", f"{text}::2"]))
        torch.testing.assert_close(at(cutouts, None), alone(cutouts, None))
        torch.testing.assert_close(at.similarity(cutouts[0]), alone.similarity(cutouts[0]))


def test_texts_are_encoded_once(mini, monkeypatch):
    timed = create_objective(mini, VideoConfig(at=[("0", "a rose"), ("4", "a castle")]))
    monkeypatch.setattr(Clip, "embed_texts", None)
    for share in (0.2, 0.8):
        timed.at(PromptWeights(mix=Mix(0, 1, share)))


def test_where_all_weights_are_0_nothing_is_asked(mini):
    nothing = create_objective(mini, PromptConfig(prompt=["ice"])).at(PromptWeights(prompt=(0.0,)))
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert nothing(image[None], None) == 0
    assert nothing.similarity(image) == 0
