"""The distortion of a lens taken out of the images, the masks and the landmarks found in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.io.camera_motion_file import Distortion
from avatar.types import ImageList, Masks, Observations

VISIBLE = 1.0  # pixels by which a distortion moves the corner of an image; a smaller one is left in


def displacement(K: Float[Tensor, "3 3"], distortion: Distortion) -> float:
    """How far a distortion moves the upper left corner of the image, pixels.

    Args:
        distortion: k1, k2, p1, p2 of Brown's model (1966), as OpenCV and COLMAP define them.
    """
    corner = -K[:2, 2] / K[[0, 1], [0, 1]]
    square = float(corner.square().sum())
    x, y = corner.tolist()
    k1, k2, p1, p2 = distortion
    radial = k1 * square + k2 * square**2
    dx = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)
    dy = y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y
    return float(np.hypot(dx * float(K[0, 0]), dy * float(K[1, 1])))


def undistorted(observations: Observations, K: Float[Tensor, "3 3"], distortion: Distortion) -> Observations:
    """What a pinhole camera of the same intrinsics would show; where it sees more, images repeat their border.

    Args:
        K: of the frames; distortion: see `displacement`.
    """
    import cv2

    # OpenCV counts pixel centres from 0, we count them from 0.5.
    matrix, coefficients = K.double().numpy().copy(), np.array(distortion)
    matrix[:2, 2] -= 0.5
    size = observations.width, observations.height
    x, y = cv2.initUndistortRectifyMap(matrix, coefficients, None, matrix, size, cv2.CV_32FC1)

    def mapped(images: Masks, border: int) -> ImageList:
        def read(index: int) -> np.ndarray:
            return cv2.remap(images[index], x, y, cv2.INTER_LINEAR, borderMode=border)

        return ImageList(len(images), read)

    def labels(images: ImageList) -> ImageList:
        def read(index: int) -> np.ndarray:
            image = cv2.resize(images[index], size, interpolation=cv2.INTER_NEAREST)
            return cv2.remap(image, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)

        return ImageList(len(images), read)

    def points(values: Float[Tensor, "*n 3"] | None) -> Float[Tensor, "*n 3"] | None:
        if values is None or not values.numel():
            return values
        flat = values[..., :2].reshape(-1, 1, 2).double().numpy() - 0.5
        straight = cv2.undistortPoints(flat, matrix, coefficients, P=matrix)[:, 0] + 0.5
        places = torch.from_numpy(straight).to(values.dtype).view(*values.shape[:-1], 2)
        return torch.cat([places, values[..., 2:]], -1)

    keypoints = points(observations.keypoints)
    assert keypoints is not None
    return replace(
        observations,
        images=mapped(observations.images, cv2.BORDER_REPLICATE),
        masks=mapped(observations.masks, cv2.BORDER_CONSTANT),
        trust=None if observations.trust is None else mapped(observations.trust, cv2.BORDER_CONSTANT),
        iuv=None if observations.iuv is None else labels(observations.iuv),
        keypoints=keypoints,
        hands=points(observations.hands),
        face=points(observations.face),
    )
