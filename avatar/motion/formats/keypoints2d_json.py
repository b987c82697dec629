"""JSON of 2D pose programs: one file per clip, or a folder with one file per image.

| program | form |
|---|---|
| OpenPose | `{"people": [{"pose_keypoints_2d": [...]}]}`, one file per image |
| DWPose in ComfyUI and ControlNet | a list of these, with `canvas_width` and `canvas_height` |
| MMPose (RTMPose) | `{"instance_info": [{"instances": [...]}]}`, a list of frames, or the instances of one image |
| AlphaPose, COCO results | a list of `{"image_id": ..., "keypoints": [...]}`; `--format cmu` and `open` by image |
| COCO annotations | `{"images": [...], "annotations": [...], "categories": [...]}` |
| EasyMocap | `{"annots": [{"keypoints": ..., "personID": ...}]}`, one file per image |
| a drawing of ours | `{"points": {"left_wrist": [x, y], ...}, "width": ..., "height": ...}` |
| Ultralytics | lists of `{"keypoints": {"x": [...], "y": [...], "visible": [...]}}` by image |
| OpenPifPaf | `{"frame": ..., "predictions": [{"keypoints": [...]}]}` |
| MoveNet, PoseNet | `{"keypoints": [{"name": ..., "x": ..., "y": ..., "score": ...}]}`, by image or in a row |
| MediaPipe | `landmarks`, `poseLandmarks` or `pose_landmarks`: mappings of x and y, alone or per frame |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from avatar.errors import AvatarError
from avatar.motion.formats.container import Content
from avatar.motion.formats.keypoints2d_people import FramePeople, ImportedPeople, as_points, checked_people

_LANDMARKS = ("landmarks", "poseLandmarks", "pose_landmarks", "landmark")
# Where a frame lists its persons, and under which key each person has the points.
_PEOPLE = {"people": "pose_keypoints_2d", "bodies": "joints", "instances": "keypoints", "annots": "keypoints",
           "predictions": "keypoints"}  # fmt: skip
_LABELS = ("track_id", "idx", "person_id", "personID", "instance_id")
_SIZES = (("canvas_width", "canvas_height"), ("image_width", "image_height"), ("width", "height"))
_SECONDS = {"timestamp_ms": 1e-3, "timestampMs": 1e-3, "time": 1.0, "seconds": 1.0}
_VISIBILITY = {0.0: 0.0, 1.0: 0.6, 2.0: 1.0}  # COCO's marks: not labelled, hidden, visible
LEAST_ROW = 5  # persons of a row that may be one person in consecutive frames
NEAR = 0.2  # median movement of a point between them, in sizes of the person
_NUMBER = re.compile(r"(\d+)\D*$")


def read_json_people(content: Content) -> ImportedPeople | None:
    """Everyone in each frame, or None where the JSON is no 2D pose.

    Raises:
        AvatarError: it is one, but broken.
    """
    imported = _folder(content.path, content.data) if content.kind == "folder" else _clip(content.path, content.data)
    return None if imported is None else checked_people(content.path, imported)


def _folder(path: Path, files: Mapping[str, Any]) -> ImportedPeople | None:
    """One file per image."""
    clips = {name: clip for name, data in files.items() if (clip := _clip(path / name, data)) is not None}
    if not any(clip.frames[0].people for clip in clips.values()):
        return None
    stray = next((name for name in files if name not in clips), None)
    if stray is not None:
        raise AvatarError(f"{path / stray} is no 2D pose like the other files of its folder: move it elsewhere.")
    frames = [replace(clip.frames[0], number=number) for number, clip in _by_number(clips)]
    occupied = next(clip for clip in clips.values() if clip.frames[0].people)
    return ImportedPeople(frames, occupied.size, occupied.point_names)


def _clip(path: Path, data: Any) -> ImportedPeople | None:
    """The frames of one file, in order; None for JSON of another kind."""
    if isinstance(data, Mapping):
        if "instance_info" in data:
            return _mmpose(path, data)
        if {"annotations", "images"} <= data.keys():
            return _coco(path, data)
        if isinstance(data.get("points"), Mapping):
            return _figure(path, data)
        if _is_frame(data):
            return _from_frames(path, [(0, data)])
        if data and all(isinstance(value, Mapping) and _is_frame(value) for value in data.values()):
            return _from_frames(path, _by_number(data))
        if data and all(isinstance(value, Mapping) and "keypoints" in value for value in data.values()):
            return _from_frames(path, [(n, {"instances": [person]}) for n, person in _by_number(data)])
        nested = next((data[key] for key in ("frames", "data", "results") if isinstance(data.get(key), list)), None)
        if "frames" in data and nested and all(isinstance(row, Mapping) and "keypoints" in row for row in nested):
            nested = [[row] for row in nested]
        imported = None if nested is None else _clip(path, nested)
        return imported if imported is None else replace(imported, size=imported.size or _size(data))
    if not isinstance(data, list):
        return None
    if not data:
        return ImportedPeople([FramePeople(0)])
    if _is_landmarks(data):
        return _from_frames(path, [(0, {"landmarks": data})])
    if all(isinstance(entry, list) for entry in data) and any(_is_landmarks(entry) for entry in data):
        return _from_frames(path, [(number, {"landmarks": entry}) for number, entry in enumerate(data)])
    if all(isinstance(entry, list) for entry in data) and any(map(_are_people, data)):
        return _from_frames(path, [(number, {"instances": entry}) for number, entry in enumerate(data)])
    if not all(isinstance(entry, Mapping) for entry in data):
        return None
    if all({"image_id", "keypoints"} <= entry.keys() for entry in data):
        return _results(path, data)
    if all("keypoints" in entry for entry in data):
        if _is_one_person(path, data):
            return _from_frames(path, [(number, {"instances": [entry]}) for number, entry in enumerate(data)])
        return _from_frames(path, [(0, {"instances": data})])
    return _from_frames(path, list(enumerate(data))) if all(_is_frame(entry) for entry in data) else None


def _is_frame(entry: Mapping[str, Any]) -> bool:
    return any(isinstance(entry.get(key), list) for key in (*_PEOPLE, *_LANDMARKS))


def _are_people(entry: list[Any]) -> bool:
    return bool(entry) and all(isinstance(person, Mapping) and "keypoints" in person for person in entry)


def _is_one_person(path: Path, people: list[Mapping[str, Any]]) -> bool:
    """Whether a row of persons is one in consecutive frames: each is near the one before, which neighbours are not."""
    rows = [as_points(path, one["keypoints"], one.get("keypoint_scores")) for one in people]
    present = [row for row in rows if row is not None]
    if len(present) < LEAST_ROW or len({len(row) for row in present}) > 1:
        return False
    moved = []
    for a, b in pairwise(present):
        size = np.nanmax(np.nanmax(a[:, :2], axis=0) - np.nanmin(a[:, :2], axis=0))
        moved.append(float(np.nanmedian(np.linalg.norm(b[:, :2] - a[:, :2], axis=1)) / max(size, 1e-9)))
    return float(np.median(moved)) < NEAR


def _is_landmarks(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(p, Mapping) and {"x", "y"} <= p.keys() for p in value)
    )


def _from_frames(path: Path, numbered: Iterable[tuple[int, Mapping[str, Any]]]) -> ImportedPeople:
    frames, size = [], None
    for number, entry in numbered:
        frames.append(_frame(path, number, entry))
        size = size or _size(entry)
    return ImportedPeople(frames, size)


def _frame(path: Path, number: int, entry: Mapping[str, Any]) -> FramePeople:
    """One frame of any program."""
    people: list[tuple[Any, Any, Any]] = []  # label, points, scores
    for key, inner in _PEOPLE.items():
        for person in entry.get(key) or ():
            scores = person.get("keypoint_scores", person.get("keypoints_score"))
            people.append((_label(person), person.get(inner) or (), scores))
    landmarks = next((entry[key] for key in _LANDMARKS if entry.get(key)), ())
    people += [(None, one, None) for one in ([landmarks] if _is_landmarks(landmarks) else landmarks)]
    frame = FramePeople(_number(entry, number), seconds=_seconds(entry))
    for label, value, scores in people:
        points = as_points(path, value, scores) if len(value) else None
        if points is not None:
            frame.people.append(points)
            frame.labels.append(label)
    return frame


def _mmpose(path: Path, data: Mapping[str, Any]) -> ImportedPeople:
    imported = _from_frames(path, list(enumerate(data["instance_info"])))
    by_id = (data.get("meta_info") or {}).get("keypoint_id2name") or {}
    names = tuple(str(by_id[key]) for key in sorted(by_id, key=int))
    return replace(imported, point_names=names or None)


def _figure(path: Path, data: Mapping[str, Any]) -> ImportedPeople:
    """One person whose points are named."""
    points = as_points(path, [[*value, 1.0][:3] for value in data["points"].values()])
    people = [] if points is None else [points]
    frame = FramePeople(0, people, [None] * len(people))
    return ImportedPeople([frame], _size(data), tuple(map(str, data["points"])))


def _results(path: Path, data: list[Mapping[str, Any]]) -> ImportedPeople:
    """AlphaPose and COCO results: one entry per person, grouped by image."""
    images: dict[str, list[Mapping[str, Any]]] = {}
    for entry in data:
        images.setdefault(str(entry["image_id"]), []).append(entry)
    return _from_frames(path, [(number, {"instances": entries}) for number, entries in _by_number(images)])


def _coco(path: Path, data: Mapping[str, Any]) -> ImportedPeople:
    """Annotations, whose third number is a mark and no confidence."""
    people: dict[Any, list[Mapping[str, Any]]] = {}
    for entry in data["annotations"]:
        if entry.get("keypoints"):
            points = as_points(path, entry["keypoints"])
            if points is not None:
                points[:, 2] = [_VISIBILITY.get(float(mark), 1.0) for mark in entry["keypoints"][2::3]]
                people.setdefault(entry["image_id"], []).append({**entry, "keypoints": points.tolist()})
    images = {str(image.get("file_name", image["id"])): image for image in data["images"]}
    frames = [(number, {"instances": people.get(image["id"], [])}) for number, image in _by_number(images)]
    names = next((tuple(map(str, c["keypoints"])) for c in data.get("categories", ()) if c.get("keypoints")), None)
    size = next((_size(image) for image in data["images"]), None)
    return replace(_from_frames(path, frames), size=size, point_names=names)


def _by_number(named: Mapping[str, Any]) -> list[tuple[int, Any]]:
    """The values in order of the last numbers in their names, with these numbers where most of them count by one.

    A name with other numbers (an identifier, every tenth frame) only gives the order.
    """
    matches = {name: _NUMBER.search(name.rsplit(".", 1)[0] if "." in name else name) for name in named}
    if all(matches.values()):
        numbers = {name: int(match[1]) for name, match in matches.items() if match}
        order = sorted(numbers, key=lambda name: (numbers[name], name))
        steps = [numbers[b] - numbers[a] for a, b in pairwise(order)]
        if min(steps, default=1) > 0 and steps.count(1) >= len(steps) / 2:
            return [(numbers[name], named[name]) for name in order]
    else:
        order = sorted(named)
    return list(enumerate(named[name] for name in order))


def _number(entry: Mapping[str, Any], usual: int) -> int:
    value = entry.get("frame_id", entry.get("frame"))
    return value if isinstance(value, int) and value >= 0 else usual


def _seconds(entry: Mapping[str, Any]) -> float | None:
    for key, unit in _SECONDS.items():
        if isinstance(entry.get(key), int | float):
            return float(entry[key]) * unit
    return None


def _label(person: Mapping[str, Any]) -> str | None:
    """The file's own name of a person; OpenPose writes [-1] where it does not follow people."""
    value = next((person[key] for key in _LABELS if key in person), None)
    while isinstance(value, list) and value:
        value = value[0]
    if value is None or isinstance(value, list) or value == -1:
        return None
    return f"{value:g}" if isinstance(value, float) else str(value)


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    for width, height in _SIZES:
        values = entry.get(width), entry.get(height)
        if all(isinstance(value, int | float) and value > 1 for value in values):
            return int(entry[width]), int(entry[height])
    return None
