"""Arrays of 3D joints (frames, joints, 3) in a named layout, through inverse kinematics, for any 3D lifter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.landmarks import point_offset
from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.errors import AvatarError, UsageError
from avatar.landmark_layouts import LAYOUTS, POINT_LAYOUTS
from avatar.motion.bone_lengths import bone_length, leg_length, sized_rest
from avatar.motion.foot_contact import root_path_from_feet
from avatar.motion.formats.container import Content
from avatar.motion.formats.point_layouts import best_layout, is_person
from avatar.motion.formats.pose_arrays import find_person
from avatar.motion.formats.smpl import frame_rate
from avatar.motion.ik import Landmarks, fit_landmarks
from avatar.motion.motion import MEAN_LEG, Motion, ReadOptions, uniform_track, up_rotation
from avatar.runtime.logging import logger
from avatar.types import BodyPose

KEYS = ("joints", "joints3d", "joints_3d", "keypoints_3d", "keypoints3d", "pred_keypoints_3d", "positions",
        "joint_positions", "poses_3d", "positions_3d", "skeleton", "skeleton_3d")  # fmt: skip
MOST_POINTS = 1000
COUNTS = {len(LAYOUTS[layout]) for layout in POINT_LAYOUTS}
FEATURES = ((263,), (251,))  # numbers per frame of HumanML3D and of KIT-ML in its form
CENTRES = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")  # joints at which arrays without a path are centred
BESIDE_WEIGHT = 0.3  # of points beside a joint, whose places on the body are rough


class JointPositionsFormat:
    """Reads 3D joint positions and estimates the joint rotations by inverse kinematics."""

    name = "joints"
    description = "3D joints (frames, joints, 3) as npy, npz, pkl or JSON; layouts " + ", ".join(POINT_LAYOUTS)

    def recognizes(self, content: Content) -> bool:
        value = _array(content)
        if value is None:
            return False
        return (value.ndim in (3, 4) and value.shape[-1] in (3, 4)) or value.shape[1:] in FEATURES

    def read(self, content: Content, options: ReadOptions) -> Motion:
        value = _array(content)
        if value is not None and value.shape[1:] in FEATURES:
            raise UsageError(
                f"{content.path} holds HumanML3D's {value.shape[1]} features per frame and no joints: convert them "
                "with its recover_from_ric, and pass the joints."
            )
        if value is None or value.ndim not in (3, 4) or value.shape[-1] not in (3, 4):
            raise AvatarError(f"{content.path} holds no array of joints (frames, joints, 3).")
        if not 1 <= value.shape[-2] <= MOST_POINTS or 0 in value.shape:
            raise AvatarError(f"{content.path}: joints have the shape {value.shape}, expected frames x joints x 3.")
        points = one_person(content.path, value, options.person)
        return motion_from_points(content, options, points, frame_rate(content, options))


def one_person(path: Path, value: np.ndarray, requested: str | None) -> np.ndarray:
    """The points (frames, joints, 3 or 4) of one person of several: the requested one, or who is in view most."""
    person = find_person(path, value.shape[:-2], requested, tell=False)
    if person.axis is not None and requested is None and value.shape[person.axis] > 1:
        present = np.isfinite(value[..., :3]).all(-1) & (value[..., :3] != 0).any(-1)
        counts = np.moveaxis(present, person.axis, 0).reshape(value.shape[person.axis], -1).sum(1)
        person = replace(person, index=int(counts.argmax()))
        logger.warning(f"{path} holds {len(counts)} people, {person.index} is used; --person chooses another.")
    return person.take(value, 2)


def motion_from_points(
    content: Content,
    options: ReadOptions,
    points: np.ndarray,
    fps: float,
    name: str = "joints",
    up: str | None = None,
    names: tuple[str, ...] | None = None,
) -> Motion:
    """Fit our skeleton, scaled to the points, to points (frames, joints, 3 and a confidence).

    Any unit of length will do, since a motion fits to its avatar by the length of the legs.

    Args:
        up: what points up where the format fixes it.
        names: the landmark that each point is, where the format fixes it; else `options.layout` or the layout that
            fits the points.

    Raises:
        UsageError: the layout is unknown or the up axis cannot be estimated. AvatarError: joints are missing.
    """
    names = names if names is not None and options.layout is None else _names(content, points, options.layout)
    chosen, attached, counts = attached_landmarks(names, 1.0)
    confidence = points[:, chosen, 3] if points.shape[2] == 4 else np.isfinite(points[:, chosen]).all(-1) * 1.0
    places = np.where(confidence[..., None] > 0.05, points[:, chosen, :3], np.nan)
    filled, sure = _filled(content, places, confidence)
    at = {SMPL_JOINTS[j]: filled[:, m] for m, j in enumerate(attached.joints.tolist()) if not attached.offsets[m].any()}
    _check_body(content, at)
    leg = bone_length(at, "hip", "knee") + bone_length(at, "knee", "ankle")
    R = up_rotation(options.up or up or _estimate_up(content, at)).double()
    unit = MEAN_LEG / leg
    if "pelvis" in at and not _pelvis_is_between_hips(at):
        # Some files put their root elsewhere, at the neck or the head.
        counts[landmark_index(attached, "pelvis")] = 0.0
    pose = fit_landmarks(
        rest := sized_rest({joint: place * unit for joint, place in at.items()}),
        SMPL_PARENTS,
        attached,
        (filled * unit) @ R.T,
        sure * counts,
    )
    if _moves_with_the_body(at, leg):
        pose = BodyPose(root_path_from_feet(rest, pose), pose.rotations)
    return Motion(name, uniform_track(pose.rotations, pose.root_position, fps), leg_length(rest))


def _pelvis_is_between_hips(at: dict[str, Tensor]) -> bool:
    """Whether the point that a layout calls the pelvis lies near the hips; SMPL's is a hand's width above them."""
    left, right = at["left_hip"], at["right_hip"]
    away = (at["pelvis"] - (left + right) / 2).norm(dim=-1).median()
    return bool(away < 1.5 * (left - right).norm(dim=-1).median())


def _moves_with_the_body(at: dict[str, Tensor], leg: float) -> bool:
    """Whether the origin is a point of the torso or head, so that the array holds no path: no such point ever moves."""
    torso = [place for joint, place in at.items() if joint in CENTRES]
    torso.append((at["left_hip"] + at["right_hip"]) / 2)
    at_origin = any(bool(place.norm(dim=-1).max() < 2e-3 * leg) for place in torso)
    return at_origin or (len(torso[-1]) > 1 and bool(torso[-1].std(0).max() < 1e-3 * leg))


def landmarks(layout: str, size: float) -> tuple[list[int], Landmarks, Float[Tensor, " m"]]:
    """`attached_landmarks` of one of `POINT_LAYOUTS`."""
    return attached_landmarks(LAYOUTS[layout].names, size)


def attached_landmarks(names: tuple[str, ...], size: float) -> tuple[list[int], Landmarks, Float[Tensor, " m"]]:
    """The points that constrain the body's joints.

    Args:
        names: the landmark that each point is; "" for one without use.
        size: of the body, relative to one of 1.7 m.

    Returns:
        Their positions among the points, the joints and offsets they are attached to, and their weights.
    """
    chosen, joints, offsets, weights = [], [], [], []
    for index, name in enumerate(names):
        if name in SMPL_JOINTS:
            joint, offset, weight = name, (0.0, 0.0, 0.0), 1.0
        elif (place := point_offset(name)) is not None:
            (joint, offset), weight = place, BESIDE_WEIGHT
        else:
            continue
        chosen.append(index)
        joints.append(SMPL_JOINTS.index(joint))
        offsets.append(offset)
        weights.append(weight)
    return chosen, Landmarks(torch.tensor(joints), torch.tensor(offsets) * size), torch.tensor(weights)


def landmark_index(points: Landmarks, joint: str) -> int:
    """Index of the landmark at a joint."""
    return points.joints.tolist().index(SMPL_JOINTS.index(joint))


def _array(content: Content) -> np.ndarray | None:
    value = content.data
    if content.fields:
        named = [content.fields[key] for key in KEYS if key in content.fields]
        others = [v for v in content.fields.values() if getattr(v, "ndim", 0) == 3]
        value = named[0] if named else others[0] if len(others) == 1 else None
    try:
        return None if value is None else _joints_last(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        return None


def _joints_last(value: np.ndarray) -> np.ndarray:
    """The array as (frames, joints, 3) where its axes stand in another order, or each frame is one row of numbers.

    Only an array that is a person that way is changed: rows of numbers may be poses as well.
    """
    if value.ndim == 3 and value.shape[-1] in (3, 4) and value.shape[0] in COUNTS and value.shape[1] not in COUNTS:
        candidates = [value.swapaxes(0, 1)]
    elif value.ndim == 3 and value.shape[-1] not in (3, 4):
        candidates = [np.moveaxis(value, axis, -1) for axis in (1, 0) if value.shape[axis] == 3]
        candidates += [one.swapaxes(0, 1) for one in candidates]
    elif value.ndim == 2 and value.shape[1] % 3 == 0:
        candidates = [value.reshape(len(value), -1, 3), value.reshape(len(value), 3, -1).swapaxes(1, 2)]
    else:
        return value
    return next((one for one in candidates if one.shape[1] in COUNTS and is_person(one[..., :3])), value)


def _names(content: Content, points: np.ndarray, layout: str | None) -> tuple[str, ...]:
    """The landmark of each point, by the stated layout or by the one that fits.

    Raises:
        UsageError: no layout of this number of points is known, or the points do not look like a body in any of them.
    """
    fits = [name for name in POINT_LAYOUTS if len(LAYOUTS[name]) == points.shape[1]]
    chosen = layout or best_layout(points, fits)
    if chosen in POINT_LAYOUTS and len(LAYOUTS[chosen]) <= points.shape[1]:
        return LAYOUTS[chosen].names
    problem = (
        f"does not fit the layout {layout!r}" if layout else "is in no known layout: its limbs would be of no person"
    )
    raise UsageError(
        f"{content.path} has {points.shape[1]} points per frame, which {problem}: "
        f"--layout takes {', '.join(f'{name} ({len(LAYOUTS[name])})' for name in POINT_LAYOUTS)}."
    )


def _filled(content: Content, places: np.ndarray, confidence: np.ndarray) -> tuple[Tensor, Tensor]:
    """Gaps filled by linear interpolation with low weight; points missing in all frames get weight zero."""
    valid = np.isfinite(places).all(-1)
    times = np.arange(len(places))
    filled = np.zeros_like(places)
    for m in np.flatnonzero(valid.any(0)):
        for axis in range(3):
            filled[:, m, axis] = np.interp(times, times[valid[:, m]], places[valid[:, m], m, axis])
    sure = np.where(valid, np.clip(confidence, 0, 1), 0.1 * valid.any(0))
    return torch.from_numpy(filled), torch.from_numpy(sure)


def _check_body(content: Content, at: dict[str, Tensor]) -> None:
    needed = [f"{s}_{p}" for s in ("left", "right") for p in ("hip", "knee", "ankle", "shoulder", "elbow")]
    missing = [joint for joint in needed if joint not in at or not bool(at[joint].any())]
    if missing:
        raise AvatarError(f"{content.path} has no {', '.join(missing)}, which are needed to drive a body.")
    if bone_length(at, "hip", "knee") < 1e-6 or bone_length(at, "knee", "ankle") < 1e-6:
        raise AvatarError(f"{content.path}: its legs have zero length, so these are not 3D joints.")


def _estimate_up(content: Content, at: dict[str, Tensor]) -> str:
    """The axis along which the shoulders lie above the ankles for most of the time."""
    above = at["left_shoulder"] - at["left_ankle"] + at["right_shoulder"] - at["right_ankle"]
    mean = torch.nn.functional.normalize(above, dim=-1).mean(0)
    scores = {"y": float(mean[1]), "z": float(mean[2]), "-y": -float(mean[1]), "x": float(mean[0])}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] < 0.6:
        raise UsageError(f"{content.path} does not show which way is up: state it with --up y, z, -y or x.")
    return best
