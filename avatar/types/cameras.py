"""Pinhole cameras. Conventions: see `avatar.types`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Cameras:
    """Pinhole cameras without distortion, one per frame, all of one image size.

    Attributes:
        K: intrinsics in pixels.
        T_camera_world: rigid world-to-camera transforms, metres.
        width: image width in pixels.
        height: image height in pixels.
    """

    K: Float[Tensor, "frames 3 3"]
    T_camera_world: Float[Tensor, "frames 4 4"]
    width: int
    height: int

    def __len__(self) -> int:
        return self.K.shape[0]

    def __getitem__(self, index: int | slice | Tensor | list[int]) -> Cameras:
        """The chosen cameras; a single index keeps the leading axis."""
        chosen = slice(index, index + 1 or None) if isinstance(index, int) else index
        return replace(self, K=self.K[chosen], T_camera_world=self.T_camera_world[chosen])

    @staticmethod
    def centred(focal: float, T_camera_world: Float[Tensor, "frames 4 4"], width: int, height: int) -> Cameras:
        """Cameras of one focal length in pixels, their optical axes in the middle of the image."""
        K = T_camera_world.new_tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        return Cameras(K.repeat(len(T_camera_world), 1, 1), T_camera_world, width, height)

    @staticmethod
    def cat(cameras: Sequence[Cameras]) -> Cameras:
        """The cameras one after the other.

        Raises:
            ValueError: their images are of different sizes.
        """
        sizes = sorted({(camera.width, camera.height) for camera in cameras})
        if len(sizes) != 1:
            raise ValueError(f"Cameras of different image sizes cannot be concatenated: {sizes}.")
        K, T = (torch.cat([getattr(camera, name) for camera in cameras]) for name in ("K", "T_camera_world"))
        return Cameras(K, T, *sizes[0])

    def to(self, device: torch.device | str) -> Cameras:
        """The same cameras on another device."""
        return replace(self, K=self.K.to(device), T_camera_world=self.T_camera_world.to(device))

    def resized(self, width: int, height: int) -> Cameras:
        """The same cameras for images scaled to `width` x `height`."""
        factor = self.K.new_tensor([width / self.width, height / self.height, 1.0])
        return replace(self, K=self.K * factor[:, None], width=width, height=height)

    def cropped(self, left: int, top: int, width: int, height: int) -> Cameras:
        """The same cameras for the crop whose upper left corner lies at pixel (left, top)."""
        K = self.K.clone()
        K[:, 0, 2] -= left
        K[:, 1, 2] -= top
        return replace(self, K=K, width=width, height=height)
