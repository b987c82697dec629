"""Motion of any skeleton -> rotations of SMPL's joints.

The rotation of each bone is transferred; where rotations and the places of the joints disagree, the places decide. A
check compares the result with the joints of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.errors import AvatarError
from avatar.geometry import nearest_rotation, quat_from_rotation, rotation_from_quat, slerp
from avatar.motion.bone_lengths import bone_length, leg_length, model_rest
from avatar.motion.fingers import finger_rotations_of_bones, match_fingers
from avatar.motion.joint_names import match_joints
from avatar.motion.joint_tree import ancestors
from avatar.motion.motion import MEAN_LEG, Motion, ReadOptions, check_path, uniform_track, up_rotation
from avatar.motion.skeleton_axes import Places, middle, other_up, path_factor, rest_axes, up_of_frames
from avatar.motion.skeleton_check import check_motion
from avatar.motion.skeleton_frames import align_limbs, offsets_from_frames, offsets_from_rest, pelvis_of_body

DECEPTIVE_DEGREES = 45.0  # a rest pose whose limbs are off by more in most frames belongs to another skeleton


@dataclass(frozen=True)
class JointAnimation:
    """A foreign skeleton and its joint frames over time, in the file's own world and units.

    Attributes:
        rest_rotations, rest_positions: each joint's frame in the rest pose.
        rotations, positions: each joint's frame at each moment.
        up: what points up where the format fixes it; None to infer it from the rest pose and the frames.
        notes: what the user should know about how the file was read.
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
    notes: tuple[str, ...] = ()


def motion_from_animation(animation: JointAnimation, options: ReadOptions) -> Motion:
    """Transfer an animation to SMPL's joints.

    Raises:
        UsageError: the skeleton is unknown and no name map helps, or what points up is open.
        AvatarError: its legs have no length, or its root moves in other units than its body.
    """
    path = animation.path
    matches = match_joints(path, animation.names, animation.parents, options.names, animation.positions[0])
    rest = {name: animation.rest_positions[index].double() for name, index in matches.items()}
    at = {name: animation.positions[:, index].double() for name, index in matches.items()}
    rotations = {name: _proper(animation.rotations[:, index]) for name, index in matches.items()}
    rest_rotations = {name: _proper(animation.rest_rotations[index]) for name, index in matches.items()}
    leg = bone_length(at, "hip", "knee") + bone_length(at, "knee", "ankle")
    if not leg > 1e-9:
        raise AvatarError(f"{path}: its legs have no length, so its joints show no body.")
    B = rest_axes(rest)
    W, notes = _world_axes(animation, options, at, B, leg)
    root_joint = [matches["pelvis"], *ancestors(animation.parents, matches["pelvis"])][-1]
    moved = animation.positions[:, root_joint].double()
    if (factor := path_factor(at, moved, W[1])) != 1:
        notes.append(f"the root moves in another unit than the body has, so the path was made {factor:g} times longer")
        at = {name: place + (factor - 1) * moved for name, place in at.items()}
    at = {name: place @ W.T for name, place in at.items()}
    rotations = {name: W @ R for name, R in rotations.items()}
    offsets = offsets_from_frames(at, rotations) if B is None else offsets_from_rest(rest, rest_rotations, B)
    world, turned = _world_rotations(at, rotations, offsets)
    if B is not None and float(torch.stack(list(turned.values())).mean(0).median()) > DECEPTIVE_DEGREES:
        B = None
        notes.append("the rest pose does not belong to the moving joints")
        world, turned = _world_rotations(at, rotations, offsets_from_frames(at, rotations))
    if B is None:
        notes.append("the rest pose is not a standing person, so joint positions decide")
    world["pelvis"], against = pelvis_of_body(world)
    if against:
        notes.append(f"legs and spine turn the pelvis back by {against:.0f} degrees, so it was taken from them")
    local = _local_rotations(world)
    fingers = _fingers(animation, matches, world, W)
    scale = MEAN_LEG / leg
    # All skeletons define the hips alike, but not the pelvis: our hips are placed at theirs.
    own = model_rest()
    own_middle = own[[1, 2]].mean(0) - own[0]
    root = middle(at, "hip") * scale - local[:, 0] @ (own_middle * MEAN_LEG / leg_length(own))
    check_path(path, root.numpy(), animation.fps)
    check = check_motion(
        local, root, {name: place * scale for name, place in at.items()}, (*animation.notes, *notes), turned
    )
    return Motion(animation.format, uniform_track(local, root, animation.fps, fingers=fingers), MEAN_LEG, check)


def _world_axes(
    animation: JointAnimation, options: ReadOptions, at: Places, B: Float[Tensor, "3 3"] | None, leg: float
) -> tuple[Float[Tensor, "3 3"], list[str]]:
    """The rotation from the file's world to ours, and what to say about it."""
    up = options.up or animation.up
    if up is not None:
        return up_rotation(up).double(), []
    if B is None:
        return up_rotation(up_of_frames(animation.path, at)).double(), []
    other = other_up(animation.path, at, B[1], leg)
    if other is None:
        return B, []
    return up_rotation(other).double(), [f"the frames have {other} up, unlike the rest pose"]


def _world_rotations(
    at: Places, rotations: dict[str, Tensor], offsets: dict[str, Tensor]
) -> tuple[dict[str, Float[Tensor, "t 3 3"]], dict[str, Float[Tensor, " t"]]]:
    """Our joints' frames, and by how many degrees each limb was turned to fit its joints."""
    world = {name: R @ offsets[name] for name, R in rotations.items()}
    return world, align_limbs(world, at)


def _fingers(
    animation: JointAnimation,
    matches: dict[str, int],
    world: dict[str, Float[Tensor, "t 3 3"]],
    W: Float[Tensor, "3 3"],
) -> Float[Tensor, "t 30 3 3"] | None:
    """See `finger_rotations_of_bones`; only the joints of fingers are copied, since a file may have many others."""
    palms = {side: matches[f"{side}_wrist"] for side in ("left", "right") if f"{side}_wrist" in matches}
    chains = match_fingers(animation.names, animation.parents, palms)
    joints = [joint for chain in chains.values() for joint in chain]
    if not joints:
        return None
    return finger_rotations_of_bones(
        {finger: [joints.index(joint) for joint in chain] for finger, chain in chains.items()},
        animation.positions[:, joints].double() @ W.T,
        W @ _proper(animation.rotations[:, joints]),
        _proper(animation.rest_rotations[joints]),
        {side: world[f"{side}_wrist"] for side in palms},
    )


def _proper(R: Float[Tensor, "*t 3 3"]) -> Float[Tensor, "*t 3 3"]:
    """Rotations without the mirroring and shear that scaled nodes may leave in them."""
    R = R.double()
    R = R * torch.linalg.det(R).sign()[..., None, None]
    sheared = (R.mT @ R - torch.eye(3, dtype=R.dtype)).abs().amax() > 1e-3
    return nearest_rotation(R) if bool(sheared) else R


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
