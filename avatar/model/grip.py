"""Fingers that close on what a hand holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.body import Body, RestBody
from avatar.body.anchors import hand_vertices
from avatar.body.hand_angles import finger_rotations, relaxed_fingers
from avatar.body.skinning import skin, skinning_transforms
from avatar.model.props import PlacedProp, Shape
from avatar.types import BodyPose

FINGERS = ("index", "middle", "pinky", "ring", "thumb")
SIDES = ("left", "right")
# Degrees of spread, knuckle, middle and tip joint: where a hand begins to close, and how far it can.
_OPEN = ((4.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0), (-6.0, 0.0, 0.0, 0.0), (-3.0, 0.0, 0.0, 0.0),
         (40.0, -5.0, 0.0, 0.0))  # fmt: skip
_CLOSED = ((80.0, 95.0, 50.0),) * 4 + ((45.0, 45.0, 55.0),)
STEPS = 36  # from the open hand to the closed one
DEEPEST = 0.001  # metres that skin gives way before a finger stops
NEAR = 0.02  # metres within which the nearest splat says what is inside


@dataclass(frozen=True)
class Grip:
    """A hand that holds something.

    Attributes:
        side: "left" or "right"; angles: of its fingers, see `avatar.body.hand_angles`.
    """

    side: str
    angles: Float[Tensor, "5 4"]


def grip_angles(body: Body, rest: RestBody, side: str, held: Shape) -> Float[Tensor, "5 4"]:
    """The angles at which each finger of one hand touches what it holds, radians; see `avatar.body.hand_angles`.

    All joints of a finger close together until it touches the surface, then those beyond the knuckle go on until what
    they move touches, and last the tip. A finger that touches nothing closes to a fist.

    Args:
        body: with fingers.
        rest: the person's body at rest.
        held: in the rest frame.
    """
    chosen = hand_vertices(body, side)
    points, weights = rest.vertices[chosen], body.weights[chosen]
    joints = body.joint_regressor @ rest.vertices
    bones = [[body.joint_names.index(f"{side}_{finger}{knuckle}") for knuckle in (1, 2, 3)] for finger in FINGERS]
    angles = torch.tensor(_OPEN).deg2rad().to(points)
    depth = _Depth(held)

    def depths(angles: Float[Tensor, "5 4"]) -> Float[Tensor, " v"]:
        pose = _hand_pose(body, joints, angles)
        return depth(skin(points, weights, skinning_transforms(joints, body.parents, pose)))

    closed = torch.tensor(_CLOSED).deg2rad().to(points)
    for first in range(3):
        moved = torch.stack([weights[:, bone[first:]].sum(1) > 0.5 for bone in bones])
        deepest = _deepest(depths(angles), moved).clamp_min(DEEPEST)
        step, going = closed.clone() / STEPS, torch.ones(5, dtype=torch.bool)
        step[:, :first] = 0
        for _ in range(STEPS):
            further = angles.clone()
            further[:, 1:] += step * going[:, None]
            going &= (_deepest(depths(further), moved) <= deepest) & (further[:, 3] <= closed[:, 2] + 1e-6)
            angles = torch.where(going[:, None], further, angles)
    return angles


def _hand_pose(body: Body, joints: Float[Tensor, "j 3"], angles: Float[Tensor, "5 4"]) -> BodyPose:
    """The body at rest but for the fingers of both hands."""
    rotations = torch.eye(3).repeat(24, 1, 1)
    return body.complete(BodyPose(joints[0], rotations, finger_rotations(angles.expand(2, 5, 4))))


def _deepest(depths: Float[Tensor, " v"], moved: Bool[Tensor, "5 v"]) -> Float[Tensor, " 5"]:
    return torch.where(moved, depths, depths.new_tensor(0.0)).amax(1)


class _Depth:
    """How deep points lie inside a surface of oriented splats, metres; 0 outside of it."""

    def __init__(self, shape: Shape) -> None:
        from scipy.spatial import cKDTree

        self.places, self.normals = shape.gaussians.means.cpu(), shape.normals.cpu()
        self.tree = cKDTree(self.places.numpy())
        # Beyond its own extent a splat says nothing about the surface.
        self.reach = 2 * float(shape.gaussians.scales.amax(1).median())

    def __call__(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        distances, nearest = self.tree.query(points.cpu().numpy(), distance_upper_bound=NEAR)
        away = torch.from_numpy(distances).to(self.places)
        index = torch.from_numpy(nearest).clamp(max=len(self.places) - 1)
        depth = -((points.cpu() - self.places[index]) * self.normals[index]).sum(1)
        inside = away.isfinite() & (depth > 0) & (away.square() - depth.square() < self.reach**2)
        return torch.where(inside, depth, depth.new_tensor(0.0)).to(points)


def penetration(points: Float[Tensor, "n 3"], shape: Shape) -> Float[Tensor, " n"]:
    """How deep points lie inside a shape, metres; 0 outside of it."""
    return _Depth(shape)(points)


def with_grips(pose: BodyPose, grips: Sequence[Grip]) -> BodyPose:
    """The pose with the fingers of each of these hands closed; the other hand keeps its fingers, or rests."""
    if not grips:
        return pose
    fingers = pose.fingers
    if fingers is None:
        fingers = relaxed_fingers().to(pose.rotations).expand(*pose.rotations.shape[:-3], 30, 3, 3)
    fingers = fingers.clone()
    for grip in grips:
        half = slice(15 * SIDES.index(grip.side), 15 * SIDES.index(grip.side) + 15)
        fingers[..., half, :, :] = finger_rotations(grip.angles.expand(2, 5, 4))[half].to(fingers)
    return replace(pose, fingers=fingers)


def grips_of(body: Body, rest: RestBody, placed: Sequence[PlacedProp]) -> tuple[Grip, ...]:
    """How each hand that holds something closes; none for bodies without fingers."""
    fingers = body if body.finger_joints.stop else body.with_hands_and_face
    held = {prop.prop.hand: prop.shape for prop in placed if prop.prop.hand is not None}
    if fingers is None or not held:
        return ()
    fingers, rest = fingers.to("cpu"), RestBody(rest.vertices.cpu(), rest.joints.cpu())
    return tuple(Grip(side, grip_angles(fingers, rest, side, held[side])) for side in SIDES if side in held)
