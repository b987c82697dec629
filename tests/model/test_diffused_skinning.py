"""Clothes away from the body follow the limbs around them, and what lies on the body follows its triangles."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from avatar.body import load_body
from avatar.body.skeleton import SMPL_JOINTS
from avatar.geometry import rotation_from_rotvec
from avatar.model.avatar import Avatar
from avatar.model.gaussians import TriangleGaussians, sample_on_surface, triangle_frames
from avatar.training.densification import rebind_to_nearest_face
from avatar.types import BodyPose

HEM = 0.3  # metres below the hips
AROUND = 240


def _hem() -> tuple[Avatar, Float[Tensor, "n 3"]]:
    """An avatar whose splats are the hem of a skirt: a ring around both thighs at rest."""
    body = load_body("open")
    betas = torch.zeros(body.shape_dirs.shape[-1])
    rest = body.rest(betas)
    hips = rest.joints[[SMPL_JOINTS.index(f"{side}_hip") for side in ("left", "right")]]
    angle = torch.arange(AROUND) / AROUND * 2 * math.pi
    ring = hips.mean(0) + torch.stack([0.24 * angle.cos(), torch.full((AROUND,), -HEM), 0.16 * angle.sin()], dim=1)
    frames = triangle_frames(rest.vertices, body.faces)
    gaussians = TriangleGaussians(
        torch.zeros(AROUND, dtype=torch.long), torch.tensor([[1.0, 0, 0]]).repeat(AROUND, 1),
        torch.full((AROUND, 3), 0.01), torch.full((AROUND, 3), 0.5),
    )  # fmt: skip
    with torch.no_grad():
        gaussians.offset.copy_(torch.einsum("yx,ny->nx", frames.rotation[0], ring - frames.vertices[0, 0]))
    rebind_to_nearest_face(gaussians, frames)
    return Avatar(body, betas, gaussians, deform=False), ring


def _step() -> BodyPose:
    """One leg forward and one back, by 25 degrees each."""
    rotvecs = torch.zeros(24, 3)
    for side, sign in (("left", -1), ("right", 1)):
        rotvecs[SMPL_JOINTS.index(f"{side}_hip"), 0] = sign * math.radians(25)
    return BodyPose(torch.zeros(3), rotation_from_rotvec(rotvecs))


def _widest_gap(avatar: Avatar) -> float:
    means = avatar.pose(_step()).means.detach()
    return float((means - means.roll(1, 0)).norm(dim=1).max())


def test_a_skirt_stays_one_piece_in_a_step() -> None:
    avatar, ring = _hem()
    assert torch.allclose(avatar.rest_means(), ring, atol=1e-5)
    torn = _widest_gap(avatar)
    avatar.diffused = True
    avatar.refresh()
    spacing = float((ring - ring.roll(1, 0)).norm(dim=1).max())
    assert torn > 10 * spacing
    assert _widest_gap(avatar) < 3 * spacing
    assert torch.allclose(avatar.weights.sum(1), torch.ones(AROUND), atol=1e-5)


def test_what_lies_on_the_body_follows_its_triangles() -> None:
    body = load_body("open")
    betas = torch.zeros(body.shape_dirs.shape[-1])
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    gaussians = sample_on_surface(frames, torch.ones_like(frames.area), 500, torch.Generator().manual_seed(0))
    with torch.no_grad():
        gaussians.offset[:, 2] = 0.014
    plain, diffused = (Avatar(body, betas, gaussians, deform=False, diffused=value) for value in (False, True))
    assert torch.equal(plain.weights, diffused.weights)


@pytest.mark.parametrize("diffused", [False, True])
def test_the_file_says_which_weights(tmp_path: Path, diffused: bool) -> None:
    avatar, _ = _hem()
    avatar.diffused = diffused
    avatar.refresh()
    path = tmp_path / "avatar.safetensors"
    avatar.save(path)
    again = Avatar.load(path)
    assert again.diffused is diffused
    assert torch.equal(again.pose(_step()).means, avatar.pose(_step()).means)


def test_files_of_earlier_versions_keep_their_weights(tmp_path: Path) -> None:
    avatar, _ = _hem()
    path = tmp_path / "avatar.safetensors"
    avatar.save(path)
    with safe_open(path, framework="pt") as file:
        header = {key: value for key, value in file.metadata().items() if key != "skinning"}
    save_file(load_file(path), path, metadata=header)
    assert torch.equal(Avatar.load(path).weights, avatar.weights)
