"""Motions in words: key poses in a row, "stand, then kneel, then both arms raised", and four actions by name.

Between key poses the joints turn evenly with a soft start and end. The lowest part of the body stays on the floor, but
for the flight of a jump.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.face import FACE_UNITS
from avatar.body.hand_angles import relaxed_fingers
from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import UsageError
from avatar.geometry import quat_from_rotation, rotation_from_quat, slerp
from avatar.motion.bone_lengths import leg_length, model_rest
from avatar.motion.motion import Motion, uniform_track
from avatar.motion.text.pose_file import pose_from_words
from avatar.types import BodyPose

FPS = 30.0
MOVE_SECONDS, HOLD_SECONDS = 0.8, 0.6
# Height of a part's surface below its joint when it bears the body, metres.
CLEARANCE = {"ankle": 0.07, "foot": 0.02, "knee": 0.05, "wrist": 0.03, "hip": 0.10}


@dataclass(frozen=True)
class KeyPose:
    """A pose in words, the seconds to get there and to hold it, and the height of the feet above the floor (m)."""

    words: str
    move: float = MOVE_SECONDS
    hold: float = HOLD_SECONDS
    lift: float = 0.0


_STAND = KeyPose("standing", hold=0.3)
_CROUCH = "squatting, arms back 30"
ACTIONS: dict[str, tuple[KeyPose, ...]] = {
    "jump": (
        _STAND,
        KeyPose(_CROUCH, 0.45, 0.05),
        KeyPose("standing, arms raised 150, feet pointed 35", 0.18, 0.0, 0.04),
        KeyPose("arms raised 160, feet pointed 40, knees bent 25", 0.16, 0.0, 0.34),
        KeyPose("arms forward 60, knees bent 30, legs forward 15", 0.2, 0.0, 0.02),
        KeyPose("squatting, arms forward 50", 0.2, 0.1),
        _STAND,
    ),
    "kneel": (_STAND, KeyPose("kneeling left, leaning forward 12", 0.9, 0.1), KeyPose("kneeling", 0.7, 0.8),
              KeyPose("kneeling left, leaning forward 12", 0.7, 0.1), _STAND),
    "sit": (_STAND, KeyPose("sitting, leaning forward 30, arms forward 35", 0.9, 0.0), KeyPose("sitting", 0.4, 1.0),
            KeyPose("sitting, leaning forward 32, arms forward 35", 0.4, 0.0), _STAND),
    "cross-arms": (_STAND, KeyPose("both elbows bent 80", 0.5, 0.0), KeyPose("arms crossed", 0.5, 1.2), _STAND),
}  # fmt: skip
"""Actions by name; each begins and ends standing, so that it can be repeated."""


def is_words_motion(text: str) -> bool:
    """Whether this is an action by name, or key poses joined by "then"."""
    return text in ACTIONS or re.search(r"\bthen\b", text.lower()) is not None


def motion_of_words(text: str) -> Motion:
    """A motion from an action by name, or from key poses joined by "then".

    Raises:
        UsageError: a pose has a word that is not in the vocabulary, which the message names.
    """
    if text in ACTIONS:
        keys: tuple[KeyPose, ...] = ACTIONS[text]
    else:
        steps = [step.strip(" ,;.") for step in re.split(r"\bthen\b", text.lower())]
        keys = tuple(key for step in steps if step for key in ACTIONS.get(step, (KeyPose(step),)))
    if not keys:
        raise UsageError('The motion has no poses: write for example "standing, then kneeling, then arms raised".')
    poses, lifts = _played(keys)
    rest = model_rest().float()
    root = _on_the_floor(rest, poses.rotations, lifts)
    track = uniform_track(poses.rotations, root, FPS, body="open", fingers=poses.fingers, face=poses.face)
    return Motion("words", track, leg_length(rest))


def _played(keys: tuple[KeyPose, ...]) -> tuple[BodyPose, Float[Tensor, " t"]]:
    """The poses of all frames, their roots at the origin, and the height of the feet above the floor."""
    poses = [pose_from_words(key.words) for key in keys]
    quats: list[Tensor] = []
    faces: list[Tensor] = []
    lifts: list[Tensor] = []

    def add(a: int, b: int, low: float, high: float, t: Float[Tensor, " t"]) -> None:
        count = len(t)
        one, two = joints[a].expand(count, -1, -1), joints[b].expand(count, -1, -1)
        quats.append(slerp(one, two, t[:, None].expand(count, one.shape[1])))
        faces.append(torch.lerp(shown[a].expand(count, -1), shown[b].expand(count, -1), t[:, None]))
        lifts.append(low + (high - low) * t)

    # Body and fingers turn together; hands and faces of which a key says nothing rest.
    fingers = [relaxed_fingers() if pose.fingers is None else pose.fingers for pose in poses]
    joints = [quat_from_rotation(torch.cat([pose.rotations, f])) for pose, f in zip(poses, fingers, strict=True)]
    shown = [torch.zeros(len(FACE_UNITS)) if pose.face is None else pose.face for pose in poses]
    add(0, 0, keys[0].lift, keys[0].lift, torch.zeros(max(1, round(keys[0].hold * FPS))))
    for (before, key), (a, b) in zip(pairwise(keys), pairwise(range(len(keys))), strict=True):
        share = torch.arange(1, max(1, round(key.move * FPS)) + 1) / max(1, round(key.move * FPS))
        # A key that is passed without a stop is reached and left at speed.
        soft = share if key.hold == 0 or before.hold == 0 else (3 - 2 * share) * share * share
        add(a, b, before.lift, key.lift, soft)
        if key.hold > 0:
            add(b, b, key.lift, key.lift, torch.zeros(round(key.hold * FPS)))
    rotations = rotation_from_quat(torch.cat(quats))
    moved = BodyPose(torch.zeros(len(rotations), 3), rotations[:, :24], rotations[:, 24:], torch.cat(faces))
    return moved, torch.cat(lifts)


def _on_the_floor(
    rest: Float[Tensor, "24 3"], rotations: Float[Tensor, "t 24 3 3"], lifts: Float[Tensor, " t"]
) -> Float[Tensor, "t 3"]:
    """The root above the origin, so that the lowest part of the body is `lifts` above the floor."""
    still = BodyPose(rest[:1].expand(len(rotations), 3), rotations)
    places = joint_transforms(rest, SMPL_PARENTS, still)[..., :3, 3]
    bearing = {
        index: CLEARANCE[name.split("_")[1]]
        for index, name in enumerate(SMPL_JOINTS)
        if "_" in name and name.split("_")[1] in CLEARANCE
    }
    lowest = (places[:, list(bearing), 1] - torch.tensor(list(bearing.values()))).amin(1)
    root = still.root_position.clone()
    root[:, 1] += lifts - lowest
    return root
