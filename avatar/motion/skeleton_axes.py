"""Which way a foreign skeleton stands: the axes of its body at rest, and what points up in its world.

The body's axes come from hips, shoulders, spine and legs, never from one bone.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import UsageError
from avatar.motion.bone_lengths import model_rest
from avatar.motion.motion import UP_AXES, up_rotation

# Joint -> the joint its limb points at. Hands follow the forearm; feet stand flat in every rest pose.
LIMBS = {
    f"{side}_{a}": f"{side}_{b}"
    for side in ("left", "right")
    for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
}
Places = dict[str, Tensor]


def middle(at: Places, part: str) -> Float[Tensor, "*t 3"]:
    """The middle of the left and the right joint of a part."""
    return (at[f"left_{part}"] + at[f"right_{part}"]) / 2


def top_of_trunk(at: Places) -> Float[Tensor, "*t 3"]:
    """The neck, or the middle of the shoulders."""
    return at["neck"] if "neck" in at else middle(at, "shoulder")


def own_limb(joint: str) -> Float[Tensor, " 3"]:
    """The direction of a limb in our T-pose."""
    own = model_rest()
    return F.normalize(own[SMPL_JOINTS.index(LIMBS[joint])] - own[SMPL_JOINTS.index(joint)], dim=0)


def rest_axes(rest: Places) -> Float[Tensor, "3 3"] | None:
    """The rotation from the file's axes to ours in the rest pose: left hip to +X, head to +Y.

    Rest poses stand along the axes of their world, so a small lean is the skeleton's and not the world's.

    Args:
        rest: places of the joints in the rest pose, by SMPL name.

    Returns:
        None where the rest pose shows no body whose limbs could be aligned with those of our T-pose: a trunk without a
        clear front, or a limb that points away from where ours does.
    """
    hips, feet = middle(rest, "hip"), middle(rest, "ankle")
    top = rest.get("head", top_of_trunk(rest))
    left = F.normalize(rest["left_hip"] - rest["right_hip"], dim=0)
    shoulders = F.normalize(rest["left_shoulder"] - rest["right_shoulder"], dim=0)
    trunk = F.normalize(top - hips, dim=0)
    # A straight body shows best where up is; one that sits, only its trunk.
    straight = float(trunk @ F.normalize(hips - feet, dim=0)) > 0.7
    up = _nearest_axis(F.normalize(top - feet, dim=0) if straight else trunk)
    if not float(trunk @ up) > 0.7 or abs(float(left @ up)) > 0.5 or float(left @ shoulders) < 0.5:
        return None
    left = F.normalize(left - (left @ up) * up, dim=0)
    B = torch.stack([left, up, torch.linalg.cross(left, up)])
    snapped = B.round()
    if bool((snapped.abs().sum(1) == 1).all()) and float(torch.linalg.det(snapped)) == 1:
        B = snapped
    for joint, end in LIMBS.items():
        if joint in rest and end in rest:
            theirs = B @ F.normalize(rest[end] - rest[joint], dim=0)
            if float(theirs @ own_limb(joint)) < -0.25:
                return None
    return B


def _nearest_axis(v: Float[Tensor, " 3"]) -> Float[Tensor, " 3"]:
    """The axis of the world nearest to a direction, or the direction itself if it lies between the axes."""
    axis = torch.where(v.abs() == v.abs().max(), v.sign(), 0.0)
    return axis if float(axis @ v) > 0.85 else v


def up_of_frames(path: Path, at: Places) -> str:
    """What points up in the world of a motion: the axis along which the body stands for most of the time.

    Raises:
        UsageError: there is no such axis, as in a motion on the ground.
    """
    scores = {name: float(score.mean()) for name, score in _uprightness(at).items()}
    best = max(scores, key=lambda name: scores[name])
    if not scores[best] > 0.6:
        raise UsageError(f"{path} does not show which way is up: state it with --up y, z, -y or x.")
    return best


def other_up(path: Path, at: Places, rest_up: Float[Tensor, " 3"], leg: float) -> str | None:
    """What points up in the frames, where it differs from what points up in the rest pose.

    A body that never stands along `rest_up` and always along another axis either lies, or its frames have other axes
    than its rest pose. Where the feet and the pelvis are relative to the floors of both worlds tells which.

    Raises:
        UsageError: both are possible.
    """
    body_up = F.normalize(middle(at, "shoulder") - middle(at, "ankle"), dim=-1)
    if float(((body_up @ rest_up) > 0.7).double().mean()) > 0.1:
        return None
    scores = {name: float(score.mean()) for name, score in _uprightness(at).items()}
    best = max(scores, key=lambda name: scores[name])
    up = up_rotation(best)[1].to(rest_up)
    if scores[best] < 0.8 or float(up @ rest_up) > 0.7:
        return None
    joints = torch.stack(list(at.values()))
    feet = torch.stack([at[f"{side}_ankle"] @ up for side in ("left", "right")]).amin(0).median()
    stands = -0.2 < float(feet) / leg < 0.4
    pelvis = middle(at, "hip") @ rest_up
    lies = 0.05 < float(pelvis.median()) / leg < 0.6 and float((joints @ rest_up).amin(0).median()) / leg > -0.1
    if stands == lies:
        raise UsageError(
            f"{path}: its frames do not stand along the axis of its rest pose. If the person lies or stands on the "
            f"hands, state --up {_name_of(rest_up)}, otherwise --up {best}."
        )
    return best if stands else None


def path_factor(at: Places, root: Float[Tensor, "t 3"], up: Float[Tensor, " 3"]) -> float:
    """The power of ten by which the path must grow so that the lower foot stands still: 1 where it does already.

    Where a root moves in metres and a body is built in centimetres, the steps of the feet tell.

    Args:
        root: place of the joint that moves the whole skeleton.
    """
    feet = torch.stack([at["left_ankle"], at["right_ankle"]], 1)
    lower = ((feet[1:] + feet[:-1]) @ up).argmin(1)
    relative = (feet - root[:, None]).diff(dim=0)[torch.arange(len(lower)), lower]
    steps, path = (v - (v @ up)[:, None] * up for v in (relative, root.diff(dim=0)))
    leg = (middle(at, "hip") - middle(at, "ankle")).norm(dim=-1).median()
    walked = float(steps.norm(dim=-1).sum()) > 0.5 * float(leg)
    if not walked or not float(path.norm()) > 0:
        return 1.0
    against = -float((steps * path).sum())
    size = math.log10(max(against / float(path.square().sum()), 1.0))
    agrees = against > 0.7 * float(steps.norm() * path.norm()) and abs(size - round(size)) < 0.2
    return 10.0 ** round(size) if agrees else 1.0


def _name_of(up: Float[Tensor, " 3"]) -> str:
    return max(UP_AXES, key=lambda name: float(up_rotation(name)[1].to(up) @ up))


def _uprightness(at: Places) -> dict[str, Float[Tensor, " t"]]:
    """For each axis the cosine between it and the direction from the ankles to the shoulders."""
    body_up = F.normalize(middle(at, "shoulder") - middle(at, "ankle"), dim=-1)
    return {name: body_up @ up_rotation(name)[1].to(body_up) for name in UP_AXES}
