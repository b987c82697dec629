"""Confidence in each landmark and each frame, beyond the detector's own."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float32

from avatar.errors import AvatarError
from avatar.landmark_layouts import Layout
from avatar.observation.detectors.flip_test import person_size

TRUSTED_JUMP = 0.05  # deviation from the neighbours' line, as a share of the person's size, that halves the trust
# Of a landmark, in sizes of the person per square second: frames far apart say less. A raised arm is back at the side
# after a third of a second.
USUAL_ACCELERATION, OF_ARMS, OF_LEGS = 3.0, 24.0, 12.0
ARMS, LEGS = ("elbow", "wrist", "pinky", "index", "thumb"), ("knee", "ankle", "heel", "foot_index")
SWAPPED = 0.5  # factor for landmarks whose side had to be put right
IN_VIEW = 0.25  # confidence from which a landmark counts as in view
LEAST_WEIGHT = 0.3


def reweight_confidence(
    keypoints: Float32[np.ndarray, "frames joints 3"],
    swapped: Bool[np.ndarray, "frames joints"],
    times: Float[np.ndarray, " frames"],
    layout: Layout,
) -> Float32[np.ndarray, "frames joints 3"]:
    """The landmarks with confidences lowered where a side was corrected or a point jumps for one frame.

    Args:
        times: of the frames, seconds; layout: of the landmarks.
    """
    tempered = keypoints.copy()
    tempered[..., 2] *= np.where(swapped, SWAPPED, 1.0)
    if len(keypoints) >= 3:
        middle = (keypoints[:-2, :, :2] + keypoints[2:, :, :2]) / 2
        jump = np.linalg.norm(keypoints[1:-1, :, :2] - middle, axis=-1) / person_size(keypoints)[1:-1, None]
        before, after = np.diff(times)[:-1], np.diff(times)[1:]
        usual = np.array([usual_acceleration(name) for name in layout.names])
        trusted = np.maximum(TRUSTED_JUMP, usual / 2 * (before * after)[:, None])
        tempered[1:-1, :, 2] /= 1 + (jump / trusted) ** 2
    return tempered


def usual_acceleration(landmark: str) -> float:
    """How fast a landmark of this name changes its velocity, in sizes of the person per square second."""
    kind = landmark.split("_", 1)[-1]
    return OF_ARMS if kind in ARMS else OF_LEGS if kind in LEGS else USUAL_ACCELERATION


def frame_weights(sharp: Float[np.ndarray, " frames"]) -> Float32[np.ndarray, " frames"]:
    """Blurred frames weigh less: each frame's sharpness against the median of its surroundings, at most 1."""
    from scipy.ndimage import median_filter

    usual = median_filter(sharp, size=min(31, len(sharp)), mode="nearest")
    weights: np.ndarray = np.clip(sharp / np.maximum(usual, 1e-6), LEAST_WEIGHT, 1.0).astype(np.float32)
    return weights


def check_in_view(
    keypoints: Float32[np.ndarray, "frames joints 3"], layout: Layout, width: int, height: int, video: str
) -> list[str]:
    """Notes on body parts that are rarely in view.

    Raises:
        AvatarError: only the upper body is in view.
    """
    x, y, confidence = np.moveaxis(keypoints, -1, 0)
    in_view = (confidence > IN_VIEW) & (x >= 0) & (x < width) & (y >= 0) & (y < height)

    def share(part: str) -> float:
        return float(in_view[:, layout.indices(f"left_{part}", f"right_{part}")].any(1).mean())

    if share("knee") < 0.1:
        raise AvatarError(f"{video}: only the upper body is in view; film the whole person, head to feet.")
    return [
        f"The {plural} are in view in only {share(part):.0%} of the frames; what is not visible is guessed."
        for part, plural in (("ankle", "feet"), ("shoulder", "shoulders"), ("wrist", "hands"))
        if share(part) < 0.5
    ]
