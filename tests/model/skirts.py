"""A body with what hangs loose on it: a skirt, long hair, or nothing."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body import load_body
from avatar.body.skeleton import SMPL_JOINTS
from avatar.geometry import quat_from_rotation
from avatar.model.avatar import Avatar
from avatar.model.garments import BOTTOM, HAIR, SKIN
from avatar.model.gaussians import TriangleGaussians, sample_on_surface, triangle_frames
from avatar.training.densification import rebind_to_nearest_face

TOP_OF_SKIRT, HEM = 0.06, 0.34  # metres below the hips
TOP_OF_HAIR, END_OF_HAIR = -0.12, 0.30  # metres below the head's joint


def skirt(count: int = 1500) -> Float[Tensor, "n 3"]:
    """Points of a skirt that widens towards the hem."""
    return _mantle("left_hip", TOP_OF_SKIRT, HEM, (0.20, 0.14), (0.25, 0.20), (0.0, 2 * math.pi), count)


def long_hair(count: int = 800) -> Float[Tensor, "n 3"]:
    """Points of hair that falls behind the head over the shoulders."""
    return _mantle("head", TOP_OF_HAIR, END_OF_HAIR, (0.10, 0.13), (0.12, 0.20), (0.6 * math.pi, 1.4 * math.pi), count)


def trouser_legs(count: int = 1500) -> Float[Tensor, "n 3"]:
    """Points of two wide legs."""
    left = _mantle("left_knee", -0.2, 0.3, (0.10, 0.10), (0.12, 0.12), (0.0, 2 * math.pi), count)
    right = _mantle("right_knee", -0.2, 0.3, (0.10, 0.10), (0.12, 0.12), (0.0, 2 * math.pi), count)
    return torch.cat([left, right])


def _mantle(
    joint: str,
    top: float,
    hem: float,
    first: tuple[float, float],
    last: tuple[float, float],
    angles: tuple[float, float],
    count: int,
) -> Float[Tensor, "n 3"]:
    """Points on a cone under a joint, hips in the middle: radii to the side and to the front at both ends."""
    generator = torch.Generator().manual_seed(1)
    share, turn = torch.rand(2, count, generator=generator)
    turn = angles[0] + (angles[1] - angles[0]) * turn
    joints = load_body("open").rest(torch.zeros(load_body("open").shape_dirs.shape[-1])).joints
    center = joints[SMPL_JOINTS.index(joint)].clone()
    center[0] *= 0 if joint == "left_hip" else 1
    wide, deep = (a + (b - a) * share for a, b in zip(first, last, strict=True))
    below = top + (hem - top) * share
    return center + torch.stack([wide * turn.sin(), -below, deep * turn.cos()], dim=1)


def person_in(
    cloth: Float[Tensor, "n 3"], label: int = BOTTOM, body_splats: int = 2500
) -> tuple[Avatar, Int[Tensor, " n"]]:
    """The open body with these Gaussians around it, and the labels of all."""
    body, generator = load_body("open"), torch.Generator().manual_seed(0)
    betas = torch.zeros(body.shape_dirs.shape[-1])
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    own = sample_on_surface(frames, torch.ones_like(frames.area), body_splats, generator)
    count = body_splats + len(cloth)
    gaussians = TriangleGaussians(
        torch.cat([own.face, torch.zeros(len(cloth), dtype=torch.long)]),
        torch.cat([own.bary, torch.tensor([[1.0, 0, 0]]).repeat(len(cloth), 1)]),
        torch.cat([own.scales.detach(), torch.full((len(cloth), 3), 0.012)]),
        torch.full((count, 3), 0.5),
    )
    with torch.no_grad():
        gaussians.offset[body_splats:] = (cloth - gaussians.anchors(frames)[body_splats:]) @ frames.rotation[0]
        gaussians.quats[body_splats:] = quat_from_rotation(frames.rotation[0].mT)
        gaussians.logit_opacities.fill_(2.0)
    rebind_to_nearest_face(gaussians, frames)
    hair_above = gaussians.anchors(frames)[:, 1] > 1.6
    labels = torch.full((count,), SKIN)
    labels[hair_above] = HAIR
    labels[body_splats:] = label
    return Avatar(body, betas, gaussians, deform=False, diffused=True), labels
