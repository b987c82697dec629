"""Poses made by hand, of the common 24 joints: presets, mirror, turning a joint, pulling a hand or a foot."""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body, RestBody
from avatar.body.face import FACE_UNITS, MIRRORED_UNITS
from avatar.body.hand_angles import relaxed_fingers
from avatar.body.skeleton import MIRROR, SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.geometry import quat_from_rotation, rotation_from_quat, rotation_from_rotvec, rotation_to_rotvec, slerp
from avatar.motion.ik import Landmarks, pull_landmarks
from avatar.types import BodyPose

HANDS_AND_FEET = tuple(SMPL_JOINTS.index(name) for name in ("left_wrist", "right_wrist", "left_ankle", "right_ankle"))
# Weights that hold other joints in place while one hand or foot is pulled: feet stand, the pelvis may lean a little.
ANCHORS = {"pelvis": 0.3, "head": 0.1, "left_wrist": 0.3, "right_wrist": 0.3, "left_ankle": 1.0, "right_ankle": 1.0}
A_POSE_DEGREES = 50.0
KEYFRAME_FPS = 30.0  # of motions made from keyframes


def t_pose(root_position: Float[Tensor, " 3"]) -> BodyPose:
    """Upright, facing +Z, arms straight to the sides."""
    return BodyPose(root_position, torch.eye(3).repeat(len(SMPL_JOINTS), 1, 1))


def a_pose(root_position: Float[Tensor, " 3"]) -> BodyPose:
    """As the T-pose, with the arms lowered by 50 degrees."""
    pose = t_pose(root_position)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        turn = torch.tensor([0.0, 0.0, sign * A_POSE_DEGREES]).deg2rad()
        pose.rotations[SMPL_JOINTS.index(f"{side}_shoulder")] = rotation_from_rotvec(turn)
    return pose


def on_the_floor(body: Body, rest: RestBody, pose: BodyPose) -> BodyPose:
    """The pose moved up or down until the lowest point of the body touches the floor."""
    lowest = body.vertices(rest, pose.to(rest.joints.device))[:, 1].min().detach().cpu()
    return replace(pose, root_position=pose.root_position - torch.stack([lowest * 0, lowest, lowest * 0]))


def mirrored(pose: BodyPose) -> BodyPose:
    """Left and right exchanged, in place: the person stands where it stood and faces the mirrored way."""
    flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
    fingers = None if pose.fingers is None else flip @ pose.fingers.roll(15, 0) @ flip
    face = None if pose.face is None else pose.face[list(MIRRORED_UNITS)]
    return BodyPose(pose.root_position, flip @ pose.rotations[list(MIRROR)] @ flip, fingers, face)


def joint_angles(pose: BodyPose, joint: int) -> tuple[float, float, float]:
    """Rotation vector of a joint away from rest, degrees."""
    x, y, z = rotation_to_rotvec(pose.rotations[joint]).rad2deg().tolist()
    return x, y, z


def turned(pose: BodyPose, joint: int, rotation: Float[Tensor, "3 3"]) -> BodyPose:
    """The pose with one joint's rotation, relative to its parent, replaced."""
    rotations = pose.rotations.clone()
    rotations[joint] = rotation
    return replace(pose, rotations=rotations)


def rotation_of_angles(degrees: tuple[float, float, float]) -> Float[Tensor, "3 3"]:
    """The rotation whose rotation vector is `degrees`."""
    return rotation_from_rotvec(torch.tensor(degrees).deg2rad())


def pulled(body: Body, rest: RestBody, start: BodyPose, joint: int, target: tuple[float, float, float]) -> BodyPose:
    """The pose near `start` in which `joint` (a hand or a foot) comes to `target` (world, metres).

    The other hand, the feet, the pelvis and the head hold on to their places, so that the arm or leg moves first
    and the back follows where it does not reach.
    """
    joints = rest.joints[list(body.smpl_index)].detach().cpu()
    at = joint_transforms(joints, SMPL_PARENTS, start)[:, :3, 3]
    firm = {SMPL_JOINTS.index(name): weight for name, weight in ANCHORS.items()} | {joint: 1.0}
    chosen = torch.tensor(list(firm))
    at[joint] = torch.tensor(target)
    points = Landmarks(chosen, torch.zeros(len(firm), 3))
    moved = pull_landmarks(joints, SMPL_PARENTS, points, at[chosen], torch.tensor(list(firm.values())), start)
    return replace(moved, fingers=start.fingers, face=start.face)


def between(keyframes: tuple[BodyPose, ...], frames_each: int) -> BodyPose:
    """A motion through the keyframes: eased, by slerp of each joint, `frames_each` frames from one to the next.

    Where some keyframes have fingers or a face, those of the others rest.
    """
    t = torch.arange(frames_each) / frames_each
    ease = (3 - 2 * t) * t * t

    def turning(name: str, rest: Float[Tensor, "j 3 3"] | None) -> Tensor | None:
        values = _filled([getattr(pose, name) for pose in keyframes], rest)
        if values is None:
            return None
        quats, parts = [quat_from_rotation(value) for value in values], []
        for a, b in itertools.pairwise(quats):
            one, two = (q.expand(frames_each, -1, 4) for q in (a, b))
            parts.append(rotation_from_quat(slerp(one, two, ease[:, None].expand(frames_each, len(a)))))
        return torch.cat([*parts, values[-1][None]])

    def moving(name: str, rest: Float[Tensor, " k"] | None) -> Tensor | None:
        values = _filled([getattr(pose, name) for pose in keyframes], rest)
        if values is None:
            return None
        parts = [a + ease[:, None] * (b - a) for a, b in itertools.pairwise(values)]
        return torch.cat([*parts, values[-1][None]])

    roots, rotations = moving("root_position", None), turning("rotations", None)
    assert roots is not None and rotations is not None
    face = moving("face", torch.zeros(len(FACE_UNITS)))
    return BodyPose(roots, rotations, turning("fingers", relaxed_fingers()), face)


def _filled(values: list[Tensor | None], rest: Tensor | None) -> list[Tensor] | None:
    """The values with `rest` for those that are missing; None where all are."""
    if all(value is None for value in values):
        return None
    filled = [rest if value is None else value for value in values]
    return [value for value in filled if value is not None]
