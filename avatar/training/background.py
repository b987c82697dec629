"""What lies behind the person in each frame of a camera that keeps its place: the other frames show it.

Training composites the avatar over it, so that the images themselves say where the person ends (after ParDy-Human, Jung
et al. 2024); masks are right but for their borders.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8

from avatar.geometry import invert_rigid
from avatar.observation.background_features import free_background
from avatar.observation.background_plate import median_shown
from avatar.observation.mask_shapes import Box
from avatar.training.scene_background import SceneBackdrop
from avatar.types import BodyTrack, Cameras, Observations

SOURCES = 17  # frames that show the background
LEAST_SHOWN = 3  # of them that must show a pixel
MOST_MOVED = 0.02  # metres by which the camera may move
STANDS = 1e-4  # difference of two projections below which a camera stands still


@runtime_checkable
class Background(Protocol):
    """What lies behind the person in each frame."""

    def behind(self, frame: int, box: Box) -> UInt8[np.ndarray, "h w 4"]:
        """Colours behind the person in a part of a frame, and 255 where they are known, else 0."""


def background_of(observations: Observations, track: BodyTrack, backend: str = "auto") -> Background:
    """The background of a clip, as its camera moves.

    Args:
        track: of the same frames, with cameras.
    """
    assert track.cameras is not None
    if keeps_place(track.cameras):
        return Backdrop(observations, track.cameras)
    person = track.poses.root_position[observations.instant] * torch.tensor([1.0, 0.0, 1.0])
    return SceneBackdrop(observations, track.cameras, person, backend)


def keeps_place(cameras: Cameras) -> bool:
    """Whether a camera turns at most."""
    centres = invert_rigid(cameras.T_camera_world)[:, :3, 3]
    return float((centres - centres.median(0).values).norm(dim=-1).max()) <= MOST_MOVED


class Backdrop:
    """The background of a camera that keeps its place: the median of what other frames show in a pixel's direction.

    Raises:
        ValueError: the camera changes its place.
    """

    def __init__(self, observations: Observations, cameras: Cameras) -> None:
        if not keeps_place(cameras):
            raise ValueError("One image shows no background with parallax.")
        self.rays = (cameras.K @ cameras.T_camera_world[:, :3, :3]).double().numpy()
        self.stands = bool(np.abs(self.rays - self.rays[0]).max() < STANDS * np.abs(self.rays[0]).max())
        chosen = np.unique(np.linspace(0, len(observations) - 1, SOURCES).round().astype(int)).tolist()
        self.sources = [(self.rays[i], observations.images[i], free_background(observations.masks[i])) for i in chosen]
        self._whole: UInt8[np.ndarray, "h w 4"] | None = None

    def behind(self, frame: int, box: Box) -> UInt8[np.ndarray, "h w 4"]:
        """Colours behind the person in a part of a frame, and 255 where they are known, else 0."""
        if not self.stands:
            return self._seen_from(self.rays[frame], box)
        if self._whole is None:
            height, width = self.sources[0][1].shape[:2]
            self._whole = self._seen_from(self.rays[0], (slice(0, height), slice(0, width)))
        return self._whole[box]

    def _seen_from(self, rays: Float[np.ndarray, "3 3"], box: Box) -> UInt8[np.ndarray, "h w 4"]:
        import cv2

        rows, columns = box
        size = columns.stop - columns.start, rows.stop - rows.start
        # OpenCV counts pixel centres from 0, we count them from 0.5; and the box is cut away.
        shift = np.array([[1, 0, -columns.start - 0.5], [0, 1, -rows.start - 0.5], [0, 0, 1.0]])
        half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
        colors, known = [], []
        for other, image, free in self.sources:
            H = shift @ rays @ np.linalg.inv(other) @ half
            colors.append(cv2.warpPerspective(image, H, size, flags=cv2.INTER_LINEAR))
            known.append(cv2.warpPerspective(free.astype(np.uint8), H, size, flags=cv2.INTER_NEAREST) > 0)
        shown = np.stack(known)
        color = median_shown(np.stack(colors), shown).clip(0, 255)
        alpha = np.where(shown.sum(0) >= min(LEAST_SHOWN, len(shown)), 255, 0)
        return np.concatenate([color, alpha[..., None]], -1).astype(np.uint8)
