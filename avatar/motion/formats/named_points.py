"""Points that a file names itself, of joints or of markers on the skin: TRC, C3D and CSV tables share this."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from avatar.body.landmarks import point_offset
from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import UsageError
from avatar.motion.formats.container import Content
from avatar.motion.formats.joint_positions import motion_from_points
from avatar.motion.formats.keypoints2d_people import landmark_name
from avatar.motion.motion import Motion, ReadOptions

# Names of joints that programs write otherwise than `landmark_name` undoes.
JOINT_NAMES = {
    "mid_hip": "pelvis", "midhip": "pelvis", "hip": "pelvis", "hips": "pelvis", "thorax": "neck",
    "left_heel": "left_heel", "left_bigtoe": "left_foot_index", "right_bigtoe": "right_foot_index",
}  # fmt: skip
# Markers of gait laboratories (Vicon Plug-in Gait, CGM2, and the names of OpenCap's markers), after L or R.
MARKERS = {
    "asis": ("asi", "asis", "ias"), "psis": ("psi", "psis", "ips"), "knee": ("kne", "knee", "fle"),
    "knee_inner": ("knm", "mkne", "mknee", "medknee", "fme", "kneem"), "ankle": ("ank", "ankle", "fal"),
    "ankle_inner": ("med", "mmed", "mankle", "tam", "ankm", "mma"), "shoulder": ("sho", "shoulder", "sae", "acr"),
    "elbow": ("elb", "lelbow", "elbow", "hle"), "elbow_inner": ("elm", "melb", "melbow", "hme", "elbm"),
    "wrist": ("wra", "lwrist", "rsp"), "wrist_inner": ("wrb", "mwrist", "usp"), "toe": ("toe", "d2m", "fm2"),
    "heel": ("hee", "calc", "heel"),
}  # fmt: skip
# From the middle of the front of the pelvis to a hip joint, in widths of the pelvis: aside, down and back
# (Bell et al. 1990).
HIP_JOINT = (0.36, 0.30, 0.19)
HALF_KNEE = 0.11  # from a marker outside the knee to its middle, in lengths of the shank; likewise the ankle


@dataclass(frozen=True)
class NamedPoints:
    """Points with names over time.

    Attributes:
        names: one per point, as the file writes them.
        points: (frames, points, 3), NaN where missing, in any unit.
        fps: frames per second.
    """

    names: tuple[str, ...]
    points: Float[np.ndarray, "t n 3"]
    fps: float


def motion_from_named_points(content: Content, options: ReadOptions, named: NamedPoints, format: str) -> Motion:
    """The motion of points that are joints, or of markers from which the joints follow.

    Raises:
        UsageError: neither the joints nor the markers of a body are among the names.
    """
    joints = joints_by_name(named)
    needed = [f"{side}_{part}" for side in ("left", "right") for part in ("hip", "knee", "ankle", "shoulder", "elbow")]
    if any(name not in joints for name in needed):
        joints = joints_of_markers(named) | joints
    missing = [name for name in needed if name not in joints]
    if missing:
        raise UsageError(
            f"{content.path} holds the points {', '.join(named.names[:20])}; no {', '.join(missing[:4])} is among "
            "them. Joints are read by their usual names, and the markers of Plug-in Gait."
        )
    fps = options.fps or named.fps
    points = np.stack(list(joints.values()), axis=1)
    return motion_from_points(content, options, points, fps, format, names=tuple(joints))


def joints_by_name(named: NamedPoints) -> dict[str, np.ndarray]:
    """The points that are landmarks of ours, by our names; OpenSim's "_study" markers lie on the skin."""
    joints: dict[str, np.ndarray] = {}
    for index, name in enumerate(named.names):
        plain = landmark_name(_without_prefix(name))
        plain = JOINT_NAMES.get(plain, plain)
        if plain in SMPL_JOINTS or point_offset(plain) is not None:
            joints.setdefault(plain, named.points[:, index])
    return joints


