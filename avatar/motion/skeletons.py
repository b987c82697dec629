"""Motion of any skeleton -> rotations of SMPL's joints, through its rest pose.

The world rotation of each bone from the rest pose is transferred. Where the rest pose is not a T-pose, the limbs of
the source are first aligned with those of our T-pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body import load_body
from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.errors import AvatarError
from avatar.geometry import quat_from_rotation, rotation_from_quat, rotation_from_rotvec, slerp
from avatar.motion.joint_names import match_joints
from avatar.motion.motion import MEAN_LEG, Motion, ReadOptions, check_path, uniform_track, up_rotation

# Joint -> the joint its limb points at. Hands follow the forearm; feet stand flat in every rest pose.
LIMBS = {
    f"{side}_{a}": f"{side}_{b}"
    for side in ("left", "right")
    for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
}


@dataclass(frozen=True)
class JointAnimation:
    """A foreign skeleton and its joint frames over time, in the file's own world and units.

    Attributes:
        rest_rotations, rest_positions: each joint's frame in the rest pose.
        rotations, positions: each joint's frame at each moment.
        up: what points up where the format fixes it; None to infer it from the rest pose.
    """

    format: str
    path: Path
    names: tuple[str, ...]
    parents: tuple[int, ...]
    rest_rotations: Float[Tensor, "j 3 3"]
    rest_positions: Float[Tensor, "j 3"]
    rotations: Float[Tensor, "t j 3 3"]
    positions: Float[Tensor, "t j 3"]
    fps: float
    up: str | None = None


@cache
def model_rest() -> Float[Tensor, "24 3"]:
    """The joints of our T-pose: those of the open body's mean shape, metres."""
    body = load_body("open")
    return body.rest(torch.zeros(body.shape_dirs.shape[-1])).smpl_joints.double()


def motion_from_animation(animation: JointAnimation, options: ReadOptions) -> Motion:
    """Transfer an animation to SMPL's joints.

    Raises:
        UsageError: the skeleton is unknown and no name map helps.
        AvatarError: its rest pose is not a standing person, or its root moves in other units than its body.
    """
    matches = match_joints(animation.path, animation.names, animation.parents, options.names)
    rest = {name: animation.rest_positions[index] for name, index in matches.items()}
    B = _rest_axes(animation.path, rest)
    up = options.up or animation.up
    W = B if up is None else up_rotation(up).to(B)
    corrections = _limb_corrections(rest, B)
    world_rotations = {}
    for name, index in matches.items():
        delta = animation.rotations[:, index] @ animation.rest_rotations[index].T
        world_rotations[name] = W @ delta @ B.T @ corrections.get(name, torch.eye(3, dtype=B.dtype)).T
    rotations = _local_rotations(world_rotations)
    leg = torch.stack(
        [(rest[f"{s}_knee"] - rest[f"{s}_{e}"]).norm() for s in ("left", "right") for e in ("hip", "ankle")]
    )
    scale = MEAN_LEG / float(leg.sum() / 2)
    # All skeletons define the hips alike, but not the pelvis: our hips are placed at theirs.
    hips = animation.positions[:, [matches["left_hip"], matches["right_hip"]]].mean(1) @ W.T * scale
    own = model_rest()
    middle = own[[1, 2]].mean(0) - own[0]
    root = hips - rotations[:, 0] @ (middle * MEAN_LEG / leg_length(own))
    check_path(animation.path, root.numpy(), animation.fps)
    return Motion(animation.format, uniform_track(rotations, root, animation.fps), MEAN_LEG)


def leg_length(rest_joints: Float[Tensor, "j 3"]) -> float:
    """Mean length from hip over knee to ankle, metres."""
    hip, knee, ankle = (
        rest_joints[[SMPL_JOINTS.index(f"{s}_{n}") for s in ("left", "right")]] for n in ("hip", "knee", "ankle")
    )
    return float(((hip - knee).norm(dim=-1) + (knee - ankle).norm(dim=-1)).mean())


def _rest_axes(path: Path, rest: dict[str, Tensor]) -> Float[Tensor, "3 3"]:
    """The rotation from the file's axes to ours in the rest pose: left hip to +X, head to +Y.

    Rest poses stand along the axes of their world, so a small lean is the skeleton's and not the world's.
    """
    top = rest.get("head", rest.get("neck", (rest["left_shoulder"] + rest["right_shoulder"]) / 2))
    left = F.normalize(rest["left_hip"] - rest["right_hip"], dim=0)
    legs = (rest["left_ankle"] + rest["right_ankle"]) / 2
    hips = (rest["left_hip"] + rest["right_hip"]) / 2
    up = F.normalize(top - legs, dim=0)
    straight = float((F.normalize(top - hips, dim=0) * F.normalize(hips - legs, dim=0)).sum())
    if not straight > 0.7 or abs(float((left * up).sum())) > 0.5:
        raise AvatarError(
            f"{path}: its rest pose (all rotations zero) is not a standing person, so its rotations cannot be "
            "transferred: export it again with a T-pose as the rest pose."
        )
    left = F.normalize(left - (left * up).sum() * up, dim=0)
    B = torch.stack([left, up, torch.linalg.cross(left, up)])
    snapped = B.round()
    return snapped if torch.linalg.det(snapped) > 0.5 and bool((B - snapped).abs().max() < 0.5) else B


def _limb_corrections(rest: dict[str, Tensor], B: Float[Tensor, "3 3"]) -> dict[str, Float[Tensor, "3 3"]]:
    """For each limb joint the shortest rotation that aligns its bone at rest with that of our T-pose."""
    own = model_rest()
    corrections = {}
    for joint, end in LIMBS.items():
        if joint in rest and end in rest:
            theirs = F.normalize(B @ (rest[end] - rest[joint]), dim=0)
            ours = F.normalize(own[SMPL_JOINTS.index(end)] - own[SMPL_JOINTS.index(joint)], dim=0)
            axis = torch.linalg.cross(theirs, ours)
            angle = torch.atan2(axis.norm(), (theirs * ours).sum())
            corrections[joint] = rotation_from_rotvec(F.normalize(axis, dim=0) * angle)
    for side in ("left", "right"):
        if f"{side}_elbow" in corrections:
            corrections[f"{side}_wrist"] = corrections[f"{side}_elbow"]
    return corrections


def _local_rotations(world_rotations: dict[str, Float[Tensor, "t 3 3"]]) -> Float[Tensor, "t 24 3 3"]:
    """World rotations of the matched joints -> rotations relative to the parent for all 24.

    A joint without a counterpart stays as its parent is; missing parts of the spine share the bend.
    """
    whole = dict(world_rotations)
    if "spine3" in whole:
        start = "spine1" if "spine1" in whole else "pelvis"
        missing = [n for n in ("spine1", "spine2") if n not in whole]
        a, b = quat_from_rotation(whole[start]), quat_from_rotation(whole["spine3"])
        for k, name in enumerate(missing, start=1):
            whole[name] = rotation_from_quat(
                slerp(a, b, torch.full(a.shape[:-1], k / (len(missing) + 1), dtype=a.dtype))
            )
    local: list[Tensor] = []
    world: list[Tensor] = []
    for joint, name in enumerate(SMPL_JOINTS):
        above = world[SMPL_PARENTS[joint]] if joint else torch.eye(3, dtype=torch.float64).expand_as(whole["pelvis"])
        world.append(whole.get(name, above))
        local.append(above.mT @ world[joint])
    return torch.stack(local, 1)
