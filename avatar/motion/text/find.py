"""Moments of a motion by words: "left hand above the head", "feet apart", "both knees bent" (posecodes, Delmas 2022).

Conditions stand between commas or `and`, and all must hold. A condition compares two body parts, or is a pose in the
words of `avatar.motion.text.parse`, which holds where the angles come at least half of the way from standing at ease,
or within 15 degrees where a number is given.
"""

from __future__ import annotations

import re
from dataclasses import asdict

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import AvatarError, UsageError
from avatar.motion.bone_lengths import model_rest
from avatar.motion.text.clauses import NUMBER
from avatar.motion.text.parse import apply_clause, pose_clauses
from avatar.motion.text.pose_angles import PoseAngles, measure_pose_angles
from avatar.types import BodyPose

FILLING = ("the", "a", "an", "is", "are", "his", "her", "their", "my")
CLEAR, NEAR, APART = 0.05, 0.18, 0.40  # metres, for a body of 1.7 m
STATED_DEGREES = 15.0
# Body part -> joint, and how far it lies from the joint in the joint's own frame.
_POINTS = {"hand": ("hand", 0.0), "wrist": ("wrist", 0.0), "elbow": ("elbow", 0.0), "shoulder": ("shoulder", 0.0),
           "knee": ("knee", 0.0), "foot": ("foot", 0.0), "ankle": ("ankle", 0.0), "hip": ("hip", 0.0),
           "head": ("head", 0.12), "neck": ("neck", 0.0), "chest": ("spine3", 0.0), "waist": ("spine1", 0.0),
           "pelvis": ("pelvis", 0.0), "face": ("head", 0.08)}  # fmt: skip
_PLURAL = {"hands": "hand", "feet": "foot", "knees": "knee", "elbows": "elbow", "shoulders": "shoulder", "hips": "hip",
           "wrists": "wrist", "ankles": "ankle", "torso": "chest", "belly": "waist"}  # fmt: skip
_FRAME = {"left": (0, 1), "right": (0, -1), "front": (2, 1), "behind": (2, -1), "above": (1, 1), "below": (1, -1)}
_RELATIONS = (
    (r"(?:higher than|above|over)", "above"), (r"(?:lower than|below|under|beneath)", "below"),
    (r"in front of|before", "front"), (r"behind", "behind"), (r"(?:to )?left of", "left"),
    (r"(?:to )?right of", "right"), (r"(?:touching|touches|near|close to|next to|on)", "near"),
)  # fmt: skip


def find_moments(poses: BodyPose, text: str) -> Bool[Tensor, " t"]:
    """Where all conditions hold.

    Raises:
        UsageError: a condition is not understood; the message names it.
    """
    rest = model_rest().float()
    places = joint_transforms(rest, SMPL_PARENTS, poses)
    holds = torch.ones(len(poses), dtype=torch.bool)
    for condition in re.split(r",|;|\band\b", text.lower()):
        if condition.strip():
            holds &= _condition(condition.strip(), poses, places)
    return holds


def intervals(holds: Bool[Tensor, " t"], times: Float[Tensor, " t"]) -> list[tuple[float, float]]:
    """First and last time of each stretch that holds, seconds."""
    result: list[tuple[float, float]] = []
    previous = False
    for time, now in zip(times.tolist(), holds.tolist(), strict=True):
        if now:
            result = [*result[:-1], (result[-1][0], time)] if previous else [*result, (time, time)]
        previous = now
    return result


def _condition(text: str, poses: BodyPose, places: Float[Tensor, "t 24 4 4"]) -> Bool[Tensor, " t"]:
    text = " ".join(word for word in text.split() if word not in FILLING)
    for pattern, relation in _RELATIONS:
        match = re.fullmatch(rf"\s*(.+?)\s+(?:{pattern})\s+(.+?)\s*", text)
        parts = None if match is None else (_parts(match[1]), _parts(match[2]))
        if parts and parts[0] and parts[1]:
            return _related(parts[0], relation, parts[1], text, places)
    match = re.fullmatch(r"\s*(\w+)\s+(apart|together|crossed)\s*", text)
    if match and match[1] in _PLURAL and match[2] != "crossed":
        left, right = (_place(f"{side}_{_PLURAL[match[1]]}", places) for side in ("left", "right"))
        apart = (left - right).norm(dim=-1)
        condition: Tensor = apart > APART if match[2] == "apart" else apart < NEAR
        return condition
    match = re.fullmatch(r"\s*(.+?)\s+(?:off floor|off ground|in air)\s*", text)
    if match and (lifted := _parts(match[1])):
        lowest = places[:, :, 1, 3].amin(1)
        return torch.stack([_place(part, places)[:, 1] - lowest > 2 * CLEAR for part in lifted]).all(0)
    return _pose_condition(text, poses)


