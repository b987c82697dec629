"""People as readers of 2D key points give them, and the names that programs have for landmarks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from avatar.errors import AvatarError

NEEDED = tuple(
    f"{side}_{part}" for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist") for side in ("left", "right")
)
"""Landmarks without which no body can be fitted."""
_SIDE = re.compile(r"(left|right|[lr](?=_|shoulder|elbow|wrist|hip|knee|ankle|eye|ear|heel|big_?toe))_?(.+)")
_TOES = {"big_toe": "foot_index", "bigtoe": "foot_index", "toe": "foot_index"}
_MIDLINE = {"hip": "pelvis", "mid_hip": "pelvis", "midhip": "pelvis", "root": "pelvis", "head": "head_top"}


@dataclass(frozen=True)
class FramePeople:
    """The persons in one frame.

    Attributes:
        number: of the frame; of two neighbours the later one has the larger number.
        people: x, y and a confidence in [0, 1] of each point; NaN where it is missing.
        labels: the file's own name of each person, or None where it has none.
        seconds: time of the frame, or None.
    """

    number: int
    people: list[Float[np.ndarray, "points 3"]] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    seconds: float | None = None

    def moved(self, scale: np.ndarray, shift: float) -> FramePeople:
        """The same frame with other coordinates: (x + shift) * scale."""
        people = [np.column_stack([(person[:, :2] + shift) * scale, person[:, 2]]) for person in self.people]
        return replace(self, people=people)


@dataclass(frozen=True)
class ImportedPeople:
    """Everyone in a file.

    Attributes:
        frames: in order.
        size: width and height of the images, or None where the file does not hold it.
        point_names: the file's own names of the points, or None.
        plain: the points come as plain numbers, in an order that the file does not tell.
    """

    frames: list[FramePeople]
    size: tuple[int, int] | None = None
    point_names: tuple[str, ...] | None = None
    plain: bool = False


def checked_people(path: Path, imported: ImportedPeople) -> ImportedPeople:
    """The frames from the first to the last with a person in it, all persons with the same number of points.

    Raises:
        AvatarError: nobody is in any frame, or the numbers of points differ.
    """
    occupied = [index for index, frame in enumerate(imported.frames) if frame.people]
    if not occupied:
        raise AvatarError(f"{path} holds no person in any of its {len(imported.frames)} frames.")
    frames = imported.frames[occupied[0] : occupied[-1] + 1]
    counts = sorted({len(person) for frame in frames for person in frame.people})
    if len(counts) > 1:
        raise AvatarError(f"{path} holds persons of {counts[0]} and of {counts[-1]} points, which are two layouts.")
    return replace(imported, frames=frames)


def as_points(path: Path, value: Any, scores: Any = None) -> Float[np.ndarray, "points 3"] | None:
    """The points of one person from a flat or nested list, or a list of mappings; None where none is in view.

    Args:
        value: x, y and perhaps a confidence of each point; flat lists have three numbers per point, unless `scores`
            are given apart.

    Raises:
        AvatarError: it is not numbers in pairs or threes.
    """
    if isinstance(value, Mapping):  # Ultralytics: a list for each column
        value, scores = list(zip(value.get("x") or (), value.get("y") or (), strict=False)), value.get("visible")
    if isinstance(value, Sequence) and value and all(isinstance(point, Mapping) for point in value):
        places = [point.get("position", point) for point in value]
        value = [
            [place.get("x"), place.get("y"), _confidence(point)] for point, place in zip(value, places, strict=True)
        ]
    try:
        points = np.array(value, dtype=np.float64)
        confidence = None if scores is None else np.array(scores, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise AvatarError(f"{path}: the key points of a person are not numbers.") from error
    if points.ndim == 1:
        width = 2 if confidence is not None and len(points) == 2 * len(confidence) else 3
        if len(points) % width:
            raise AvatarError(f"{path}: the key points of a person are {len(points)} numbers, not three per point.")
        points = points.reshape(-1, width)
    if points.ndim != 2 or points.shape[1] < 2 or (confidence is not None and len(confidence) != len(points)):
        raise AvatarError(f"{path}: the key points of a person have the shape {points.shape}, expected points x 3.")
    if confidence is None:
        confidence = points[:, 2] if points.shape[1] > 2 else np.ones(len(points))
    return with_gaps(np.column_stack([points[:, :2], confidence]))


def with_gaps(points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"] | None:
    """NaN for points that were not detected (without confidence, or at the corner of the image); None if all are."""
    missing = ~np.isfinite(points).all(1) | (points[:, 2] <= 0) | (points[:, :2] == 0).all(1) | (points[:, 0] == -1)
    if missing.all():
        return None
    filled = points.astype(np.float64, copy=True)
    filled[:, 2] = np.clip(filled[:, 2], 0, 1)
    filled[missing] = (np.nan, np.nan, 0.0)
    return filled


def landmark_name(name: str) -> str:
    """Our name of a landmark that a file names, such as "Left Shoulder", "LShoulder" or "left_big_toe"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[ -]+", "_", name.strip()).lower()
    side, kind = _SIDE.fullmatch(words), words
    if side is None:
        return _MIDLINE.get(kind, kind)
    kind = _TOES.get(side[2], side[2])
    return f"{'left' if side[1][0] == 'l' else 'right'}_{kind}"


def _confidence(point: Mapping[str, Any]) -> Any:
    return next((point[key] for key in ("visibility", "score", "confidence", "presence") if key in point), 1.0)
