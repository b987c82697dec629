"""Rigs made up for the tests: a plain figure with any joint names, rest pose, axes and units, written as BVH.

The forward kinematics here is the tests' own: a truth is the world rotation of each joint from the T-pose, and the
places that follow from it; nothing of `avatar` is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

Array = np.ndarray
Turn = Callable[[str], Array]
PLACES = {
    "pelvis": (0.0, 0.95, 0.0), "spine1": (0, 1.06, 0), "spine2": (0, 1.2, 0), "spine3": (0, 1.34, 0),
    "neck": (0, 1.5, 0), "head": (0, 1.6, 0),
} | {
    f"{side}_{part}": (x * sign, y, z)
    for side, sign in (("left", 1.0), ("right", -1.0))
    for part, (x, y, z) in {
        "hip": (0.1, 0.9, 0.0), "knee": (0.1, 0.5, 0.0), "ankle": (0.1, 0.08, 0.0), "foot": (0.1, 0.02, 0.12),
        "collar": (0.05, 1.45, 0.0), "shoulder": (0.18, 1.45, 0.0), "elbow": (0.45, 1.45, 0.0),
        "wrist": (0.7, 1.45, 0.0),
    }.items()
}  # fmt: skip
PARENTS = {
    "pelvis": None, "spine1": "pelvis", "spine2": "spine1", "spine3": "spine2", "neck": "spine3", "head": "neck",
} | {
    f"{side}_{part}": (above if above in ("pelvis", "spine3") else f"{side}_{above}")
    for side in ("left", "right")
    for part, above in {
        "hip": "pelvis", "knee": "hip", "ankle": "knee", "foot": "ankle", "collar": "spine3", "shoulder": "collar",
        "elbow": "shoulder", "wrist": "elbow",
    }.items()
}  # fmt: skip
LIMBS = [(f"{side}_{a}", f"{side}_{b}") for side in ("left", "right")
         for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))]  # fmt: skip
Y_TO_Z = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


@dataclass(frozen=True)
class Rig:
    """A skeleton and how its file is written.

    Attributes:
        places, parents: of the joints in the T-pose, metres, Y up, facing +Z.
        names: what the file calls them; without one, our own name.
        frames: the axes of each joint in the T-pose; identity by default. They make the rest pose: with all rotations
            zero the offsets lie as these axes say.
        world: from Y up to the file's world; applied to the root alone, so that the rest pose stays Y up.
        axes: from Y up to the file's world, for rest pose and frames alike.
        unit: length of a metre in the file.
    """

    places: Mapping[str, tuple[float, float, float]] = field(default_factory=lambda: PLACES)
    parents: Mapping[str, str | None] = field(default_factory=lambda: PARENTS)
    names: Mapping[str, str] = field(default_factory=dict)
    frames: Mapping[str, Array] = field(default_factory=dict)
    world: Array = field(default_factory=lambda: np.eye(3))
    axes: Array = field(default_factory=lambda: np.eye(3))
    unit: float = 100.0
    order: str = "ZXY"

    def rest_pose(self, turns: Mapping[str, Array]) -> Rig:
        """The same rig whose rest pose is another one, given as world rotations of the joints from the T-pose."""
        return replace(self, frames={joint: turns.get(joint, np.eye(3)).T for joint in self.places})

    def with_joint(self, name: str, parent: str, place: tuple[float, float, float], children: tuple[str, ...]) -> Rig:
        """The same rig with one more joint between a parent and some of its children."""
        parents = {**self.parents, name: parent, **dict.fromkeys(children, name)}
        return replace(self, places={**self.places, name: place}, parents=parents)


@dataclass(frozen=True)
class Truth:
    """World rotations of the joints from the T-pose, and their places, metres, Y up."""

    rotations: Mapping[str, Array]
    places: Mapping[str, Array]


def truth_of(rig: Rig, local: Mapping[str, Array], path: Array) -> Truth:
    """Forward kinematics.

    Args:
        local: (t, 3, 3) rotation of a joint from the T-pose relative to its parent; others do not turn.
        path: (t, 3) of the root's joint.
    """
    rotations: dict[str, Array] = {}
    places: dict[str, Array] = {}
    for joint in listed(rig):
        above = rig.parents[joint]
        own = local.get(joint, np.tile(np.eye(3), (len(path), 1, 1)))
        if above is None:
            rotations[joint], places[joint] = own, path
        else:
            bone = np.subtract(rig.places[joint], rig.places[above])
            rotations[joint] = rotations[above] @ own
            places[joint] = places[above] + rotations[above] @ bone
    return Truth(rotations, places)


def listed(rig: Rig) -> list[str]:
    """The joints in the order of the file: each one before its children, depth first."""

    def below(joint: str) -> list[str]:
        return [joint] + [k for child, above in rig.parents.items() if above == joint for k in below(child)]

    return [k for joint, above in rig.parents.items() if above is None for k in below(joint)]


def write_rig(path: Path, rig: Rig, truth: Truth, fps: float = 30.0) -> None:
    """A truth as BVH of a rig."""
    order = listed(rig)
    F = {joint: np.asarray(rig.frames.get(joint, np.eye(3))) for joint in order}
    root = order[0]
    W = {joint: rig.axes @ R @ F[joint] @ rig.axes.T for joint, R in truth.rotations.items()}
    rows = []
    for frame in range(len(truth.places[root])):
        row = list(rig.unit * rig.world @ rig.axes @ truth.places[root][frame])
        for joint in order:
            above = rig.parents[joint]
            local = rig.world @ W[joint][frame] if above is None else W[above][frame].T @ W[joint][frame]
            row += list(np.degrees(euler(local, rig.order)))
        rows.append(" ".join(f"{x:.6f}" for x in row))

    def text(joint: str, depth: int) -> str:
        pad, above = "\t" * depth, rig.parents[joint]
        bone = np.zeros(3) if above is None else np.subtract(rig.places[joint], rig.places[above])
        offset = bone if above is None else rig.unit * rig.axes @ F[above].T @ bone
        turns = " ".join(f"{axis}rotation" for axis in rig.order)
        channels = f"6 Xposition Yposition Zposition {turns}" if above is None else f"3 {turns}"
        inner = "".join(text(child, depth + 1) for child in order if rig.parents[child] == joint)
        inner = inner or f"{pad}\tEnd Site\n{pad}\t{{\n{pad}\t\tOFFSET 0 1 0\n{pad}\t}}\n"
        kind = "ROOT" if above is None else "JOINT"
        name, numbers = rig.names.get(joint, joint), " ".join(f"{x:.6f}" for x in offset)
        return f"{pad}{kind} {name}\n{pad}{{\n{pad}\tOFFSET {numbers}\n{pad}\tCHANNELS {channels}\n{inner}{pad}}}\n"

    head = f"HIERARCHY\n{text(root, 0)}MOTION\nFrames: {len(rows)}\nFrame Time: {1 / fps:.8f}\n"
    path.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


def about(axis: str, degrees: Array | float) -> Array:
    """Rotations about an axis, (3, 3) or (t, 3, 3)."""
    angle = np.radians(np.asarray(degrees, dtype=float))
    i = "xyz".index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    R = np.zeros((*angle.shape, 3, 3))
    R[..., i, i] = 1
    R[..., j, j] = R[..., k, k] = np.cos(angle)
    R[..., k, j], R[..., j, k] = np.sin(angle), -np.sin(angle)
    return R


def euler(R: Array, order: str) -> Array:
    """Angles a, b, c with R = R_first(a) R_second(b) R_third(c)."""
    i, j, k = ("XYZ".index(axis) for axis in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    b = np.arcsin(np.clip(sign * R[i, k], -1, 1))
    if abs(R[i, k]) > 1 - 1e-9:  # both other axes coincide
        return np.array([np.arctan2(sign * R[k, j], R[j, j]), b, 0.0])
    return np.array([np.arctan2(-sign * R[j, k], R[k, k]), b, np.arctan2(-sign * R[i, j], R[i, i])])


def walk(rig: Rig | None = None, frames: int = 40, fps: float = 30.0) -> Truth:
    """A walk of 1 m/s with lowered, swinging arms, a swaying trunk and a turning head."""
    rig = rig or Rig()
    t = np.arange(frames) / fps
    swing = 2 * np.pi * t
    local = {
        "pelvis": about("y", 6 * np.sin(swing)) @ about("z", 2 * np.cos(swing)),
        "spine1": about("x", 4 + 2 * np.sin(2 * swing)), "spine2": about("y", -5 * np.sin(swing)),
        "spine3": about("y", -5 * np.sin(swing)), "head": about("y", 20 * np.sin(swing / 2)),
    }  # fmt: skip
    for side, sign in (("left", 1.0), ("right", -1.0)):
        phase = swing + (0 if sign > 0 else np.pi)
        knee = 20 + 20 * np.sin(phase + 1.0)
        local[f"{side}_hip"] = about("x", -25 * np.sin(phase) - 10) @ about("y", 5 * sign)
        local[f"{side}_knee"] = about("x", knee)
        local[f"{side}_ankle"] = about("x", 10 * np.sin(phase))
        local[f"{side}_shoulder"] = about("x", 20 * np.sin(phase)) @ about("z", -70 * sign)
        local[f"{side}_elbow"] = about("y", -sign * (25 + 10 * np.sin(phase)))
        local[f"{side}_wrist"] = about("z", 8 * np.sin(phase))
    path = np.stack([0.02 * np.sin(swing), 0.93 + 0.02 * np.cos(2 * swing), t], -1)
    return truth_of(rig, local, path)


def rotated(quats: Array) -> Array:
    """Rotation matrices (t, 3, 3) of unit quaternions w, x, y, z."""
    w, x, y, z = (quats / np.linalg.norm(quats, axis=-1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)
