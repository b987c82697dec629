"""Silhouettes: match points on the body's outline with the contour of the mask.

As in iterative closest point, the pairs are matched every few steps and fixed in between. A pair pulls along the
contour's normal only, so points may slide along it. Clothes lie outside the body: on clothed parts, a body inside the
mask is pulled less than one that sticks out (after DSR, Dwivedi et al. 2021).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.body import Body
from avatar.body.parts import PARTS
from avatar.body.skinning import skin, skinning_transforms
from avatar.runtime.thread_map import map_in_threads
from avatar.tracking.kinematics import State
from avatar.types import BodyPose, Masks

SAMPLES = 100  # contour points per frame
WORK_HEIGHT = 320  # of the person in the downscaled images, pixels: finer than the masks are accurate
NORMAL_REACH = 0.06  # a fully turned normal counts like this distance, in heights of the person
FARTHEST = 0.06  # no pairs beyond this distance, in heights of the person
LOOSE = 0.35  # weight of clothed points that lie inside the mask, since clothes are outside the body
BARE = ("face", "hands")


@dataclass(frozen=True)
class SilhouetteMatches:
    """Pairs of surface points and points on the silhouette's contour.

    Attributes:
        vertices: the body's vertices.
        data: pixel from the principal point, outward normal.
        weight: 0 where there is no pair.
    """

    vertices: Int[Tensor, "n m"]
    data: Float[Tensor, "n m 4"]
    weight: Float[Tensor, "n m"]


class SilhouetteMatcher:
    """Matches a fitted body with the silhouettes of a clip.

    Args:
        masks: of the person; trust: 0 in pixels where something hides them, or None: there no contour is the person's.
    """

    def __init__(
        self, body: Body, masks: Masks, width: int, height: int, person_height: float, trust: Masks | None = None
    ) -> None:
        import cv2

        self.body = body
        self.person_height = person_height
        self.reduce, self.size = reduced_size(width, height, WORK_HEIGHT / person_height)
        self.centre = np.array([width / 2, height / 2])

        def hidden_pixels(index: int) -> np.ndarray | None:
            if trust is None or not (hidden := (trust[index] == 0).astype(np.uint8)).any():
                return None
            return (
                cv2.dilate(cv2.resize(hidden, self.size, interpolation=cv2.INTER_AREA), np.ones((5, 5), np.uint8)) > 0
            )

        def contour(index: int) -> np.ndarray:
            lines = _outline(cv2.resize(masks[index], self.size, interpolation=cv2.INTER_AREA), self.size)
            hidden = self.hidden[index]
            return lines if hidden is None else lines[~_at(hidden, lines[:, :2])]

        self.hidden = list(map_in_threads(hidden_pixels, range(len(masks))))
        self.contours = list(map_in_threads(contour, range(len(masks))))
        self.faces = body.faces.numpy().astype(np.int32)
        self.bare = np.isin(body.parts.numpy(), [PARTS.index(name) for name in BARE])
        self.legs = body.parts.numpy() == PARTS.index("legs")

    def match(self, state: State, legs: float = LOOSE) -> SilhouetteMatches:
        """Match the body's outline with the silhouette at every instant.

        Args:
            legs: weight of the legs' points that lie inside the mask.
        """
        inside = np.where(self.bare, 1.0, np.where(self.legs, legs, LOOSE))
        focal = float(state.camera[0].exp())
        vertices = np.zeros((len(state), SAMPLES), np.int64)
        data = np.zeros((len(state), SAMPLES, 4))
        weight = np.zeros((len(state), SAMPLES))
        posed = posed_vertices(self.body, state)
        pixels = focal * posed[..., :2] / np.maximum(posed[..., 2:], 0.1)
        pairs = map_in_threads(
            lambda index: self._pair_one(pixels[index], self.contours[index], inside, self.hidden[index]),
            range(len(state)),
        )
        for index, (chosen, place, trust) in enumerate(pairs):
            count = len(chosen)
            vertices[index, :count], data[index, :count], weight[index, :count] = chosen, place, trust
        return SilhouetteMatches(torch.from_numpy(vertices), torch.from_numpy(data), torch.from_numpy(weight))

    def _pair_one(
        self,
        pixels: Float[np.ndarray, "v 2"],
        contour: Float[np.ndarray, "p 4"],
        inside: Float[np.ndarray, " v"],
        hidden: Bool[np.ndarray, "h w"] | None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vertices on the outline of one posed body, their places and weights: `inside` where they lie in the mask."""
        from scipy.spatial import cKDTree

        small = (pixels + self.centre) * self.reduce
        rim = _outline(filled_mesh(small, self.faces, self.size), self.size)
        if len(rim) < SAMPLES or len(contour) < SAMPLES:
            return np.zeros(0, int), np.zeros((0, 4)), np.zeros(0)
        rim = rim[np.linspace(0, len(rim) - 1, SAMPLES).astype(int)]
        near, vertex = cKDTree(small).query(rim[:, :2])
        reach = NORMAL_REACH * self.person_height * self.reduce
        scale = np.array([1, 1, reach / 2, reach / 2])
        _, match = cKDTree(contour * scale).query(rim * scale)
        target = contour[match]
        gap = ((small[vertex] - target[:, :2]) * target[:, 2:]).sum(1)
        apart = np.linalg.norm(small[vertex] - target[:, :2], axis=1)
        agree = (target[:, 2:] * rim[:, 2:]).sum(1) > 0.5
        good = agree & (apart < FARTHEST * self.person_height * self.reduce) & (near < 5)
        if hidden is not None:
            good &= ~_at(hidden, small[vertex])
        trust = good * np.where(gap < 0, inside[vertex], 1.0)
        place = np.concatenate([target[:, :2] / self.reduce - self.centre, target[:, 2:]], 1)
        return vertex, place, trust


