"""Transfer of the photo's face into generated views, since generators get faces wrong.

A close-up of the face is one more frame of full weight. In generated views the pixels of the face are warped from the
photo through the depth of the fitted head where the photo shows them; what stays generated gets less weight the more
the view turns away from the photo (MVD-HuGaS, arXiv 2503.08218, also repairs faces by depth; it fits a face model,
this uses the fitted body).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.geometry import invert_rigid, project, transform
from avatar.io.images import read_image, to_float
from avatar.observation.photo import on_white
from avatar.types import Cameras, PosedImage

MARGIN = 0.35  # free border of the close-up, as a share of the head's height
SMALLEST_HEAD = 24  # px; below this a close-up shows no more detail
DEPTH_GAP = 0.02  # metres; a point this far behind the surface in the photo is hidden in the photo
STEEPEST = 0.35  # cosine between the surface and the photo's rays below which its colours are not transferred
LEAST_TRUST = 0.15


@dataclass(frozen=True)
class Surface:
    """What a camera sees of the fitted avatar.

    Attributes:
        depth: metres along the optical axis, 0 off the body; face: share of each pixel that is face.
        facing: cosine between the surface's normal and the direction to the photo's camera.
    """

    depth: Float[Tensor, "h w"]
    face: Float[Tensor, "h w"]
    facing: Float[Tensor, "h w"]


def close_up(path: Path, photo: PosedImage, head: Float[Tensor, "v 3"]) -> PosedImage | None:
    """The head in a photo, enlarged to the photo's size from the full resolution of the file, or None if it is tiny.

    Args:
        head: points of the fitted head in the world.
    """
    import cv2

    pixels, _depth = project(photo.camera.K[0], photo.camera.T_camera_world[0], head)
    low, high = pixels.amin(0), pixels.amax(0)
    tall = float(high[1] - low[1])
    width, height = photo.camera.width, photo.camera.height
    inside = float(low.min()) > 0 and float(high[0]) < width and float(high[1]) < height
    crop_height = max(tall * (1 + 2 * MARGIN), float(high[0] - low[0]) * (1 + MARGIN) * height / width)
    if tall < SMALLEST_HEAD or not inside or crop_height > height:
        return None
    h, w = round(crop_height), round(crop_height * width / height)
    left, top = (round(float(v)) for v in (low + high) / 2 - torch.tensor([w, h]) / 2)
    left, top = min(max(left, 0), width - w), min(max(top, 0), height - h)
    original, _alpha = on_white(read_image(path))
    scale = original.shape[1] / width
    rows = slice(round(top * scale), round((top + h) * scale))
    columns = slice(round(left * scale), round((left + w) * scale))
    image = cv2.resize(original[rows, columns], (width, height), interpolation=cv2.INTER_CUBIC)
    mask = cv2.resize(photo.mask[top : top + h, left : left + w], (width, height), interpolation=cv2.INTER_LINEAR)
    return PosedImage(image, mask, photo.camera.cropped(left, top, w, h).resized(width, height), name="the face")


def repaired(
    image: UInt8[np.ndarray, "h w 3"],
    camera: Cameras,
    surface: Surface,
    photo: PosedImage,
    photo_depth: Float[Tensor, "h w"],
    azimuth: float,
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """A generated view with the photo's face warped in, and the trust in each of its pixels, 0 to 255.

    Args:
        surface: what the view's camera sees of the avatar; photo_depth: what the photo's camera sees, metres.
        azimuth: degrees between the view and the photo.
    """
    colors, visible = warped(surface.depth, camera, photo, photo_depth)
    strength = surface.face * visible * ((surface.facing - STEEPEST) / (0.8 - STEEPEST)).clamp(0, 1)
    blended = torch.from_numpy(image).float() * (1 - strength[..., None]) + 255 * colors * strength[..., None]
    generated = max(LEAST_TRUST, float(np.cos(np.radians(min(abs(azimuth), 90.0)))))
    trust = 1 - surface.face * (1 - torch.maximum(strength, torch.full_like(strength, generated)))
    return blended.round().clamp(0, 255).byte().numpy(), (255 * trust).round().clamp(0, 255).byte().numpy()


def warped(
    depth: Float[Tensor, "h w"], camera: Cameras, photo: PosedImage, photo_depth: Float[Tensor, "h w"]
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
    """For each pixel of a view the photo's colour of the same surface point, and 1 where the photo shows it, else 0."""
    h, w = depth.shape
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    rays = torch.stack([x, y, torch.ones_like(x)], -1) @ torch.linalg.inv(camera.K[0]).T
    points = transform(invert_rigid(camera.T_camera_world[0]), (rays * depth[..., None]).reshape(-1, 3))
    pixels, far = project(photo.camera.K[0], photo.camera.T_camera_world[0], points)
    grid = (pixels / pixels.new_tensor([photo.camera.width, photo.camera.height]) * 2 - 1).view(1, h, w, 2)
    layers = torch.cat(
        [to_float(photo.image), to_float(photo.mask)[..., None],
         photo_depth[..., None]], -1
    )  # fmt: skip
    sampled = F.grid_sample(layers.permute(2, 0, 1)[None], grid, align_corners=False)[0].permute(1, 2, 0)
    visible = (depth > 0) & (sampled[..., 3] > 0.9) & (far.view(h, w) < sampled[..., 4] + DEPTH_GAP)
    return sampled[..., :3], visible.float()
