"""Cameras of generated views: directed by the angles of the view, placed by the silhouette of the fitted body."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.errors import AvatarError
from avatar.geometry import invert_rigid, project
from avatar.novel_views.generator import View
from avatar.rendering.camera_paths import intrinsics, look_at
from avatar.types import Cameras, PosedImage

ROUNDS = 8
NEAREST_TRUST, FARTHEST_TRUST = 0.9, 0.5  # of a view beside the photo, and of one opposite to it


def camera_angles(T_camera_world: Float[Tensor, "4 4"], center: Float[Tensor, " 3"]) -> tuple[float, float]:
    """Azimuth (0 in front of +Z, 90 towards +X) and elevation, in degrees, of a camera relative to `center`."""
    x, y, z = (invert_rigid(T_camera_world)[:3, 3] - center).tolist()
    return math.degrees(math.atan2(x, z)), math.degrees(math.atan2(y, math.hypot(x, z)))


def box_center(vertices: Float[Tensor, "v 3"]) -> Float[Tensor, " 3"]:
    """Centre of the bounding box of points."""
    return (vertices.amin(0) + vertices.amax(0)) / 2


def placed_image(view: View, vertices: Float[Tensor, "v 3"], photo: Cameras) -> PosedImage:
    """A view as an image of the photo's size, weighted by its confidence and its distance from the photo.

    Args:
        vertices: the fitted body, in the pose of the photo; photo: the photo's camera.
    """
    camera = place_view(view, vertices, photo.T_camera_world[0])
    image, mask, camera = on_canvas(view, camera, photo.width, photo.height)
    share_of_half_turn = abs((view.azimuth + 180) % 360 - 180) / 180
    trust = NEAREST_TRUST + (FARTHEST_TRUST - NEAREST_TRUST) * share_of_half_turn
    return PosedImage(image, mask, camera, weight=view.confidence * trust, name=view.name)


def place_view(view: View, vertices: Float[Tensor, "v 3"], T_photo_world: Float[Tensor, "4 4"]) -> Cameras:
    """The camera of a view: rotated by its angles, at the distance and offset at which the body fills the mask.

    Args:
        vertices: the fitted body, in the pose of the photo; T_photo_world: the photo's camera.

    Returns:
        One camera, for the view's own image.
    """
    height, width = view.mask.shape
    K = intrinsics(width, height, view.fov)
    center = box_center(vertices)
    yaw = math.radians(camera_angles(T_photo_world, center)[0] + view.azimuth)
    pitch = math.radians(view.elevation)
    away = torch.tensor([math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)])
    low, high = _box(view.mask, view.name)
    tall = float(vertices[:, 1].amax() - vertices[:, 1].amin())
    distance = float(K[0, 0]) * tall / float(high[1] - low[1])
    T = look_at(center + distance * away, center)
    for _ in range(ROUNDS):
        pixels, _depth = project(K, T, vertices)
        body_low, body_high = pixels.amin(0), pixels.amax(0)
        T[2, 3] *= float((body_high - body_low)[1] / (high - low)[1])
        T[:2, 3] += ((high + low) - (body_high + body_low)) / 2 * T[2, 3] / K[0, 0]
    return Cameras(K[None], T[None], width, height)


def _box(mask: UInt8[np.ndarray, "h w"], name: str) -> tuple[Float[Tensor, " 2"], Float[Tensor, " 2"]]:
    """Upper left and lower right corner of a silhouette, pixels."""
    rows, columns = np.flatnonzero((mask > 127).any(1)), np.flatnonzero((mask > 127).any(0))
    if not len(rows):
        raise AvatarError(f"{name}: the image shows nobody.")
    return torch.tensor([columns[0], rows[0]]).float(), torch.tensor([columns[-1] + 1, rows[-1] + 1]).float()


def on_canvas(
    view: View, camera: Cameras, width: int, height: int
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"], Cameras]:
    """The image, mask and camera of a view on a white canvas of another size, centred and as large as it fits."""
    import cv2

    scale = min(width / camera.width, height / camera.height)
    size = (min(round(camera.width * scale), width), min(round(camera.height * scale), height))
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    image = np.full((height, width, 3), 255, np.uint8)
    mask = np.zeros((height, width), np.uint8)
    region = slice(top, top + size[1]), slice(left, left + size[0])
    image[region] = cv2.resize(view.image, size, interpolation=how)
    mask[region] = cv2.resize(view.mask, size, interpolation=how)
    return image, mask, camera.resized(*size).cropped(-left, -top, width, height)
