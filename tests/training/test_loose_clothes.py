"""Masks from all sides enclose a skirt, and Gaussians start on it; a bare body has nothing that hangs loose."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from avatar.body import load_body
from avatar.body.skeleton import SMPL_JOINTS
from avatar.geometry import rigid, rotation_from_rotvec
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.rendering.renderer import render
from avatar.training.loose_clothes import ALL_ROUND, directions, loose_gaussians
from avatar.training.views import TrainingView
from avatar.types import BodyPose, Cameras, Gaussians

SIDE, DISTANCE = 320, 3.0
WAIST, HEM, WIDE, DEEP = -0.02, -0.45, 0.26, 0.20  # of the skirt: metres from the hips, half axes of its ellipse
PER_AREA = 12_000.0


@pytest.fixture(scope="module")
def person() -> tuple[Avatar, Tensor]:
    """A bare body, and the point between its hips."""
    body = load_body("open")
    betas = torch.zeros(body.shape_dirs.shape[-1])
    rest = body.rest(betas)
    frames = triangle_frames(rest.vertices, body.faces)
    gaussians = sample_on_surface(frames, torch.ones_like(frames.area), 8000, torch.Generator().manual_seed(0))
    hips = rest.joints[[SMPL_JOINTS.index(f"{side}_hip") for side in ("left", "right")]].mean(0)
    return Avatar(body, betas, gaussians, deform=False, diffused=True), hips


def _skirt(hips: Tensor) -> Gaussians:
    """A tube of splats around both legs at rest."""
    angle = torch.arange(120) / 120 * 2 * math.pi
    height = torch.linspace(HEM, WAIST, 40)
    grid = torch.stack(
        [
            WIDE * angle.cos()[None].expand(40, -1),
            height[:, None].expand(-1, 120),
            DEEP * angle.sin()[None].expand(40, -1),
        ],
        dim=-1,
    ).flatten(0, 1)
    count = len(grid)
    quats = torch.tensor([1.0, 0, 0, 0]).repeat(count, 1)
    return Gaussians(grid + hips, quats, torch.full((count, 3), 0.01), torch.ones(count), torch.full((count, 3), 0.5))


def _views(avatar: Avatar, clothes: list[Gaussians], azimuths: Tensor) -> list[tuple[TrainingView, BodyPose]]:
    """The masks of a person at rest before cameras around."""
    pose = BodyPose(avatar.rest.joints[0], torch.eye(3).repeat(24, 1, 1))
    splats = Gaussians.cat([avatar.pose(pose), *clothes]).detach()
    middle = splats.means.mean(0)
    K = torch.tensor([[440.0, 0, SIDE / 2], [0, 440.0, SIDE / 2], [0, 0, 1]])[None]
    upright = torch.diag(torch.tensor([1.0, -1, -1]))
    views = []
    for index, azimuth in enumerate(azimuths.tolist()):
        R = upright @ rotation_from_rotvec(torch.tensor([0.0, -azimuth, 0.0]))
        T = rigid(R, torch.tensor([0.0, 0, DISTANCE]) - R @ middle)
        camera = Cameras(K, T[None], SIDE, SIDE)
        mask = render(splats, camera, "reference").alpha[0]
        views.append((TrainingView(mask[..., None].expand(-1, -1, 3), mask, camera, index, index, 1.0), pose))
    return views


def test_gaussians_start_on_a_skirt(person: tuple[Avatar, Tensor]) -> None:
    avatar, hips = person
    views = _views(avatar, [_skirt(hips)], torch.arange(16) / 16 * 2 * math.pi)
    loose = loose_gaussians(avatar, views, PER_AREA, torch.Generator().manual_seed(0))
    assert loose is not None
    means = loose.means(avatar.frames).detach() - hips
    level = (means[:, 1] > HEM + 0.03) & (means[:, 1] < WAIST - 0.05)
    radius = torch.sqrt((means[:, 0] / WIDE) ** 2 + (means[:, 2] / DEEP) ** 2)[level]
    skirt = (means[:, 1] > HEM - 0.02) & (means[:, 1] < WAIST + 0.02)
    assert skirt.float().mean() > 0.8, "most of what hangs loose is the skirt"
    assert (radius - 1).abs().median() < 0.12
    front = level & (means[:, 0].abs() < 0.06) & (means[:, 2] > 0)
    assert int(front.sum()) > 20, "also between the legs"


def test_a_bare_body_has_nothing_loose(person: tuple[Avatar, Tensor]) -> None:
    avatar, _ = person
    views = _views(avatar, [], torch.arange(16) / 16 * 2 * math.pi)
    loose = loose_gaussians(avatar, views, PER_AREA, torch.Generator().manual_seed(0))
    # Level cameras do not see above and below arms that point aside.
    assert loose is None or len(loose) < 0.1 * PER_AREA * float(avatar.frames.area.sum())


def test_only_views_from_all_sides_enclose_something(person: tuple[Avatar, Tensor]) -> None:
    avatar, hips = person
    assert directions(_views(avatar, [_skirt(hips)], torch.linspace(-0.5, 0.5, 8))) < 6
    assert directions(_views(avatar, [], torch.arange(24) / 24 * 2 * math.pi)) >= ALL_ROUND