def _parts(words: str) -> list[str]:
    """The body parts that words name: one, or both sides; none where they name something else."""
    match = re.fullmatch(r"(?:(left|right|both)\s+)?(\w+)", words.strip())
    if match is None:
        return []
    kind = _PLURAL.get(match[2], match[2])
    if kind not in _POINTS:
        return []
    if f"left_{_POINTS[kind][0]}" not in SMPL_JOINTS:
        return [kind]
    return [f"{match[1]}_{kind}"] if match[1] in ("left", "right") else [f"left_{kind}", f"right_{kind}"]


def _related(
    subjects: list[str], relation: str, objects: list[str], text: str, places: Float[Tensor, "t 24 4 4"]
) -> Bool[Tensor, " t"]:
    """Whether the subjects stand in the relation to any of the objects; all subjects, where several are named."""
    forward = places[:, 0, [0, 2], 2]
    heading = torch.atan2(forward[:, 0], forward[:, 1])

    def one(subject: str, other: str) -> Tensor:
        way = _place(subject, places) - _place(other, places)
        if relation == "near":
            close: Tensor = way.norm(dim=-1) < NEAR
            return close
        cosine, sine = heading.cos(), heading.sin()
        turned = torch.stack([cosine * way[:, 0] - sine * way[:, 2], way[:, 1], sine * way[:, 0] + cosine * way[:, 2]])
        axis, sign = _FRAME[relation]
        clear: Tensor = sign * turned[axis] > CLEAR
        return clear

    each = torch.stack([torch.stack([one(subject, other) for other in objects]).any(0) for subject in subjects])
    every = re.match(r"\s*(?:both|\w+s\b|feet)", text) is not None
    result: Tensor = each.all(0) if every else each.any(0)
    return result


def _place(part: str, places: Float[Tensor, "t 24 4 4"]) -> Float[Tensor, "t 3"]:
    side, _, kind = part.rpartition("_")
    joint, up = _POINTS[kind]
    T = places[:, SMPL_JOINTS.index(f"{side}_{joint}" if side else joint)]
    return T[:, :3, 3] + up * T[:, :3, 1]


def _pose_condition(text: str, poses: BodyPose) -> Bool[Tensor, " t"]:
    """Where the angles that a clause of a pose changes have changed at least half as far."""
    try:
        clauses = pose_clauses(text)
        wished = PoseAngles()
        for clause in clauses:
            apply_clause(wished, clause)
    except AvatarError as error:
        raise UsageError(
            f"--find does not understand {text.strip()!r}: compare two body parts (above, below, in front of, behind, "
            f"left of, right of, near), or describe a pose. {error}"
        ) from error
    stated = any(NUMBER.fullmatch(word) for clause in clauses for word in clause)
    ease, target = _flat(PoseAngles()), _flat(wished)
    changed = {name: value for name, value in target.items() if abs(value - ease[name]) > 1.0}
    measured = [_flat(measure_pose_angles(rotations)) for rotations in poses.rotations]
    return torch.tensor([_reached(angles, changed, ease, stated) for angles in measured])


def _reached(angles: dict[str, float], changed: dict[str, float], ease: dict[str, float], stated: bool) -> bool:
    def reached(name: str) -> bool:
        if stated:
            return abs(angles[name] - changed[name]) <= STATED_DEGREES
        return (angles[name] - ease[name]) / (changed[name] - ease[name]) >= 0.5

    return all(reached(name) for name in changed)


def _flat(angles: PoseAngles) -> dict[str, float]:
    """The angles by name, such as "arms.left.raised"."""
    result: dict[str, float] = {}

    def add(prefix: str, value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                add(f"{prefix}.{key}" if prefix else str(key), inner)
        else:
            result[prefix] = float(value)  # type: ignore[arg-type]

    add("", asdict(angles))
    return result
