"""Automatic exposure and white balance of each frame, from the background: the person is never asked.

The same points of the background are followed from frame to frame (Lucas and Kanade 1981), and between frames whose
cameras nearly coincide, such as the start and the end of a walk round the person; the median ratio of their linear
light is the change of exposure. The changes are added up by least squares, with a weak pull towards the usual exposure.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.geometry import geodesic_angle
from avatar.io.exposure import linear_light
from avatar.observation.background_features import free_background
from avatar.runtime.thread_map import map_in_threads
from avatar.types import Cameras, Observations

WORK_SIDE = 480  # longer side of the images that are compared, pixels
MOST_POINTS, LEAST_POINTS = 800, 30
# Frames at least this far apart are compared where the camera comes back: within this angle (radians) and this
# distance, relative to how far its places lie apart.
APART, SAME_DIRECTION, SAME_PLACE, MOST_RETURNS = 10, 0.08, 0.2, 60
LEVELS = 4  # of the image pyramid: a camera that is carried round moves the background by tens of pixels
BACK_AND_FORTH = 0.5  # pixels by which a point that is followed there and back may miss its place
BLUR = 6.0  # pixels, standard deviation: the light is that of a patch, not of a pixel
DARK, BRIGHT = 0.03, 0.9  # linear light between which a patch tells the exposure
CHANGE_ERROR = 0.004  # of the logarithm of one change
USUAL_SPREAD = 0.3  # of the logarithm of a phone's exposure
# Root mean square of the logarithm below which nothing is corrected: a phone whose exposure is locked.
LEAST_CHANGE = 0.02

Frame = tuple[UInt8[np.ndarray, "h w"], Float[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]


def measure_exposure(observations: Observations, cameras: Cameras) -> Float[Tensor, "n 3"] | None:
    """Factor of each frame's exposure on linear light, by colour channel, geometric mean 1; None where it is constant
    or the background does not tell.

    Args:
        cameras: of the frames, in a world of any place and scale.
    """
    count = len(observations)
    if count < 2 or not len(observations.images):
        return None
    frames = list(map_in_threads(lambda index: _reduced(observations, index), range(count)))
    pairs = [(index, index + 1) for index in range(count - 1)] + returns(cameras)
    changes = list(map_in_threads(lambda pair: log_change(frames[pair[0]], frames[pair[1]]), pairs))
    valid = [(pair, change) for pair, change in zip(pairs, changes, strict=True) if change is not None]
    if len(valid) < count // 2:
        return None
    logs = summed_changes(count, [pair for pair, _ in valid], np.stack([change for _, change in valid]))
    if float(np.sqrt(np.mean(logs**2))) < LEAST_CHANGE:
        return None
    return torch.from_numpy(np.exp(logs)).float()


def returns(cameras: Cameras) -> list[tuple[int, int]]:
    """Pairs of frames that are far apart in time and nearly coincide, evenly chosen."""
    T = cameras.T_camera_world
    centres = -(T[:, :3, :3].mT @ T[:, :3, 3:]).squeeze(-1)
    spread = (centres - centres.mean(0)).norm(dim=-1).square().mean().sqrt().clamp_min(1e-9)
    a, b = torch.triu_indices(len(T), len(T), APART)
    turned = geodesic_angle(T[a, :3, :3], T[b, :3, :3])
    near = (turned < SAME_DIRECTION) & ((centres[a] - centres[b]).norm(dim=-1) < SAME_PLACE * spread + 1e-6)
    chosen = near.nonzero()[:, 0]
    chosen = chosen[:: max(1, -(-len(chosen) // MOST_RETURNS))]
    return [(int(i), int(j)) for i, j in zip(a[chosen], b[chosen], strict=True)]


def _reduced(observations: Observations, index: int) -> Frame:
    """A small frame: grey, blurred linear light, and 255 where the background is."""
    import cv2

    image = observations.images[index]
    scale = min(1.0, WORK_SIDE / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(observations.masks[index], size, interpolation=cv2.INTER_AREA)
    light = cv2.GaussianBlur(linear_light(small.astype(np.float32) / 255).astype(np.float32), (0, 0), BLUR)
    free = 255 * free_background(mask).astype(np.uint8)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), light, free


def log_change(first: Frame, second: Frame) -> Float[np.ndarray, "3"] | None:
    """Logarithm of the second frame's exposure over the first's, or None where too few points can be followed."""
    import cv2

    (grey, light, free), (grey_then, light_then, free_then) = first, second
    points = cv2.goodFeaturesToTrack(grey, MOST_POINTS, 0.01, 5, mask=free)
    if points is None or len(points) < LEAST_POINTS:
        return None
    moved, ok, _ = cv2.calcOpticalFlowPyrLK(grey, grey_then, points, np.zeros_like(points), maxLevel=LEVELS)
    back, ok_back, _ = cv2.calcOpticalFlowPyrLK(grey_then, grey, moved, np.zeros_like(points), maxLevel=LEVELS)
    here, there = points[:, 0], moved[:, 0]
    limit = np.array(grey.shape[::-1]) - 1
    good = (ok[:, 0] > 0) & (ok_back[:, 0] > 0) & (np.linalg.norm(back[:, 0] - here, axis=1) < BACK_AND_FORTH)
    good &= (there >= 0).all(1) & (there <= limit).all(1)
    here, there = here[good].round().astype(int), there[good].round().astype(int)
    a, b = light[here[:, 1], here[:, 0]], light_then[there[:, 1], there[:, 0]]
    between = (np.minimum(a, b) > DARK).all(1) & (np.maximum(a, b) < BRIGHT).all(1)
    between &= free_then[there[:, 1], there[:, 0]] > 0
    if between.sum() < LEAST_POINTS:
        return None
    change: np.ndarray = np.median(np.log(b[between] / a[between]), axis=0)
    return change


def summed_changes(
    count: int, pairs: list[tuple[int, int]], changes: Float[np.ndarray, "p 3"]
) -> Float[np.ndarray, "n 3"]:
    """Logarithms of the exposures, of mean 0, that agree best with the changes between pairs of frames."""
    rows = np.zeros((len(pairs), count))
    for row, (before, after) in enumerate(pairs):
        rows[row, before], rows[row, after] = -1, 1
    A = np.concatenate([rows / CHANGE_ERROR, np.eye(count) / USUAL_SPREAD])
    b = np.concatenate([changes / CHANGE_ERROR, np.zeros((count, 3))])
    logs = np.linalg.lstsq(A, b, rcond=None)[0]
    centred: np.ndarray = logs - logs.mean(0)
    return centred