def joints_of_markers(named: NamedPoints) -> dict[str, np.ndarray]:
    """Joints from markers on the skin."""
    at = {}
    for index, name in enumerate(named.names):
        word = _without_prefix(name).lower().removesuffix("_study").replace(".", "").replace("_", "").replace(" ", "")
        for kind, words in MARKERS.items():
            if word[:1] in "lr" and word[1:] in words:
                at[f"{'left' if word[0] == 'l' else 'right'}_{kind}"] = named.points[:, index]
    joints: dict[str, np.ndarray] = {}
    sides = [side for side in ("left", "right") if f"{side}_asis" in at]
    if len(sides) == 2:
        joints |= _hips_of_pelvis(at)
    for side in ("left", "right"):
        _limb_joints(at, joints, side)
    return joints


def _hips_of_pelvis(at: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Hip joints from the four markers of the pelvis; without the two behind it is taken as upright."""
    left, right = at["left_asis"], at["right_asis"]
    front, width = (left + right) / 2, np.linalg.norm(left - right, axis=-1, keepdims=True)
    aside = (left - right) / np.maximum(width, 1e-9)
    behind = [at[name] for name in ("left_psis", "right_psis") if name in at]
    legs = [at[name] for name in ("left_knee", "right_knee") if name in at]
    if not behind or not legs:
        return {}
    back = sum(behind) / len(behind) - front
    back = back - (back * aside).sum(-1, keepdims=True) * aside
    back = back / np.maximum(np.linalg.norm(back, axis=-1, keepdims=True), 1e-9)
    down = np.cross(aside, back)
    # The knees tell which of the two normals points down.
    down = down * np.sign(np.nanmedian(((sum(legs) / len(legs) - front) * down).sum(-1)))
    x, y, z = HIP_JOINT
    centre = front + width * (y * down + z * back)
    return {"left_hip": centre + width * x * aside, "right_hip": centre - width * x * aside}


def _limb_joints(at: dict[str, np.ndarray], joints: dict[str, np.ndarray], side: str) -> None:
    """Knee, ankle, shoulder, elbow and wrist of a side: the middle of two markers, or one marker moved inwards."""
    for kind in ("elbow", "wrist", "knee", "ankle"):
        outer, inner = at.get(f"{side}_{kind}"), at.get(f"{side}_{kind}_inner")
        if outer is None:
            continue
        if inner is not None:
            joints[f"{side}_{kind}"] = (outer + inner) / 2
        elif kind in ("knee", "ankle") and {f"{side}_knee", f"{side}_ankle"} <= at.keys() and "left_hip" in joints:
            shank = np.linalg.norm(at[f"{side}_knee"] - at[f"{side}_ankle"], axis=-1, keepdims=True)
            across = joints["right_hip"] - joints["left_hip"]
            across = across / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-9)
            inwards = across if side == "left" else -across
            joints[f"{side}_{kind}"] = outer + HALF_KNEE * shank * inwards
        else:
            joints[f"{side}_{kind}"] = outer
    for kind, name in (("shoulder", "shoulder"), ("toe", "foot"), ("heel", "heel")):
        if f"{side}_{kind}" in at:
            joints[f"{side}_{name}"] = at[f"{side}_{kind}"]


def _without_prefix(name: str) -> str:
    """The name without the subject that some laboratories write before it: "Anna:LASI"."""
    return name.rpartition(":")[2].strip()


def check_table(path: Path, rows: list[list[float]], columns: int) -> Float[np.ndarray, "t c"]:
    """A table of numbers with rows of one length; missing numbers at the end of a row are NaN.

    Raises:
        UsageError: it has no rows.
    """
    if not rows:
        raise UsageError(f"{path} holds no frames.")
    table = np.full((len(rows), columns), np.nan)
    for index, row in enumerate(rows):
        table[index, : min(len(row), columns)] = row[:columns]
    return table
