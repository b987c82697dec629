"""Where the views were taken from, as cameras: told by their angles, placed by the body that they show."""

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
from avatar.types import Cameras

ROUNDS = 8


def camera_angles(T_camera_world: Float[Tensor, "4 4"], centre: Float[Tensor, " 3"]) -> tuple[float, float]:
    """Azimuth (0 in front of +Z, 90 towards +X) and elevation, in degrees, of a camera seen from `centre`."""
    x, y, z = (invert_rigid(T_camera_world)[:3, 3] - centre).tolist()
    return math.degrees(math.atan2(x, z)), math.degrees(math.atan2(y, math.hypot(x, z)))


def place_view(view: View, vertices: Float[Tensor, "v 3"], T_photo_world: Float[Tensor, "4 4"]) -> Cameras:
    """The camera of a view: turned as its angles say, and so far away and aside that the body fills its mask.

    Args:
        vertices: the fitted body, in the pose of the photo; T_photo_world: the photo's camera.

    Returns:
        One camera, for the view's own picture.
    """
    height, width = view.mask.shape
    K = intrinsics(width, height, view.fov)
    centre = (vertices.amin(0) + vertices.amax(0)) / 2
    turn = math.radians(camera_angles(T_photo_world, centre)[0] + view.azimuth)
    tilt = math.radians(view.elevation)
    away = torch.tensor([math.sin(turn) * math.cos(tilt), math.sin(tilt), math.cos(turn) * math.cos(tilt)])
    low, high = _box(view.mask, view.name)
    tall = float(vertices[:, 1].amax() - vertices[:, 1].amin())
    distance = float(K[0, 0]) * tall / float(high[1] - low[1])
    T = look_at(centre + distance * away, centre)
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
        raise AvatarError(f"{name}: the picture shows nobody.")
    return torch.tensor([columns[0], rows[0]]).float(), torch.tensor([columns[-1] + 1, rows[-1] + 1]).float()


def on_canvas(
    view: View, camera: Cameras, width: int, height: int
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"], Cameras]:
    """A view's picture, mask and camera on a canvas of another size, as large as it fits, centred on white."""
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
