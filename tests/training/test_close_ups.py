"""Close-ups sharpen what they show and leave the rest alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from avatar.body import load_body
from avatar.model.gaussians import PARAMETERS
from avatar.rendering.renderer import render
from avatar.training.close_ups import close_ups_of, detailed_parts, refine_details, train_close_ups
from avatar.training.result import TrainResult
from avatar.training.trainer import Trainer
from avatar.types import BodyTrack, Gaussians, Observations
from tests.training.test_face_in_training import CONFIG, score, speaking


@pytest.fixture(scope="module")
def clip() -> tuple[BodyTrack, Observations]:
    return speaking()


def trainer_of(clip: tuple[BodyTrack, Observations], steps: int = 4, close_ups: float = 1.0) -> Trainer:
    track, observations = clip
    return Trainer(observations, track, load_body("open"), replace(CONFIG, steps=steps, close_ups=close_ups))


def trained(clip: tuple[BodyTrack, Observations], close_ups: float) -> TrainResult:
    return trainer_of(clip, 40, close_ups).run()


def test_close_ups_sharpen_the_face(clip: tuple[BodyTrack, Observations]) -> None:
    with_them, without = trained(clip, 1.0), trained(clip, 0.0)
    assert score(with_them, *clip) > score(without, *clip) + 0.3
    assert len(with_them.avatar) <= CONFIG.max_gaussians + 1000  # and the skin of the lids


def test_all_but_face_and_hands_stays(clip: tuple[BodyTrack, Observations]) -> None:
    trainer = trainer_of(clip)
    avatar, rng = trainer.state.avatar, torch.Generator().manual_seed(0)
    before = {name: getattr(avatar.gaussians, name).detach().clone() for name in PARAMETERS}
    train_close_ups(avatar, list(trainer._sharp_views()), trainer.config, trainer._image_loss, rng)
    head, *hands = detailed_parts(avatar)
    for name, values in before.items():
        now = getattr(avatar.gaussians, name)
        assert torch.equal(now[~head], values[~head]) and not torch.equal(now[head], values[head])
    assert all(bool(hand.any()) for hand in hands)  # which no image shows
    assert all(parameter.requires_grad for parameter in avatar.parameters())  # light and deformation can learn on


def test_the_largest_splats_in_view_are_split_up_to_the_most(clip: tuple[BodyTrack, Observations]) -> None:
    trainer = trainer_of(clip)
    state = trainer.state
    gaussians, head = state.avatar.gaussians, detailed_parts(state.avatar)[0]
    gaussians.observed[head] = 1.0
    hidden = len(gaussians) - int(head.sum())
    refine_details(state.avatar, state.optimizer, trainer._sharp_views(), cap=len(gaussians) + 100)
    assert len(gaussians) == 4100
    assert int(detailed_parts(state.avatar)[0].sum()) == 4100 - hidden
    assert all(len(group["params"][0]) == 4100 for group in state.optimizer.param_groups if group["name"] in PARAMETERS)


def test_splats_as_fine_as_pixels_stay_whole(clip: tuple[BodyTrack, Observations]) -> None:
    trainer = trainer_of(clip)
    gaussians = trainer.state.avatar.gaussians
    gaussians.observed.fill_(1.0)
    with torch.no_grad():
        gaussians.log_scales.sub_(6)
    refine_details(trainer.state.avatar, trainer.state.optimizer, trainer._sharp_views(), cap=10_000)
    assert len(gaussians) == CONFIG.gaussians


def test_a_close_up_shows_what_the_whole_image_shows_there(clip: tuple[BodyTrack, Observations]) -> None:
    trainer = trainer_of(clip)
    avatar, (view, pose) = trainer.state.avatar, next(trainer._sharp_views())
    own = detailed_parts(avatar)
    head, left_hand, _ = close_ups_of(avatar, own, [(view, pose)], "auto")
    assert len(head) == 1 and not left_hand  # the image shows the head alone
    with torch.no_grad():
        posed, cut = avatar.pose(pose), head[0].view
        shown = render(Gaussians.cat([posed.where(own[0]), head[0].around]), cut.camera)
        whole = render(posed, view.camera)
    left, top = (view.camera.K - cut.camera.K)[0, :2, 2].int().tolist()
    box = slice(top, top + cut.camera.height), slice(left, left + cut.camera.width)
    assert torch.allclose(shown.rgb[0], whole.rgb[0][box], atol=2e-3)
    assert torch.equal(cut.mask, view.mask[box])
