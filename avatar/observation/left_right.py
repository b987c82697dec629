"""Correction of swapped left and right labels from the frames before and after.

Detectors mistake the back for the front and one crossing leg for the other. Each frame keeps its labels or swaps them;
the cheapest path through all frames (Viterbi 1967) makes the landmarks move least. The cost includes the 3D guess,
because legs that cross in the image do not cross in depth.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32

from avatar.landmark_layouts import Layout
from avatar.observation.detectors.flip_test import person_size

SWAP_COST = 0.02  # what a swap must save in each frame, as a share of the person's size: labels are mostly right
LONGEST_STEP = 0.25  # movement beyond this share of the size costs no more: a cut or a gap says nothing
GROUPS = (
    (),  # the whole body
    ("hip", "knee", "ankle", "heel", "foot_index"),
    ("shoulder", "elbow", "wrist", "pinky", "index", "thumb"),
)


def fix_left_right_swaps(
    keypoints: Float32[np.ndarray, "frames joints 3"],
    keypoints_3d: Float32[np.ndarray, "frames joints 3"],
    layout: Layout,
) -> tuple[
    Float32[np.ndarray, "frames joints 3"],
    Float32[np.ndarray, "frames joints 3"],
    Bool[np.ndarray, "frames joints"],
]:
    """The landmarks with corrected sides, and which of them were swapped.

    First the whole body, then legs and arms separately. The side that most frames agree on is taken.
    """
    swapped = np.zeros(keypoints.shape[:2], bool)
    keypoints, keypoints_3d = keypoints.copy(), keypoints_3d.copy()
    for parts in GROUPS:
        group = [i for i, name in enumerate(layout.names) if not parts or name.split("_", 1)[-1] in parts]
        twin = [layout.mirror[i] for i in group]
        flip = _cheapest_swaps(_features(keypoints, keypoints_3d), group, twin)
        rows = np.flatnonzero(flip)[:, None]
        for points in (keypoints, keypoints_3d):
            points[rows, group] = points[rows, twin]
        swapped[rows, group] ^= np.array(group) != np.array(twin)
    return keypoints, keypoints_3d, swapped


def _features(keypoints: np.ndarray, keypoints_3d: np.ndarray) -> np.ndarray:
    """(frames, joints, 5): pixels and metres, both as shares of the person's size."""
    pixels = keypoints[..., :2] / np.median(person_size(keypoints))
    metres = np.nan_to_num(keypoints_3d) / 1.8
    return np.concatenate([pixels, metres], axis=-1)


def _cheapest_swaps(features: np.ndarray, group: list[int], twin: list[int]) -> Bool[np.ndarray, " frames"]:
    """For each frame whether the group takes the labels of the other side."""
    same, swapped = features[:, group], features[:, twin]
    states = np.stack([same, swapped])  # (2, frames, joints, 5)
    step = np.linalg.norm(states[:, None, 1:] - states[None, :, :-1], axis=-1)  # (now, before, frames - 1, joints)
    step = np.minimum(step, LONGEST_STEP).mean(-1)
    costs = np.array([0.0, SWAP_COST])
    came_from = np.zeros((len(features), 2), int)
    for frame in range(1, len(features)):
        total = costs[None, :] + step[:, :, frame - 1]
        came_from[frame] = total.argmin(1)
        costs = total.min(1) + [0.0, SWAP_COST]
    path = np.empty(len(features), int)
    path[-1] = costs.argmin()
    for frame in range(len(features) - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path.astype(bool)
