"""Pose correctives of the open body, fitted to the skinning by anny's 104 bones (for build_open_body.py).

What the 24 joints lose against those bones is of two kinds: the rest pose of the sculpture is an A, so that going
through the T costs shape at the shoulders, elbows and hips; and the bones share a limb's twist along its length.
SMPL's pose correctives (Loper et al. 2015, eq. 9) are linear in the joints' rotations and can take up most of it.
"""

from __future__ import annotations

import math

import torch
from anny_people import FOREARM, THIGH, UPPER_ARM, AnnyRig, Sculpture
from torch import Tensor

from avatar.body.skeleton import MIRROR, SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import skin, skinning_transforms
from avatar.geometry import quat_from_rotation, rigid, rotation_from_rotvec
from avatar.types import BodyPose

# Flexion, abduction and twist that people reach, as rotation vectors' lowest and highest x, y, z in degrees, for
# the left joints and those of the middle.
RANGES: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "spine1": ((-10, 35), (-20, 20), (-15, 15)),
    "spine2": ((-10, 25), (-20, 20), (-15, 15)),
    "spine3": ((-10, 20), (-20, 20), (-10, 10)),
    "neck": ((-20, 30), (-35, 35), (-20, 20)),
    "head": ((-20, 25), (-35, 35), (-20, 20)),
    "collar": ((-10, 10), (-20, 10), (-10, 30)),
    "shoulder": ((-60, 60), (-100, 30), (-90, 70)),
    "elbow": ((-20, 20), (-140, 0), (-5, 5)),
    "wrist": ((-90, 90), (-25, 25), (-70, 70)),
    "hand": ((0, 0), (0, 0), (-70, 20)),
    "hip": ((-115, 30), (-40, 40), (-20, 45)),
    "knee": ((0, 140), (-10, 10), (-5, 5)),
    "ankle": ((-35, 25), (-20, 20), (-15, 15)),
    "foot": ((-35, 20), (0, 0), (0, 0)),
}
# Bones that share a twist: the joint that carries them, the joint whose twist they share, its axis on the left
# side, and how much of the twist they take beyond their joint (negative: take back).
TWISTS = (
    ("lowerarm02", "elbow", "wrist", FOREARM, 0.5),
    ("upperarm01", "shoulder", "shoulder", UPPER_ARM, -0.5),
    ("upperleg01", "hip", "hip", THIGH, -0.5),
)
RIDGE = 1e-3
# Offsets are stored in steps of a tenth of a millimetre, which packs well and is far below the fit's error.
STEP = 1e-4


