"""2D key points as arrays: (frames, points, 2 or 3), (frames, people, points, 2 or 3), and DWPose's dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from avatar.errors import AvatarError
from avatar.landmark_layouts import LAYOUTS
from avatar.motion.formats.container import Content
from avatar.motion.formats.keypoints2d_people import FramePeople, ImportedPeople, checked_people, with_gaps

_POINTS = ("keypoints_2d", "keypoints2d", "kpts2d", "kp2d", "joints2d", "joints_2d", "pose2d", "pose_2d", "poses_2d",
           "positions_2d", "pred_keypoints_2d", "coco2d", "keypoints", "kpts")  # fmt: skip
_SCORES = ("keypoint_scores", "keypoints_scores", "scores", "confidence", "conf", "visibility")
LEAST_POINTS, MOST_POINTS = 13, 200
PIXELS = 10.0  # an array of three columns whose x and y stay below it may hold metres


def read_arrays(content: Content) -> ImportedPeople | None:
    """Everyone in each frame, or None where the content is no 2D pose.

    An array of three columns is 2D with a confidence where the third lies in [0, 1] and the others are pixels.

    Raises:
        AvatarError: it is one, but broken.
    """
    frames = _dwpose_frames(content.data)
    if frames is not None:
        people = [_dwpose_frame(content.path, number, frame) for number, frame in enumerate(frames)]
        return checked_people(content.path, ImportedPeople(people))
    named = next((key for key in _POINTS if key in content.fields), None)
    value = _inner(content.fields[named] if named is not None else content.data)
    value = None if value is None else _points_last(value)
    if value is None or value.shape[-1] not in (2, 3) or not LEAST_POINTS <= value.shape[-2] <= MOST_POINTS:
        return None
    if value.shape[-1] == 3 and not (named is not None and named.endswith(("2d", "2D"))) and not _is_flat(value):
        return None
    value = _with_people(value)
    scores = next((np.asarray(content.fields[key]) for key in _SCORES if key in content.fields), None)
    if value.shape[-1] == 2:
        fits = scores is not None and scores.size == value[..., 0].size
        confidence = scores.reshape(value.shape[:-1]) if scores is not None and fits else np.ones(value.shape[:-1])
        value = np.concatenate([value, confidence[..., None]], axis=-1)
    frames_of_people = []
    for number, row in enumerate(value):
        people_here = [(str(who), points) for who, points in enumerate(map(with_gaps, row)) if points is not None]
        frames_of_people.append(FramePeople(number, [p for _, p in people_here], [who for who, _ in people_here]))
    return checked_people(content.path, ImportedPeople(frames_of_people, _size(content), plain=True))


def _inner(value: Any) -> np.ndarray | None:
    """The first array of numbers of the right form; VideoPose3D nests it by subject, action and camera."""
    for _ in range(5):
        if isinstance(value, np.ndarray) and value.dtype == object and value.size:
            value = value.item() if value.ndim == 0 else list(value)
        if isinstance(value, Mapping) and value:
            value = next(iter(value.values()))
        elif isinstance(value, list) and value and isinstance(value[0], np.ndarray) and value[0].ndim == 3:
            value = value[0]
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return array if array.ndim in (2, 3, 4) and array.size else None


def _points_last(value: np.ndarray) -> np.ndarray:
    """The array as (..., points, columns) where the columns come first, or each frame is one row of numbers."""
    if value.ndim > 2 and value.shape[-2] in (2, 3) and LEAST_POINTS <= value.shape[-1] <= MOST_POINTS:
        return value.swapaxes(-1, -2)
    if value.ndim == 2 and value.shape[1] not in (2, 3) and float(np.nanmax(np.abs(value), initial=0)) > PIXELS:
        counts = {len(layout) for layout in LAYOUTS.values()}
        rows = [value.reshape(len(value), -1, width) for width in (3, 2) if value.shape[1] % width == 0]
        fits = [one for one in rows if one.shape[1] in counts and (one.shape[2] == 2 or _is_flat(one))]
        return fits[0] if fits else value
    return value


def _is_flat(value: np.ndarray) -> bool:
    """Whether three columns are x and y in pixels and a confidence, rather than a place in space."""
    third, places = value[..., 2], value[..., :2]
    finite = third[np.isfinite(third)]
    return bool(finite.size and finite.min() >= 0 and finite.max() <= 1.001 and np.nanmax(np.abs(places)) > PIXELS)


def _with_people(value: np.ndarray) -> np.ndarray:
    """The array as (frames, people, points, columns)."""
    if value.ndim == 2:
        return value[None, None]
    if value.ndim == 3:
        return value[:, None]
    people_first = value.shape[0] == 1 or (value.shape[1] > 10 >= value.shape[0])
    return value.swapaxes(0, 1) if people_first else value


def _size(content: Content) -> tuple[int, int] | None:
    for keys in (("width", "height"), ("image_size",), ("size",)):
        if content.has(*keys):
            numbers = np.ravel([np.asarray(content.fields[key]) for key in keys])
            if numbers.size == 2 and np.issubdtype(numbers.dtype, np.number) and (numbers > 1).all():
                return int(numbers[0]), int(numbers[1])
    return None


def _dwpose_frames(data: Any) -> list[Mapping[str, Any]] | None:
    """DWPose's dictionaries, one per frame."""
    if isinstance(data, np.ndarray) and data.dtype == object:
        data = data.tolist()
    if isinstance(data, Mapping) and "bodies" not in data:
        data = [data[key] for key in sorted(data, key=str)]
    frames = [data] if isinstance(data, Mapping) else data
    if isinstance(frames, list) and frames and all(isinstance(f, Mapping) and "bodies" in f for f in frames):
        return frames
    return None


def _dwpose_frame(path: Path, number: int, frame: Mapping[str, Any]) -> FramePeople:
    """The persons of one frame: `candidate` lists the points of all, `subset` the row of each point or its score."""
    bodies = frame["bodies"]
    inner = bodies if isinstance(bodies, Mapping) else frame
    try:
        candidate = np.asarray(bodies["candidate"] if isinstance(bodies, Mapping) else bodies, dtype=np.float64)
        subset = np.atleast_2d(np.asarray(inner["subset"], dtype=np.float64))[:, :18]
        scores = np.asarray(inner.get("score", inner.get("scores", np.ones(subset.shape))), dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise AvatarError(f"{path}: frame {number} does not hold DWPose's candidate and subset.") from error
    result = FramePeople(number)
    by_row = subset.size > 0 and bool((subset == np.round(subset)).all()) and subset.max() > 1
    for person, row in enumerate(subset):
        index = np.where(row >= 0, row, 0).astype(int) if by_row else np.arange(18 * person, 18 * (person + 1))
        if index.max() >= len(candidate):
            raise AvatarError(f"{path}: frame {number} names points that it does not hold.")
        sure = np.where(row >= 0, scores[person, : len(row)] if scores.shape == subset.shape else 1.0, 0.0)
        points = with_gaps(np.column_stack([candidate[index][:, :2], sure if by_row else np.clip(row, 0, 1)]))
        if points is not None:
            result.people.append(points)
            result.labels.append(None)
    return result
