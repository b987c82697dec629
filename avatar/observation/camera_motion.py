"""How the camera moved, from the background: it stands still, turns and keeps its place, or moves.

The simplest model that explains the background wins. Each is compared with one that explains more: standing still with
the places of the same points, a rotation with the matches that some motion explains whatever their depths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float

from avatar.errors import AvatarError, UsageError
from avatar.geometry import rigid
from avatar.io.camera_motion_file import CameraMotion, CameraRegime
from avatar.observation.background_features import (
    INLIER,
    Features,
    background_features,
    consistent_with_depth,
    matched_points,
    rotation_between,
    work_scale,
)
from avatar.observation.camera_reconstruction import reconstruct_cameras
from avatar.observation.time_spans import spans_in_words
from avatar.runtime.progress import progress
from avatar.runtime.thread_map import map_in_threads
from avatar.types import Cameras, Observations

PROBES = 9  # frames by which the regime is decided
LEAST_MATCHES = 20  # between two frames
STILL = 0.75  # pixels of the work image by which the background of a standing camera may be displaced
# Share of the matches with any consistent depth that a rotation must explain.
ROTATION_SHARE = 0.7
# A keyframe's successor: the first frame whose matches with it fall below this share of those of its neighbour.
OVERLAP = 0.4
# Sharpness of a frame, relative to its surroundings, below which it counts as blurred; share from which it is reported.
BLURRED, LEAST_BLURRED = 0.5, 0.03


@dataclass(frozen=True)
class Probe:
    """What two frames say about the motion between them.

    Attributes:
        matches: number of matched points; displacement: median distance between them, pixels of the work image.
        consistent: matches that some motion of the camera explains; rotated: those that a rotation explains too.
    """

    matches: int
    displacement: float
    consistent: int
    rotated: int


def estimate_camera_motion(
    observations: Observations, focal: float, focal_given: bool, regime: CameraRegime | None = None
) -> CameraMotion:
    """How the camera of a video moved.

    What cannot be estimated (blank walls, blur, too little parallax) falls to the next simpler model, which a note
    says.

    Args:
        observations: frames in order of time, with the person's masks; focal: given or assumed focal length, pixels.
        focal_given: whether it was given; regime: how the camera moved, if the user said; None: decided here.

    Raises:
        UsageError: the user asked for a moving camera, and pycolmap is not installed.
    """
    still = standing_still(observations, focal, focal_given)
    if regime == "still" or not len(observations.images):
        return still
    count = len(observations)
    probes = np.unique(np.linspace(0, count - 1, PROBES).round().astype(int)).tolist()

    def look(index: int) -> Features:
        return background_features(observations.images[index], observations.masks[index])

    probed = dict(zip(probes, map_in_threads(look, probes), strict=True))
    K = _work_intrinsics(observations, focal)
    if regime is None:
        decided, note = decide(list(probed.values()), K)
        if decided == "still":
            return CameraMotion("still", still.cameras, focal_given, notes=(note,) if note else ())
    notes: list[str] = []
    if regime == "moving" or (regime is None and decided == "moving"):
        try:
            motion = reconstruct_cameras(observations, focal, focal_given)
            return replace(motion, notes=(*motion.notes, *note_on_blur(observations)))
        except AvatarError as error:
            if isinstance(error, UsageError) and regime is not None:
                raise
            notes.append(f"the camera moves, but {error}; it was taken for one that turns and keeps its place")
    rest = [index for index in range(count) if index not in probed]
    found = map_in_threads(look, progress(rest, "following the background"))
    features = [one for _, one in sorted([*probed.items(), *zip(rest, found, strict=True)], key=lambda item: item[0])]
    rotations, residual, lost = chained_rotations(features, K)
    if lost.sum() > count // 2:
        notes.append("the background shows too little to follow the camera, which was taken to stand still")
        return CameraMotion("still", still.cameras, focal_given, notes=tuple(notes))
    if lost.any():
        where = spans_in_words(observations.times.numpy(), lost)
        notes.append(
            f"the camera moved too fast, or showed too little background, {where}: it could not be followed in "
            f"{int(lost.sum())} of {count} frames"
        )
    notes += note_on_blur(observations)
    turning = Cameras(
        still.cameras.K,
        rigid(torch.from_numpy(rotations).float(), torch.zeros(count, 3)),
        observations.width,
        observations.height,
    )
    pixels = residual / work_scale(observations.width, observations.height)
    return CameraMotion("turning", turning, focal_given, pixels, notes=tuple(notes))


def standing_still(observations: Observations, focal: float, focal_given: bool) -> CameraMotion:
    """A camera that stands still, with the optical axis in the middle of the image."""
    K = torch.tensor([[focal, 0, observations.width / 2], [0, focal, observations.height / 2], [0, 0, 1]])
    count = len(observations)
    cameras = Cameras(K.repeat(count, 1, 1), torch.eye(4).repeat(count, 1, 1), observations.width, observations.height)
    return CameraMotion("still", cameras, focal_given)


def decide(probes: Sequence[Features], K: Float[np.ndarray, "3 3"]) -> tuple[CameraRegime, str | None]:
    """The regime that evenly spaced frames show, and a note where they hardly show anything.

    Args:
        K: of the work images.
    """
    if np.median([len(one.points) for one in probes]) < LEAST_MATCHES:
        return "still", "the background is too blank to tell whether the camera moved: it was taken to stand still"
    middle = len(probes) // 2
    others = [one for index, one in enumerate(probes) if index != middle]
    from_middle = [look_at_pair(one, probes[middle], K) for one in others]
    if all(probe.matches >= LEAST_MATCHES and probe.displacement < STILL for probe in from_middle):
        return "still", None
    neighbours = [look_at_pair(a, b, K) for a, b in pairwise(probes)]
    telling = [probe for probe in [*from_middle, *neighbours] if probe.consistent >= LEAST_MATCHES]
    if not telling:
        # Frames with texture that do not match: only a camera that goes elsewhere shows that.
        return "moving", None
    share = float(np.quantile([probe.rotated / probe.consistent for probe in telling], 0.25))
    return ("turning" if share >= ROTATION_SHARE else "moving"), None


def look_at_pair(a: Features, b: Features, K: Float[np.ndarray, "3 3"]) -> Probe:
    """Compare the backgrounds of two frames; K is that of the work images."""
    p, q = matched_points(a, b)
    if len(p) < LEAST_MATCHES:
        return Probe(len(p), float("inf"), 0, 0)
    consistent = consistent_with_depth(p, q)
    _, distance = rotation_between(p, q, K)
    displacement = float(np.median(np.linalg.norm(p - q, axis=1)))
    return Probe(len(p), displacement, int(consistent.sum()), int((consistent & (distance < INLIER)).sum()))


def chained_rotations(
    features: Sequence[Features], K: Float[np.ndarray, "3 3"]
) -> tuple[Float[np.ndarray, "n 3 3"], float, Bool[np.ndarray, " n"]]:
    """World-to-camera rotations of a camera that keeps its place; the first camera is the world.

    Each frame is compared with a keyframe, which is replaced as the views part, so that errors add up over few links.

    Returns:
        The rotations, the median distance of inliers in pixels of the work image, and the frames without enough
        matches, which keep the rotation of their predecessor.
    """
    rotations = [np.eye(3)]
    key, key_matches, distances = 0, 0, []
    lost = np.zeros(len(features), bool)
    for index in range(1, len(features)):
        p, q = matched_points(features[key], features[index])
        if key_matches and len(p) < OVERLAP * key_matches:
            key, key_matches = index - 1, 0
            p, q = matched_points(features[key], features[index])
        if len(p) < LEAST_MATCHES:
            rotations.append(rotations[-1])
            lost[index] = True
            continue
        key_matches = key_matches or len(p)
        R, distance = rotation_between(p, q, K)
        rotations.append(R @ rotations[key])
        distances.append(float(np.median(distance[distance < 2 * INLIER])) if (distance < 2 * INLIER).any() else INLIER)
    return np.stack(rotations), float(np.median(distances)) if distances else float("inf"), lost


def note_on_blur(observations: Observations) -> list[str]:
    """A sentence on the frames of a camera that moves which are blurred, if there are any."""
    if observations.frame_weight is None:
        return []
    blurred = (observations.frame_weight < BLURRED).numpy()
    if blurred.sum() < max(2, LEAST_BLURRED * len(blurred)):
        return []
    where = spans_in_words(observations.times.numpy(), blurred)
    return [f"the camera or the person moved too fast {where}: these frames are blurred and count less"]


def _work_intrinsics(observations: Observations, focal: float) -> Float[np.ndarray, "3 3"]:
    """The intrinsics of the work images."""
    scale = work_scale(observations.width, observations.height)
    return np.array(
        [
            [scale * focal, 0, scale * observations.width / 2],
            [0, scale * focal, scale * observations.height / 2],
            [0, 0, 1],
        ]
    )
