"""What lies behind the person in each frame of a camera that moves: other frames show it, at the depth of the scene."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from avatar.geometry import invert_rigid
from avatar.observation.background_features import free_background
from avatar.observation.background_plate import median_shown
from avatar.observation.mask_shapes import Box
from avatar.rendering.renderer import render
from avatar.runtime.thread_map import map_in_threads
from avatar.training.scene import LONG_SIDE, SceneTrainer
from avatar.types import Cameras, Observations

STEPS = 400  # of the scene's training: its depth counts, not its sharpness
AROUND, ACROSS, STRIDE = 8, 8, 2  # frames that show the background: neighbours on either side, and others of the clip
LEAST_SHOWN = 2  # of them that must show a pixel
LEAST_ALPHA = 0.5  # of the scene, for a depth
SAME_DEPTH = 0.06  # by which the depth of a place may differ in two frames, relative to it


class SceneBackdrop:
    """The background of a clip with parallax: the median of what other frames show of the surface in each pixel.

    Args:
        cameras: one per frame, world, floor at y = 0; person: where the person stands in each frame, on the floor.
    """

    def __init__(
        self, observations: Observations, cameras: Cameras, person: Float[Tensor, "frames 3"], backend: str = "auto"
    ) -> None:
        trainer = SceneTrainer(observations, cameras, person, backend)
        self.scene = trainer.run(STEPS)
        self.observations, self.cameras, self.backend = observations, cameras, backend
        self.depths = [self._depth(view.camera) for view in trainer.views]
        self._free = lru_cache(maxsize=None)(lambda index: free_background(observations.masks[index]))

    def behind(self, frame: int, box: Box) -> UInt8[np.ndarray, "h w 4"]:
        """Colours behind the person in a part of a frame, and 255 where they are known, else 0."""
        rows, columns = box
        camera = self.cameras[frame]
        part = camera.cropped(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        factor = min(1.0, LONG_SIDE / max(camera.width, camera.height))
        small = part.resized(max(1, round(part.width * factor)), max(1, round(part.height * factor)))
        depth = _enlarged(self._depth(small), part.width, part.height)
        places = _world(part, depth)
        shown = list(map_in_threads(lambda other: self._seen(other, places), self._sources(frame)))
        known = np.stack([valid for _, valid in shown])
        color = median_shown(np.stack([image for image, _ in shown]), known).clip(0, 255)
        alpha = np.where((known.sum(0) >= LEAST_SHOWN) & (depth > 0), 255, 0)
        return np.concatenate([color, alpha[..., None]], -1).astype(np.uint8)

    def _sources(self, frame: int) -> list[int]:
        """Frames that may show what lies behind the person in a frame."""
        count = len(self.observations)
        near = range(frame - AROUND * STRIDE, frame + AROUND * STRIDE + 1, STRIDE)
        spread = np.linspace(0, count - 1, ACROSS).round().astype(int).tolist()
        return sorted({k for k in [*near, *spread] if 0 <= k < count and k != frame})

    def _seen(
        self, other: int, places: Float[np.ndarray, "h w 3"]
    ) -> tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
        """What another frame shows at places in the world, and where it shows them and not the person."""
        import cv2

        camera = self.cameras[other]
        T, K = camera.T_camera_world[0].double().numpy(), camera.K[0].double().numpy()
        local = places @ T[:3, :3].T + T[:3, 3]
        z = np.maximum(local[..., 2], 1e-3)
        # OpenCV counts pixel centres from 0, we count them from 0.5.
        x, y = ((K[k, k] * local[..., k] / z + K[k, 2] - 0.5).astype(np.float32) for k in (0, 1))
        image = cv2.remap(self.observations.images[other], x, y, cv2.INTER_LINEAR)
        free = cv2.remap(self._free(other).astype(np.uint8), x, y, cv2.INTER_NEAREST) > 0
        own = self.depths[other]
        scale = own.shape[1] / camera.width
        depth = cv2.remap(own, (x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5, cv2.INTER_NEAREST)
        same = np.abs(depth - local[..., 2]) < SAME_DEPTH * local[..., 2]
        return image.astype(np.uint8), free & same & (local[..., 2] > 0.1)

    @torch.no_grad()
    def _depth(self, camera: Cameras) -> Float[np.ndarray, "h w"]:
        """Distance of the scene along the optical axis in each pixel; 0 where it has a hole."""
        out = render(self.scene, camera, self.backend)
        depth: np.ndarray = torch.where(out.alpha > LEAST_ALPHA, out.depth / out.alpha.clamp_min(1e-6), 0)[0].numpy()
        return depth


def _enlarged(depth: Float[np.ndarray, "a b"], width: int, height: int) -> Float[np.ndarray, "h w"]:
    import cv2

    large: np.ndarray = cv2.resize(depth, (width, height), interpolation=cv2.INTER_LINEAR)
    return large


def _world(camera: Cameras, depth: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w 3"]:
    """The places in the world that a camera sees at these depths."""
    K, T_world_camera = camera.K[0].double().numpy(), invert_rigid(camera.T_camera_world)[0].double().numpy()
    y, x = np.mgrid[: depth.shape[0], : depth.shape[1]] + 0.5
    rays = np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], np.ones_like(x)], -1)
    places: np.ndarray = (rays * depth[..., None]) @ T_world_camera[:3, :3].T + T_world_camera[:3, 3]
    return places
