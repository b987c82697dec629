"""From the joint frames of a foreign skeleton to those of ours: one constant rotation per joint.

`G_ours = W G_theirs C`: the frames of both skeletons move alike, so C is constant. It follows from the rest pose, or
from joint positions in the frames where the rest pose shows no body.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.geometry import nearest_rotation, rotation_from_rotvec
from avatar.motion.bone_lengths import bone_length, sized_rest
from avatar.motion.ik import Landmarks, fit_landmarks
from avatar.motion.motion import MEAN_LEG
from avatar.motion.skeleton_axes import LIMBS, Places, own_limb

FRAMES = 64  # that are fitted by inverse kinematics to find the constant rotations
# Of joints that skeletons place alike; the spine differs between them.
WEIGHTS = {"pelvis": 0.0, "spine1": 0.0, "spine2": 0.0, "spine3": 0.0, "neck": 0.3, "head": 0.3, "hand": 0.0,
           "collar": 0.1, "foot": 0.5}  # fmt: skip
STANDING = 0.04  # of the leg, above its lowest place, up to which an ankle belongs to a foot that stands
CONTROL_DEGREES = 40.0  # by which legs and spine together turn back a pelvis that is a control and no bone


def offsets_from_rest(
    rest: Places, rest_rotations: dict[str, Tensor], B: Float[Tensor, "3 3"]
) -> dict[str, Float[Tensor, "3 3"]]:
    """C of each joint, from a rest pose whose axes are `B` (see `rest_axes`).

    Limbs of another rest pose (arms lowered, seated legs) turn to those of our T-pose by the shortest rotation.
    """
    turns = {}
    for joint, end in LIMBS.items():
        if joint in rest and end in rest:
            turns[joint] = shortest_rotation(own_limb(joint), B @ F.normalize(rest[end] - rest[joint], dim=0))
    for side in ("left", "right"):
        if f"{side}_elbow" in turns:
            turns[f"{side}_wrist"] = turns[f"{side}_elbow"]
    eye = torch.eye(3, dtype=B.dtype)
    return {joint: R.T @ B.T @ turns.get(joint, eye) for joint, R in rest_rotations.items()}


def offsets_from_frames(
    at: Places, rotations: dict[str, Tensor], W: Float[Tensor, "3 3"]
) -> dict[str, Float[Tensor, "3 3"]]:
    """C of each joint, from where the joints are in the frames.

    Inverse kinematics poses our skeleton, sized like theirs, in some frames; C is the mean rotation between both.

    Args:
        at, rotations: places (t, 3) and frames (t, 3, 3) of the joints by SMPL name, in the file's world.
        W: from the file's world to ours.
    """
    frames = len(at["pelvis"])
    some = torch.linspace(0, frames - 1, min(frames, FRAMES)).round().long()
    scale = MEAN_LEG / (bone_length(at, "hip", "knee") + bone_length(at, "knee", "ankle"))
    sized = {joint: place[some] @ W.T * scale for joint, place in at.items()}
    joints = [SMPL_JOINTS.index(joint) for joint in sized]
    weights = [WEIGHTS.get(joint.removeprefix("left_").removeprefix("right_"), 1.0) for joint in sized]
    points = Landmarks(torch.tensor(joints), torch.zeros(len(joints), 3, dtype=torch.float64))
    confidence = torch.tensor(weights, dtype=torch.float64).expand(len(some), -1)
    targets = torch.stack(list(sized.values()), 1)
    own = sized_rest(sized)
    pose = fit_landmarks(own, SMPL_PARENTS, points, targets, confidence, sequence=False)
    G = joint_transforms(own, SMPL_PARENTS, pose)[..., :3, :3]
    offsets = {
        joint: nearest_rotation(((W @ R[some]).mT @ G[:, SMPL_JOINTS.index(joint)]).mean(0))
        for joint, R in rotations.items()
    }
    return offsets | _offsets_of_feet({joint: place @ W.T * scale for joint, place in at.items()}, rotations, W)


def _offsets_of_feet(
    at: Places, rotations: dict[str, Tensor], W: Float[Tensor, "3 3"]
) -> dict[str, Float[Tensor, "3 3"]]:
    """C of ankles and toes: a foot is level where its ankle is lowest, and points to its toes.

    Args:
        at: in our axes and size. Skeletons place ankles and toes at different heights, so their bone does not tell.
    """
    offsets = {}
    for side in ("left", "right"):
        if f"{side}_foot" not in at:
            continue
        ankle = at[f"{side}_ankle"]
        stands = ankle[:, 1] < ankle[:, 1].amin() + STANDING * MEAN_LEG
        toes = (at[f"{side}_foot"] - ankle)[stands]
        forward = F.normalize(toes * torch.tensor([1.0, 0.0, 1.0], dtype=toes.dtype), dim=-1)
        if float((F.normalize(toes, dim=-1) * forward).sum(-1).median()) < 0.5:
            continue  # it hangs, so nothing tells how it would stand
        up = torch.tensor([0.0, 1.0, 0.0], dtype=toes.dtype).expand_as(forward)
        level = torch.stack([torch.linalg.cross(up, forward), up, forward], dim=-1)
        for joint in (f"{side}_ankle", f"{side}_foot"):
            offsets[joint] = nearest_rotation(((W @ rotations[joint][stands]).mT @ level).mean(0))
    return offsets


def pelvis_of_body(world: dict[str, Float[Tensor, "t 3 3"]]) -> tuple[Float[Tensor, "t 3 3"], float]:
    """The pelvis from the thighs and the lowest of the spine, and the degrees by which all turn back its own bone."""
    spine = next((name for name in ("spine1", "spine2", "spine3", "neck") if name in world), None)
    parts = [world["left_hip"], world["right_hip"]] + ([world[spine]] * 2 if spine else [])
    together = nearest_rotation(torch.stack(parts).mean(0))
    turned = _degrees(world["pelvis"].mT @ together)
    spread = torch.stack([_degrees(together.mT @ part) for part in parts]).mean(0)
    against = float(turned.median())
    if spine is None or against < CONTROL_DEGREES or float(spread.median()) > against / 2:
        return world["pelvis"], 0.0
    up = world[spine][..., 1]
    across = torch.stack([part[..., 0] for part in parts]).mean(0)
    left = F.normalize(across - (across * up).sum(-1, keepdim=True) * up, dim=-1)
    return torch.stack([left, up, torch.linalg.cross(left, up)], dim=-1), against


def align_limbs(
    world: dict[str, Float[Tensor, "t 3 3"]], at: Places, W: Float[Tensor, "3 3"]
) -> dict[str, Float[Tensor, " t"]]:
    """Turn the limbs of `world` (in place) to where the joints of the file are, by the shortest rotation.

    Joints between two of ours (twist bones, empty joints) may turn a limb that its upper joint does not.

    Returns:
        By how many degrees each limb turned.
    """
    turned = {}
    for joint, end in LIMBS.items():
        if joint in at and end in at:
            bone = (at[end] - at[joint]) @ W.T
            ours = world[joint] @ own_limb(joint)
            theirs = torch.where(bone.norm(dim=-1, keepdim=True) > 1e-9, bone, ours)
            R = shortest_rotation(ours, F.normalize(theirs, dim=-1))
            turned[joint] = _degrees(R)
            world[joint] = R @ world[joint]
    return turned


def shortest_rotation(a: Float[Tensor, "*t 3"], b: Float[Tensor, "*t 3"]) -> Float[Tensor, "*t 3 3"]:
    """The shortest rotation from one unit vector to another."""
    axis = torch.linalg.cross(a, b)
    sine = axis.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, (a * b).sum(-1, keepdim=True))
    return rotation_from_rotvec(axis / sine.clamp_min(1e-12) * angle)


def _degrees(R: Float[Tensor, "*t 3 3"]) -> Float[Tensor, "*t"]:
    # Through the half chord, which is exact for small angles where the arc cosine of the trace is not.
    chord = (R - torch.eye(3, dtype=R.dtype)).square().sum((-1, -2)).div(8).sqrt()
    return 2 * chord.clamp(max=1).asin().rad2deg()