def random_poses(count: int) -> Tensor:
    """Rotations (count, 24, 3, 3), pelvis upright: half drawn from `RANGES`, half their mirror images."""
    low, high = torch.zeros(2, 24, 3).unbind()
    for j, joint in enumerate(SMPL_JOINTS):
        if joint != "pelvis":
            limits = torch.tensor(RANGES[joint.split("_")[-1]]) * math.pi / 180
            flip = torch.tensor([1.0, -1.0, -1.0]) if joint.startswith("right") else torch.ones(3)
            low[j], high[j] = (limits.T * flip).sort(dim=0).values
    # The mean of two draws: the middle of each range is commoner than its ends, as in life.
    share = torch.rand(2, count // 2, 24, 3).mean(0)
    rotvecs = low + share * (high - low)
    mirrored = rotvecs[:, list(MIRROR)] * torch.tensor([1.0, -1.0, -1.0])
    return rotation_from_rotvec(torch.cat([rotvecs, mirrored]))


def sculpted(rig: AnnyRig, person: Sculpture, rotations: Tensor) -> tuple[Tensor, Tensor]:
    """Vertices (n, v, 3) as anny's bones pose the sculpture, and the joints' `Ts_world_rest` (n, 24, 4, 4)."""
    pose = BodyPose(person.joints[0].expand(len(rotations), 3), rotations)
    Ts = skinning_transforms(person.joints, SMPL_PARENTS, pose)
    Ts_bone = Ts[:, rig.joint_of_bone]
    for bone, carrier, twisted, axis, share in TWISTS:
        for side, sign in (("left", 1.0), ("right", -1.0)):
            b = rig.labels.index(f"{bone}.{side[0].upper()}")
            pivot = person.joints[SMPL_JOINTS.index(f"{side}_{carrier}")]
            along = torch.tensor(axis) * torch.tensor([sign, 1.0, 1.0])
            R = _twist(rotations[:, SMPL_JOINTS.index(f"{side}_{twisted}")], along, share)
            Ts_bone[:, b] = Ts_bone[:, b] @ rigid(R, pivot - R @ pivot)
    return skin(person.sculpture, rig.bone_weights, Ts_bone @ person.Ts_rest_sculpture), Ts


def _twist(R: Tensor, axis: Tensor, share: float) -> Tensor:
    """`share` of the part of `R` (n, 3, 3) that turns about `axis` (swing-twist decomposition)."""
    axis = axis / axis.norm()
    q = quat_from_rotation(R)
    angle = 2 * torch.atan2(q[:, 1:] @ axis, q[:, 0])
    angle = torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
    return rotation_from_rotvec(share * angle[:, None] * axis)


def features(rotations: Tensor) -> Tensor:
    """Entries of R - I of every joint but the root (n, 23, 9)."""
    return (rotations[:, 1:] - torch.eye(3)).flatten(-2)


def fit_correctives(rig: AnnyRig, people: list[Sculpture], poses_each: int) -> Tensor:
    """Pose directions (v, 3, 207) by ridge regression, each vertex on the joints that reach it and their children."""
    inputs, offsets = [], []
    for person in people:
        rotations = random_poses(poses_each)
        target, Ts = sculpted(rig, person, rotations)
        inputs.append(features(rotations))
        offsets.append(_unposed(target, rig.weights, Ts) - person.vertices)
    x, y = torch.cat(inputs), torch.cat(offsets)
    directions = torch.zeros(len(rig.weights), 3, 23, 9)
    reach = rig.weights[:, 1:] > 5e-3
    children = torch.zeros(24, 24)
    children[SMPL_PARENTS[1:], range(1, 24)] = 1
    reach |= (rig.weights > 5e-3).float() @ children[:, 1:] > 0
    for pattern in reach.unique(dim=0):
        mine = (reach == pattern).all(1).nonzero()[:, 0]
        X = x[:, pattern].flatten(1)
        gram = X.T @ X + RIDGE * len(X) * torch.eye(X.shape[1])
        solution = torch.linalg.solve(gram, X.T @ y[:, mine].flatten(1))
        at = directions[mine]
        at[:, :, pattern] = solution.T.reshape(len(mine), 3, -1, 9)
        directions[mine] = at
    return (directions / STEP).round().mul(STEP).flatten(2)


def _unposed(points: Tensor, weights: Tensor, Ts: Tensor) -> Tensor:
    """Rest-space points that skinning would bring to `points` (n, v, 3)."""
    blended = (weights @ Ts[..., :3, :].flatten(-2)).unflatten(-1, (3, 4))
    solution: Tensor = torch.linalg.solve(blended[..., :3], (points - blended[..., 3])[..., None])
    return solution[..., 0]


def report_correctives(rig: AnnyRig, people: list[Sculpture], directions: Tensor, poses_each: int) -> None:
    """Print the distance to the sculpture in new poses of new people, without and with the correctives."""
    plain, corrected = [], []
    for person in people:
        rotations = random_poses(poses_each)
        target, Ts = sculpted(rig, person, rotations)
        plain.append((skin(person.vertices, rig.weights, Ts) - target).norm(dim=-1))
        moved = person.vertices + torch.einsum("vxp,np->nvx", directions, features(rotations).flatten(1))
        corrected.append((skin(moved, rig.weights, Ts) - target).norm(dim=-1))
    before, after = torch.cat(plain) * 1000, torch.cat(corrected) * 1000
    joints, vertices = people[0].joints, people[0].vertices
    print(f"correctives, whole body: {before.mean():.2f} -> {after.mean():.2f} mm")
    for joint in ("left_shoulder", "left_elbow", "left_wrist", "left_hip", "left_knee"):
        near = (vertices - joints[SMPL_JOINTS.index(joint)]).norm(dim=-1) < 0.12
        a, b = before[:, near], after[:, near]
        tails = f"p95 {a.flatten()[::7].quantile(0.95):.1f} -> {b.flatten()[::7].quantile(0.95):.1f}"
        print(f"  within 12 cm of the {joint}: mean {a.mean():.2f} -> {b.mean():.2f} mm, {tails}")
