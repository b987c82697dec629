"""2D key points of another program in, `Observations` without images out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32

from avatar.errors import UsageError
from avatar.landmark_layouts import LAYOUTS, Layout
from avatar.observation.confidence import check_in_view, reweight_confidence
from avatar.observation.contact import certainty
from avatar.observation.detectors.flip_test import person_size
from avatar.observation.left_right import fix_left_right_swaps
from avatar.observation.person_tracks import PersonTracker
from avatar.types import Detection, ImageList, KeypointClip, Observations

LONGEST_GAP = 1.0  # seconds without the person that are reported
NO_IMAGES = ImageList(0, lambda _: np.zeros((0, 0, 3), np.uint8))
# Detectors' layouts from the most to the fewest landmarks. One is taken if a part of what it has more was detected.
_CHOICE = (("blazepose33", "left_index"), ("coco17_feet", "left_heel"), ("coco17", "nose"))
# Where a landmark that is in no frame is put, with almost no weight: near one that is.
_NEIGHBOURS = {"foot_index": "ankle", "heel": "ankle", "pinky": "wrist", "index": "wrist", "thumb": "wrist",
               "wrist": "elbow", "elbow": "shoulder", "ankle": "knee", "knee": "hip"}  # fmt: skip


def observe_keypoints(clip: KeypointClip, person: str | None = None) -> Observations:
    """The key points of one person, in a detector's layout, with left and right put right.

    Frames before the person comes and after the person leaves are dropped.

    Args:
        clip: everyone in the clip.
        person: the file's own name of a person, or a number where it has no names, 1 being the largest and most
            persistent; None for that one.

    Raises:
        UsageError: there is no such person. AvatarError: knees or hips are never in view.
    """
    frames, points, note = _choose(clip, person)
    layout_name = _layout(clip, points)
    layout = LAYOUTS[layout_name]
    raw = np.full((len(points), len(layout), 3), np.nan, np.float32)
    shared = [(i, clip.names.index(name)) for i, name in enumerate(layout.names) if name in clip.names]
    ours, theirs = (list(column) for column in zip(*shared, strict=True))
    raw[:, ours] = points[:, theirs]
    times = clip.times[frames]
    filled = _filled(raw, layout, times)
    nowhere = np.full_like(filled, np.nan)
    keypoints, _, swapped = fix_left_right_swaps(filled, nowhere, layout)
    keypoints = reweight_confidence(keypoints, swapped, times, layout)
    notes = [*clip.notes, *([note] if note else [])]
    notes += check_in_view(keypoints, layout, clip.width, clip.height, clip.source)
    if flips := int(swapped.any(1).sum()):
        notes.append(f"Left and right were put right in {flips} frames.")
    count = len(keypoints)
    return Observations(
        images=NO_IMAGES,
        masks=NO_IMAGES,
        keypoints=torch.from_numpy(keypoints),
        keypoints_3d=torch.from_numpy(nowhere),
        layout=layout_name,
        instant=torch.arange(count),
        times=torch.from_numpy(times - times[0]).float(),
        width=clip.width,
        height=clip.height,
        source=clip.source,
        notes=tuple(notes),
    )


def _choose(clip: KeypointClip, requested: str | None) -> tuple[np.ndarray, Float[np.ndarray, "frames points 3"], str]:
    """The frames from the first to the last with the person, their points (NaN where missing), and a note."""
    tracks = _tracks(clip)

    def presence(name: str) -> float:
        shown = (points.astype(np.float32) for points in tracks[name].values())
        return sum(float(person_size(points)) * certainty(points) for points in shown)

    order = sorted(tracks, key=presence, reverse=True)
    if requested is not None and requested not in tracks:
        raise UsageError(f"{clip.source} has no person {requested!r}: it has {', '.join(order[:20])}.")
    name = order[0] if requested is None else requested
    track = tracks[name]
    frames = np.arange(min(track), max(track) + 1)
    points = np.full((len(frames), len(clip.names), 3), np.nan)
    points[..., 2] = 0
    for frame, value in track.items():
        points[frame - frames[0]] = value
    note = ""
    lasting = [other for other in order if len(tracks[other]) >= 0.2 * len(clip.people)]
    if len(lasting) > 1 and requested is None:
        note = (
            f"{len(lasting)} persons are in view: person {name} was taken, in {len(track)} of {len(clip.people)} "
            f"frames; --person chooses another of {', '.join(lasting)}."
        )
    present = np.array(sorted(track))
    gap = float(np.diff(clip.times[present]).max(initial=0.0))
    if gap > LONGEST_GAP and np.diff(present).max() > 1:
        note += f"{' ' if note else ''}The person is missing for {gap:.1f} s, which are filled by interpolation."
    return frames, points, note


def _tracks(clip: KeypointClip) -> dict[str, dict[int, np.ndarray]]:
    """Each person's points by frame: by the names in the file, or by the smallest movement between frames."""
    tracks: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    if clip.labels is not None:
        for frame, (people, labels) in enumerate(zip(clip.people, clip.labels, strict=True)):
            for points, label in zip(people, labels, strict=True):
                tracks[label][frame] = points
        return tracks
    if max(len(people) for people in clip.people) == 1:
        return {"1": {frame: people[0] for frame, people in enumerate(clip.people) if people}}
    tracker, nothing = PersonTracker(), np.zeros((0, 0), np.uint8)
    for frame, (people, time) in enumerate(zip(clip.people, clip.times, strict=True)):
        detections = [Detection(p.astype(np.float32), np.full_like(p, np.nan, np.float32), nothing) for p in people]
        tracker.add(frame, float(time), detections, [1.0] * len(detections))
    by_presence = sorted(tracker.tracks, key=lambda track: -track.presence)
    return {
        str(number): {frame: np.asarray(points) for frame, points in zip(track.frames, track.keypoints, strict=True)}
        for number, track in enumerate(by_presence, start=1)
    }