def _at(image: Bool[np.ndarray, "h w"], pixels: Float[np.ndarray, "p 2"]) -> Bool[np.ndarray, " p"]:
    """The values at some pixels, those outside at the border."""
    x, y = pixels.astype(int).clip(0, np.array(image.shape[::-1]) - 1).T
    values: np.ndarray = image[y, x]
    return values


def reduced_size(width: int, height: int, factor: float) -> tuple[float, tuple[int, int]]:
    """The scale of the reduced image (at most 1), and its width and height."""
    factor = min(1.0, factor)
    return factor, (max(1, round(width * factor)), max(1, round(height * factor)))


def posed_vertices(body: Body, state: State) -> Float[np.ndarray, "n v 3"]:
    """All vertices in the frame of each instant's camera."""
    rest = body.rest(state.betas.float())
    pose = BodyPose(state.position.float(), state.rotations.float())
    vertices = skin(rest.vertices, body.weights, skinning_transforms(rest.joints, body.parents, pose))
    if state.path is not None:
        vertices = vertices @ state.path.rotations.float().mT + state.path_translations.float()[:, None]
    return vertices.numpy()


def _fill(corners: np.ndarray, mask: np.ndarray) -> None:
    """Set the pixels whose centres lie in any of the triangles (k, 3, 2) to 255; compiled by `_filler`."""
    height, width = mask.shape
    for k in range(corners.shape[0]):
        a, b, c = corners[k, 0], corners[k, 1], corners[k, 2]
        top, bottom = min(a[1], b[1], c[1]), max(a[1], b[1], c[1])
        left, right = min(a[0], b[0], c[0]), max(a[0], b[0], c[0])
        for y in range(max(0, int(top - 0.5)), min(height, int(bottom + 0.5) + 1)):
            for x in range(max(0, int(left - 0.5)), min(width, int(right + 0.5) + 1)):
                px, py = x + 0.5, y + 0.5
                u = (b[0] - a[0]) * (py - a[1]) - (b[1] - a[1]) * (px - a[0])
                v = (c[0] - b[0]) * (py - b[1]) - (c[1] - b[1]) * (px - b[0])
                w = (a[0] - c[0]) * (py - c[1]) - (a[1] - c[1]) * (px - c[0])
                if (u >= 0 and v >= 0 and w >= 0) or (u <= 0 and v <= 0 and w <= 0):
                    mask[y, x] = 255


@cache
def _filler() -> Callable[[np.ndarray, np.ndarray], None]:
    """`_fill`, compiled; unwrapped first, since the shape checker's wrapper cannot be."""
    import numba

    return numba.njit(cache=True, nogil=True)(inspect.unwrap(_fill))


def filled_mesh(pixels: Float[np.ndarray, "v 2"], faces: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The mask of a projected mesh, 0 or 255."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    _filler()(pixels[faces].astype(np.float32), mask)
    return mask


def _outline(mask: np.ndarray, size: tuple[int, int]) -> Float[np.ndarray, "p 4"]:
    """Pixels on the outline of a mask with their outward normals, without pixels on the image border."""
    import cv2

    lines, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    lines = [line for line in lines if len(line) > 20]
    if not lines:
        return np.zeros((0, 4))
    points = np.concatenate(lines)[:, 0]
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2.0)
    slope = -np.stack([cv2.Sobel(soft, -1, 1, 0), cv2.Sobel(soft, -1, 0, 1)], -1)[points[:, 1], points[:, 0]]
    length = np.linalg.norm(slope, axis=1)
    inside = (points > 1).all(1) & (points < np.array(size) - 2).all(1) & (length > 1e-3)
    # Contours run through the centres of the outermost pixels; the outline lies half a pixel further out.
    normal = slope[inside] / length[inside, None]
    return np.concatenate([points[inside] + 0.5 + 0.5 * normal, normal], 1)
