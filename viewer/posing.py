"""Poses made by hand, of the common 24 joints: presets, mirror, turning a joint, pulling a hand or a foot."""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body, RestBody
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
    return BodyPose(pose.root_position - torch.stack([lowest * 0, lowest, lowest * 0]), pose.rotations)


def mirrored(pose: BodyPose) -> BodyPose:
    """Left and right exchanged, in place: the person stands where it stood and faces the mirrored way."""
    flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
    return BodyPose(pose.root_position, flip @ pose.rotations[list(MIRROR)] @ flip)


def joint_angles(pose: BodyPose, joint: int) -> tuple[float, float, float]:
    """Rotation vector of a joint away from rest, degrees."""
    x, y, z = rotation_to_rotvec(pose.rotations[joint]).rad2deg().tolist()
    return x, y, z


def turned(pose: BodyPose, joint: int, rotation: Float[Tensor, "3 3"]) -> BodyPose:
    """The pose with one joint's rotation, relative to its parent, replaced."""
    rotations = pose.rotations.clone()
    rotations[joint] = rotation
    return BodyPose(pose.root_position, rotations)


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
    return pull_landmarks(joints, SMPL_PARENTS, points, at[chosen], torch.tensor(list(firm.values())), start)


def between(keyframes: tuple[BodyPose, ...], frames_each: int) -> BodyPose:
    """A motion through the keyframes: eased, by slerp of each joint, `frames_each` frames from one to the next."""
    if len(keyframes) < 2:
        return BodyPose(keyframes[0].root_position[None], keyframes[0].rotations[None])
    t = torch.arange(frames_each) / frames_each
    ease = (3 - 2 * t) * t * t
    roots, rotations = [], []
    for a, b in itertools.pairwise(keyframes):
        roots.append(a.root_position + ease[:, None] * (b.root_position - a.root_position))
        qa, qb = (quat_from_rotation(p.rotations).expand(frames_each, -1, 4) for p in (a, b))
        rotations.append(rotation_from_quat(slerp(qa, qb, ease[:, None].expand(qa.shape[:2]))))
    roots.append(keyframes[-1].root_position[None])
    rotations.append(keyframes[-1].rotations[None])
    return BodyPose(torch.cat(roots), torch.cat(rotations))