def _layout(clip: KeypointClip, points: np.ndarray) -> str:
    """The detector's layout that uses most of what was detected."""
    detected = {
        name for name, column in zip(clip.names, points.swapaxes(0, 1), strict=True) if (column[:, 2] > 0).any()
    }
    for name, sign in _CHOICE:
        if sign in detected and (name != "blazepose33" or "left_thumb" in detected):
            return name
    return "coco17"


def _filled(
    raw: Float32[np.ndarray, "frames joints 3"], layout: Layout, times: Sequence[float] | np.ndarray
) -> Float32[np.ndarray, "frames joints 3"]:
    """Missing places interpolated over time, with confidence 0; what is in no frame goes to its neighbour's place."""
    filled = raw.copy()
    valid = np.isfinite(raw).all(-1)
    filled[..., 2] = np.where(valid, raw[..., 2], 0)
    for joint in np.flatnonzero(valid.any(0)):
        for axis in range(2):
            filled[:, joint, axis] = np.interp(times, times[valid[:, joint]], raw[valid[:, joint], joint, axis])
    face = [i for i, name in enumerate(layout.names) if valid[:, i].any() and _kind(name) in ("nose", "eye", "ear")]
    for joint in np.flatnonzero(~valid.any(0)):
        name = layout.names[joint]
        filled[:, joint, :2] = filled[:, _stand_in(name, layout, valid, face), :2].mean(1)
    return filled


def _stand_in(name: str, layout: Layout, valid: np.ndarray, face: list[int]) -> list[int]:
    """The landmarks whose mean stands in for one that is in no frame."""
    kind = _kind(name)
    while kind in _NEIGHBOURS:
        kind = _NEIGHBOURS[kind]
        index = layout.names.index(f"{name.split('_', 1)[0]}_{kind}")
        if valid[:, index].any():
            return [index]
    twin = layout.mirror[layout.names.index(name)]
    if kind in ("shoulder", "hip") and valid[:, twin].any():
        return [twin]
    shoulders = [i for i in layout.indices("left_shoulder", "right_shoulder") if valid[:, i].any()]
    return face or shoulders or [int(np.flatnonzero(valid.any(0))[0])]


def _kind(name: str) -> str:
    return name.split("_", 1)[1] if name.startswith(("left_", "right_")) else name
