"""Training recovers a person whose truth is known: another avatar, rendered turning in front of one camera."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from avatar.body import load_body
from avatar.errors import AvatarError
from avatar.io.images import to_uint8
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.model.lighting import FROM_ABOVE, UP
from avatar.rendering.camera_paths import front
from avatar.rendering.renderer import render
from avatar.runtime.progress import duration
from avatar.training.config import TrainConfig
from avatar.training.split import held_out_frames
from avatar.training.trainer import Trainer
from avatar.types import BodyPose, BodyTrack, ImageList, Observations
from tests.training.people import turning

FRAMES, WIDTH, HEIGHT = 12, 96, 160
Scene = tuple[Observations, BodyTrack]


@dataclass(frozen=True)
class MemoryImages:
    """Images in memory."""

    images: list[NDArray[Any]]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int, /) -> NDArray[Any]:
        return self.images[index]


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A striped person, lit from its left, who turns once; and the true track."""
    body = load_body("open")
    g = torch.Generator().manual_seed(3)
    betas = torch.zeros(body.shape_dirs.shape[-1])
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    truth = Avatar(body, betas, sample_on_surface(frames, torch.ones(len(frames.area)), 6000, g), deform=False)
    with torch.no_grad():
        height = truth.rest_means()[:, 1:2]
        truth.gaussians.raw_colors.copy_(2 * torch.sin(height * torch.tensor([[8.0, 11.0, 17.0]])))
        truth.light.coefficients[0] = 0.4
        poses = turning(FRAMES)
        centers = truth.pose(poses[0]).means
        cameras = front(centers.amin(0) - 0.05, centers.amax(0) + 0.05, FRAMES, WIDTH, HEIGHT)
        shots = [render(truth.pose(poses[i]), cameras[i], "cpu") for i in range(FRAMES)]
    steps = torch.arange(FRAMES)
    track = BodyTrack("open", betas, poses, steps / 10.0, torch.ones(FRAMES, 24), steps, cameras)
    observations = Observations(
        images=MemoryImages([to_uint8(shot.composite((0.2, 0.5, 0.3))[0]) for shot in shots]),
        masks=MemoryImages([(shot.alpha[0] * 255).byte().numpy() for shot in shots]),
        keypoints=torch.zeros(FRAMES, 33, 3),
        keypoints_3d=torch.zeros(FRAMES, 33, 3),
        layout="blazepose33",
        instant=steps,
        times=track.times,
        width=WIDTH,
        height=HEIGHT,
    )
    return observations, track


def small(**changes: Any) -> TrainConfig:
    return TrainConfig(**{"steps": 120, "gaussians": 3000, "max_gaussians": 4000, "hold_out": 4, **changes})


def test_held_out_frames_are_rendered_right(scene: Scene) -> None:
    observations, track = scene
    # The track is exact and the images are tiny: what the flow could measure here is noise.
    result = Trainer(observations, track, load_body("open"), small(deform="none", registrations=0)).run()
    first, last = result.history[0][1], result.history[-1][1]
    # The track is exact here, so that what the short training corrects is noise, which a spline does not average out.
    assert last > 25 and last > first + 1
    assert 3000 <= len(result.avatar) <= 4000
    assert result.held_out == [2, 6, 10]
    observed = result.avatar.observed
    assert observed.min() >= 0 and observed.max() <= 1 and observed.mean() > 0.5


def test_light_is_separated_from_colour(scene: Scene) -> None:
    observations, track = scene
    lit, flat = (
        Trainer(observations, track, load_body("open"), small(deform="none", light=light)).run()
        for light in (True, False)
    )
    # The lamp stands at +X and the person turns, so one colour cannot serve all frames.
    assert lit.avatar.light.coefficients[0].mean() > 0.15
    # Such a rotation does not show how much of it comes from above.
    assert lit.avatar.light.coefficients[UP].mean().item() == pytest.approx(FROM_ABOVE, abs=0.1)
    assert not flat.avatar.light.coefficients.any()
    assert lit.history[-1][1] > flat.history[-1][1] + 0.5


def test_poses_are_corrected_by_the_images(scene: Scene) -> None:
    observations, track = scene
    wrong = BodyPose(track.poses.root_position + torch.tensor([0.03, 0.0, 0.0]), track.poses.rotations)
    shifted = BodyTrack(**{**vars(track), "poses": wrong})
    result = Trainer(observations, shifted, load_body("open"), small(deform="none", steps=200)).run()
    error = (result.track.poses.root_position - track.poses.root_position)[:, 0].abs().mean()
    assert error < 0.02


def test_held_out_frames_are_spread_and_optional(scene: Scene) -> None:
    observations, _ = scene
    assert held_out_frames(observations, 0) == []
    assert held_out_frames(observations, 5) == [2, 7]


def test_frames_in_which_somebody_else_is_in_the_way_are_neither_trained_nor_held_out(scene: Scene) -> None:
    observations, track = scene
    whole, nothing = np.full((HEIGHT, WIDTH), 255, np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    hidden = (2, 3)
    trust = ImageList(len(observations), lambda index: nothing if index in hidden else whole)
    crowded = replace(observations, trust=trust)
    assert held_out_frames(crowded, 5) == [4, 9]
    trainer = Trainer(crowded, track, load_body("open"), small(hold_out=5, steps=3))
    assert trainer.trained == [0, 1, 5, 6, 7, 8, 10, 11]
    nobody = replace(observations, trust=ImageList(len(observations), lambda index: nothing))
    with pytest.raises(AvatarError, match="Somebody else is in the way in all frames"):
        Trainer(nobody, track, load_body("open"), small())


def test_estimating_the_time_changes_nothing(scene: Scene) -> None:
    observations, track = scene
    estimated, plain = (Trainer(observations, track, load_body("open"), small(steps=3)) for _ in range(2))
    assert 0 < estimated.estimated_seconds() < 600
    assert [float(estimated.step()) for _ in range(3)] == [float(plain.step()) for _ in range(3)]
    assert torch.equal(estimated.state.avatar.gaussians.offset, plain.state.avatar.gaussians.offset)


def test_durations_are_rounded_for_people() -> None:
    assert [duration(seconds) for seconds in (2.0, 47.0, 130.0, 9000.0)] == ["10 s", "50 s", "2 min", "2.5 h"]
