"""How much brighter, and in which tint, each of several phones films the same person.

The same place of the body, before two cameras at the same time, sends both nearly the same light (Lambert): the median
ratio of the linear light is the ratio of the exposures. Cameras that have hardly a place in common are compared over
others.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from avatar.body import Body
from avatar.geometry import project, transform
from avatar.io.exposure import exposed, linear_light
from avatar.tracking.optical_flow import farthest_vertices, visible_points
from avatar.tracking.silhouette import reduced_size
from avatar.types import BodyTrack, ImageList, Observations

POINTS = 600  # on the body
WORK_SIDE = 960  # longer side of the compared images, pixels
INSIDE = 250  # of the mask, 0 to 255, around a point
AROUND, BLUR = 0.005, 0.002  # of the longer side: that far inside the mask; standard deviation: a fit misses by some
DARK, BRIGHT = 0.02, 0.9  # linear light between which a point tells the exposure
PAIRS = 8  # frames of each two cameras that are compared
SAME_TIME_S = 0.05
LEAST_POINTS = 40  # of all pairs of frames
UNCERTAIN = 0.5  # standard deviation of the logarithm of a gain that nothing tells

Light = tuple[Float[np.ndarray, "p 3"], Bool[np.ndarray, " p"]]


def at_first_exposure(
    observations: Observations, gains: Float[np.ndarray, "cameras 3"], counts: Sequence[int]
) -> Observations:
    """The observations with all images as the first camera would have exposed them.

    Args:
        gains: as `measure_gains` returns them; counts: how many frames of each camera follow one another.
    """
    of_frame, images = np.repeat(1 / gains, counts, axis=0), observations.images

    def read(index: int) -> UInt8[np.ndarray, "h w 3"]:
        image = images[index]
        return image if np.allclose(of_frame[index], 1) else exposed(image, of_frame[index])

    return replace(observations, images=ImageList(len(images), read))


def measure_gains(
    observations: Observations, track: BodyTrack, body: Body, counts: Sequence[int]
) -> Float[np.ndarray, "cameras 3"]:
    """Factor of each camera's exposure on linear light, by colour channel, relative to the first camera.

    Args:
        track: of the same frames, with cameras; counts: how many frames of each camera follow one another.
    """
    points = farthest_vertices(body, POINTS)
    around = body.faces[torch.isin(body.faces, points).any(1)]
    vertices = body.vertices(body.rest(track.betas), body.complete(track.poses))
    starts = np.concatenate([[0], np.cumsum(counts)])
    lights: dict[int, Light] = {}

    def light(frame: int) -> Light:
        if frame not in lights:
            posed = vertices[int(track.instant[frame])]
            lights[frame] = _light(observations, track, frame, posed, points, body, around)
        return lights[frame]

    rows, changes = [], []
    for a, b in itertools.combinations(range(len(counts)), 2):
        logs = []
        for first, second in _pairs(observations, range(*starts[a : a + 2]), range(*starts[b : b + 2])):
            (one, shown), (other, shown_there) = light(first), light(second)
            both = shown & shown_there
            logs.append(np.log(other[both] / one[both]))
        together = np.concatenate(logs) if logs else np.zeros((0, 3))
        if len(together) >= LEAST_POINTS:
            row = np.zeros(len(counts))
            row[a], row[b] = -1, 1
            certain = np.sqrt(len(together))
            rows.append(certain * row)
            changes.append(certain * np.median(together, axis=0))
    if not rows:
        return np.ones((len(counts), 3))
    prior = np.eye(len(counts)) / UNCERTAIN
    left, right = np.stack(rows), np.stack(changes)
    left, right = np.concatenate([left, prior]), np.concatenate([right, np.zeros((len(counts), 3))])
    result = np.linalg.lstsq(left, right, rcond=None)[0]
    gains: np.ndarray = np.exp(result - result[0])
    return gains


def _pairs(observations: Observations, first: range, second: range) -> list[tuple[int, int]]:
    """Frames of two cameras at the same times, evenly chosen."""
    times = observations.times.double()
    gap, nearest = (times[list(first), None] - times[list(second)]).abs().min(1)
    pairs = [(first[k], second[int(other)]) for k, other in enumerate(nearest) if float(gap[k]) < SAME_TIME_S]
    return pairs[:: max(1, -(-len(pairs) // PAIRS))]


def _light(
    observations: Observations,
    track: BodyTrack,
    frame: int,
    posed: torch.Tensor,
    points: torch.Tensor,
    body: Body,
    around: torch.Tensor,
) -> Light:
    """Linear light of points of the body in a frame, and which of them it shows."""
    import cv2

    assert track.cameras is not None
    factor, size = reduced_size(
        observations.width, observations.height, WORK_SIDE / max(observations.width, observations.height)
    )
    image = cv2.resize(observations.images[frame], size, interpolation=cv2.INTER_AREA)
    side = 2 * round(AROUND * max(size)) + 1
    mask = cv2.resize(observations.masks[frame], size, interpolation=cv2.INTER_AREA)
    mask = cv2.erode(mask, np.ones((side, side), np.uint8))
    light = cv2.GaussianBlur(linear_light(image.astype(np.float32) / 255).astype(np.float32), (0, 0), BLUR * max(size))
    K, T = track.cameras.K[frame], track.cameras.T_camera_world[frame]
    pixels = project(K, T, posed)[0].numpy() * factor
    mesh = transform(T, posed)
    x, y = pixels[points.numpy()].astype(int).clip(0, np.array(size) - 1).T
    shown = visible_points(mesh.numpy(), pixels, size, points, around) & (mask[y, x] >= INSIDE)
    values: Float[np.ndarray, "p 3"] = light[y, x]
    return values, shown & (values > DARK).all(1) & (values < BRIGHT).all(1)
