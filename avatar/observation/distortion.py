"""The distortion of a lens taken out of the images, their masks and depth, and the landmarks found in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.io.lens_distortion import Distortion
from avatar.types import ImageList, Masks, Observations

VISIBLE = 1.0  # pixels by which a distortion moves the corner of an image; a smaller one is left in


def displacement(K: Float[Tensor, "3 3"], distortion: Distortion) -> float:
    """How far a distortion moves the upper left corner of the image, pixels.

    Args:
        distortion: see `avatar.io.lens_distortion`.
    """
    import cv2

    corner = np.append(-(K[:2, 2] / K[[0, 1], [0, 1]]).double().numpy(), 1.0)
    origin = np.zeros(3)
    moved, _ = cv2.projectPoints(corner, origin, origin, K.double().numpy(), np.array(distortion))
    return float(np.hypot(*moved.ravel()))


def undistorted(observations: Observations, K: Float[Tensor, "3 3"], distortion: Distortion) -> Observations:
    """What a pinhole camera of the same intrinsics would show; where it sees more, images repeat their border.

    Args:
        K: of the frames; distortion: see `avatar.io.lens_distortion`.
    """
    import cv2

    lens = _Lens(K.double().numpy(), np.array(distortion), (observations.width, observations.height))
    smooth, nearest = partial(lens.images, cv2.INTER_LINEAR), partial(lens.images, cv2.INTER_NEAREST)
    keypoints = lens.points(observations.keypoints)
    assert keypoints is not None
    return replace(
        observations,
        images=smooth(cv2.BORDER_REPLICATE, observations.images),
        masks=smooth(cv2.BORDER_CONSTANT, observations.masks),
        trust=None if observations.trust is None else smooth(cv2.BORDER_CONSTANT, observations.trust),
        iuv=None if observations.iuv is None else nearest(cv2.BORDER_CONSTANT, observations.iuv),
        depth=None if observations.depth is None else nearest(cv2.BORDER_CONSTANT, observations.depth),
        keypoints=keypoints,
        hands=lens.points(observations.hands),
        face=lens.points(observations.face),
    )


@dataclass(frozen=True)
class _Lens:
    """The lens of frames of `size` pixels; it also straightens images of those frames at other resolutions."""

    K: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, " n"]
    size: tuple[int, int]

    def images(self, interpolation: int, border: int, images: Masks) -> ImageList:
        """Straightened images; OpenCV's `border` says what stands where the lens saw nothing."""
        import cv2

        maps = cache(self._maps)

        def read(index: int) -> np.ndarray:
            image: np.ndarray = images[index]
            return cv2.remap(image, *maps(image.shape[1], image.shape[0]), interpolation, borderMode=border)

        return ImageList(len(images), read)

    def points(self, values: Float[Tensor, "*n 3"] | None) -> Float[Tensor, "*n 3"] | None:
        """Straightened points in pixels of the frames, each with its confidence."""
        import cv2

        if values is None or not values.numel():
            return values
        matrix = self._matrix(*self.size)
        flat = values[..., :2].reshape(-1, 1, 2).double().numpy() - 0.5
        straight = cv2.undistortPoints(flat, matrix, self.distortion, P=matrix)[:, 0] + 0.5
        places = torch.from_numpy(straight).to(values.dtype).view(*values.shape[:-1], 2)
        return torch.cat([places, values[..., 2:]], -1)

    def _maps(self, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Where each pixel of a straight image of such a size stands in the one that the lens made."""
        import cv2

        matrix = self._matrix(width, height)
        x, y = cv2.initUndistortRectifyMap(matrix, self.distortion, None, matrix, (width, height), cv2.CV_32FC1)
        return x, y

    def _matrix(self, width: int, height: int) -> Float[np.ndarray, "3 3"]:
        """K for images of such a size, in OpenCV's pixels, whose centres lie at whole numbers and ours at +0.5."""
        matrix = self.K.copy()
        matrix[:2] *= np.array([[width / self.size[0]], [height / self.size[1]]])
        matrix[:2, 2] -= 0.5
        return matrix
