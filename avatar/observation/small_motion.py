"""The cameras of a phone that sways in a hand, and where the points of the scene lie.

Centimetres of motion are too little to triangulate a point from two frames, with which structure from motion starts.
But all frames together tell both, starting from rotations alone and any depths (Yu and Gallup 2014, "3D reconstruction
from accidental motion").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from avatar.errors import AvatarError
from avatar.geometry import rigid
from avatar.io.camera_motion_file import USUAL_FOCAL_SPREAD, CameraMotion
from avatar.observation.background_features import (
    INLIER,
    Features,
    chained_rotations,
    matched_indices,
    work_scale,
)
from avatar.observation.bundle_adjustment import Adjusted, PointObservations, Scene, Unknowns, adjust
from avatar.observation.camera_reconstruction import without_gaps
from avatar.types import Cameras, Observations

ANCHORS = 7  # frames whose points are looked for in others
NEAREST = 3  # of them with which each frame is compared, beside the middle one
LEAST_OBSERVATIONS = 4  # of a point
MOST_POINTS, MOST_FRAMES = 1000, 120  # that are solved for together; further frames by the points of these
TELLING_POINTS = 400  # that tell whether the camera keeps its place
FARTHEST = 20.0  # pixels of the work image: a match that a rotation misses by more is wrong, or the motion large
LEAST_IN_FRAME = 20  # observations of a frame that fit
# Share of the frames that must be reconstructed; share of the error of rotations above which places tell nothing more.
LEAST_SHARE, MOST_ERROR = 0.9, 0.6
DEPTH_VARIATION = 0.3  # of the inverse distances at the start
LEAST_INVERSE = 0.05  # distance
EXACT_FOCAL = 0.02  # standard deviation, relative, below which a focal length counts as measured


def point_observations(
    features: Sequence[Features],
    rotations: Float[np.ndarray, "n 3 3"],
    valid: Bool[np.ndarray, " n"],
    K: Float[np.ndarray, "3 3"],
    most: int,
) -> tuple[PointObservations, Float[torch.Tensor, "p 3"]]:
    """Points of a few frames, looked for in the frames around them; those with most observations.

    Args:
        rotations: world to camera, nearly; valid: frames that are used; K: of the work images.
        most: number of points.

    Returns:
        The observations, and the direction of each point in the world.
    """
    usable: list[int] = np.flatnonzero(valid).tolist()
    anchors = [usable[k] for k in np.unique(np.linspace(0, len(usable) - 1, ANCHORS).round().astype(int))]
    centre, focal, total = K[:2, 2], K[0, 0], 0
    frames, points, pixels, directions = ([] for _ in range(4))
    for anchor in anchors:
        own = features[anchor].points - centre
        rays = np.column_stack([own / focal, np.ones(len(own))])
        rays = (rays / np.linalg.norm(rays, axis=1, keepdims=True)) @ rotations[anchor]
        directions.append(rays)
        for other in usable:
            if anchor not in (*sorted(anchors, key=lambda k: abs(k - other))[:NEAREST], anchors[len(anchors) // 2]):
                continue
            a, b = (np.arange(len(own)),) * 2 if other == anchor else matched_indices(features[anchor], features[other])
            there = features[other].points[b] - centre
            moved = rays[a] @ rotations[other].T
            close = np.linalg.norm(focal * moved[:, :2] / np.maximum(moved[:, 2:], 1e-6) - there, axis=1) < FARTHEST
            frames.append(np.full(int(close.sum()), other))
            points.append(total + a[close])
            pixels.append(there[close])
        total += len(own)
    frame, point, pixel, rays = (np.concatenate(parts) for parts in (frames, points, pixels, directions))
    counts = np.bincount(point, minlength=total)
    chosen = np.argsort(-counts, kind="stable")[:most]
    chosen = chosen[counts[chosen] >= LEAST_OBSERVATIONS]
    number = np.full(total, -1)
    number[chosen] = np.arange(len(chosen))
    kept = number[point] >= 0
    arrays = (frame[kept], number[point[kept]], pixel[kept])
    return PointObservations(*map(torch.from_numpy, arrays)), torch.from_numpy(rays[chosen])


def sways(features: Sequence[Features], K: Float[np.ndarray, "3 3"], focal_spread: float) -> bool:
    """Whether places of the camera explain much of what its rotations leave.

    Args:
        features: of a few frames; K: of the work images; focal_spread: standard deviation of its focal length,
            relative to it.
    """
    rotations, _, lost = chained_rotations(features, K)
    if lost.any():
        return False
    observed, directions = point_observations(features, rotations, ~lost, K, TELLING_POINTS)
    if not _followed(observed.frame, len(features)).all():
        return False
    start = _start(rotations, directions, K)
    turning = adjust(observed, start, Unknowns(False, True, start.log_focal, focal_spread))
    moving = adjust(observed, _in_depth(start), Unknowns(True, True, start.log_focal, focal_spread))
    return moving.error < MOST_ERROR * turning.error


def swaying_cameras(
    observations: Observations,
    features: Sequence[Features],
    chain: tuple[Float[np.ndarray, "n 3 3"], float, Bool[np.ndarray, " n"]],
    K: Float[np.ndarray, "3 3"],
    focal_spread: float,
) -> CameraMotion:
    """The cameras of all frames up to one similarity, the focal length, and points of the scene.

    Args:
        features: of all frames; chain: `chained_rotations` of them; K: of the work images.
        focal_spread: standard deviation of the focal length, relative to it; 0: it was given.

    Raises:
        AvatarError: the background does not determine the cameras.
    """
    rotations, _, lost = chain
    observed, directions = point_observations(features, rotations, ~lost, K, MOST_POINTS)
    start, together = _start(rotations, directions, K), np.linspace(0, len(features) - 1, MOST_FRAMES).round()
    chosen = torch.isin(observed.frame, torch.from_numpy(together.astype(int)))
    solved = placed(observed.where(chosen), start, focal_spread)
    scene, spread = solved.scene, solved.focal_spread
    if not chosen.all():
        solved = adjust(observed, scene, Unknowns(True, False, scene.log_focal, 0.0))
        scene = solved.scene
    valid = torch.from_numpy(_followed(observed.frame[solved.distance < INLIER], len(features)))
    if valid.float().mean() < LEAST_SHARE:
        raise AvatarError(f"only {int(valid.sum())} of {len(valid)} frames show enough of the background to follow it")
    T, notes = without_gaps(rigid(scene.R, scene.t).float(), valid, observations.times)
    scale = work_scale(observations.width, observations.height)
    focal = math.exp(scene.log_focal) / scale
    sure = focal_spread == 0 or spread < EXACT_FOCAL
    return CameraMotion(
        "moving",
        Cameras.centred(focal, T, observations.width, observations.height),
        sure,
        float(solved.distance.median()) / scale,
        notes=notes,
        focal_spread=spread if not sure else USUAL_FOCAL_SPREAD,
        focal_source="" if sure else f"the sway of the camera tells a focal length of {focal:.0f} px to {spread:.0%}",
    )


def placed(observed: PointObservations, start: Scene, focal_spread: float) -> Adjusted:
    """The better of two solutions: from afar, a scene with near and far swapped looks nearly the same."""
    unknowns = Unknowns(True, True, start.log_focal, focal_spread)
    first = adjust(observed, _in_depth(start), unknowns)
    scene = first.scene
    swapped = replace(scene, t=-scene.t, inverse=(2 - scene.inverse).clamp_min(LEAST_INVERSE))
    return min(first, adjust(observed, swapped, unknowns), key=lambda solution: solution.error)


def _start(
    rotations: Float[np.ndarray, "n 3 3"], directions: Float[torch.Tensor, "p 3"], K: Float[np.ndarray, "3 3"]
) -> Scene:
    """A camera that keeps its place, and all points in one distance."""
    places, inverse = torch.zeros(len(rotations), 3, dtype=torch.float64), torch.ones_like(directions[:, 0])
    return Scene(torch.from_numpy(rotations), places, math.log(K[0, 0]), directions, inverse)


def _in_depth(start: Scene) -> Scene:
    """The scene with points in various distances, without which no place of a camera makes a difference."""
    noise = torch.randn(start.inverse.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return replace(start, inverse=1 + DEPTH_VARIATION * noise.clamp(-2, 2))


def _followed(frame: Int[torch.Tensor, " m"], count: int) -> Bool[np.ndarray, " n"]:
    """The frames with enough observations."""
    enough: np.ndarray = torch.bincount(frame, minlength=count).numpy() >= LEAST_IN_FRAME
    return enough
