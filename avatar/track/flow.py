"""The picture itself: how the person's surface moves from one frame to the next, by optical flow.

Landmarks jitter; the texture of clothes and skin does not. The flow says how far a point of the surface moves in the
picture, to a fraction of a pixel, and ties neighbouring poses to each other, not to the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from avatar.body import Body
from avatar.body.parts import PARTS
from avatar.gaussians import vertex_normals
from avatar.metrics import person_box
from avatar.track.kinematics import State
from avatar.track.silhouette import posed_vertices
from avatar.types import Observations

POINTS = 120  # on the whole surface
WORK_HEIGHT = 500  # of the person in the reduced pictures, pixels
FACING = 0.3  # least cosine between the normal and the direction to the camera
MARGIN = 10  # reduced pixels around the person
BEHIND = 0.05  # metres by which a point must lie behind the nearest surface to count as hidden
CELL = 4  # pixels of the reduced picture: the grid on which the nearest surface is kept
BACK_AND_FORTH = 0.003  # what the flow there and back may miss by, in heights of the person
WINDOW = 9  # pixels in which a point must have texture
TEXTURE = 1e-5  # least eigenvalue of the structure tensor there (Shi and Tomasi 1994), grey in [0, 1]
LEFT_OUT = ("hands",)  # too thin for the flow


@dataclass(frozen=True)
class Flow:
    """Movement of some surface points in the picture.

    Attributes:
        vertices: of the body, the same at every instant.
        moved: from each instant to the next, pixels.
        weight: 0 where a point is hidden or the flow disagrees with itself.
    """

    vertices: Int[Tensor, " p"]
    moved: Float[Tensor, "n1 p 2"]
    weight: Float[Tensor, "n1 p"]


class FlowMeter:
    """Reads the flow between the neighbouring frames of a clip, measured once, at the points of a fitted body."""

    def __init__(self, body: Body, observations: Observations, person_height: float) -> None:
        self.body = body
        self.height = person_height
        self.reduce = min(1.0, WORK_HEIGHT / person_height)
        self.size = (
            max(1, round(observations.width * self.reduce)),
            max(1, round(observations.height * self.reduce)),
        )
        self.centre = np.array([observations.width / 2, observations.height / 2])
        self.vertices = spread_vertices(body, POINTS)
        self.observations = observations

    @cached_property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the reduced pictures in which the person ever is: all that has to be kept."""
        import cv2

        ever = np.zeros(self.size[::-1], np.uint8)
        for index in range(len(self.observations)):
            ever |= cv2.resize(self.observations.masks[index], self.size, interpolation=cv2.INTER_AREA)
        return person_box(torch.from_numpy(ever).float() / 255, MARGIN) or (slice(0), slice(0))

    @cached_property
    def pairs(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Of neighbouring frames the flow there and back, reduced pixels, and where the first has texture."""
        import cv2

        meter = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        pairs, last = [], None
        for index in range(len(self.observations)):
            small = cv2.resize(self.observations.images[index], self.size, interpolation=cv2.INTER_AREA)
            grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)[self.box].copy()
            if last is not None and grey.size:
                still = np.zeros((*grey.shape, 2), np.float32)
                there, back = meter.calc(last, grey, still.copy()), meter.calc(grey, last, still)
                clear = cv2.cornerMinEigenVal(last.astype(np.float32) / 255, WINDOW) > TEXTURE
                pairs.append((there.astype(np.float16), back.astype(np.float16), clear[..., None]))
            last = grey
        return pairs

    def read(self, state: State) -> Flow:
        """The flow at the visible points of the fitted body."""
        focal = float(state.view[0].exp())
        corner = np.array([self.box[1].start, self.box[0].start])
        seen = [self._visible(mesh, focal) for mesh in posed_vertices(self.body, state)]
        moved = np.zeros((len(state) - 1, POINTS, 2))
        weight = np.zeros((len(state) - 1, POINTS))
        for index, (there, back, clear) in enumerate(self.pairs):
            pixels, visible = seen[index][0] - corner, seen[index][1]
            flow, known = sampled(there, pixels)
            returned, known_then = sampled(back, pixels + flow)
            missed = np.linalg.norm(flow + returned, axis=1)
            good = visible & seen[index + 1][1] & known & known_then & (sampled(clear, pixels)[0][:, 0] > 0)
            good &= missed < BACK_AND_FORTH * self.height * self.reduce
            moved[index], weight[index] = flow / self.reduce, good
        return Flow(self.vertices, torch.from_numpy(moved), torch.from_numpy(weight))

    def _visible(
        self, mesh: Float[np.ndarray, "v 3"], focal: float
    ) -> tuple[Float[np.ndarray, "p 2"], Bool[np.ndarray, " p"]]:
        """Reduced pixels of the points, and which of them face the camera with nothing in front."""
        depth = np.maximum(mesh[:, 2], 0.1)
        pixels = (focal * mesh[:, :2] / depth[:, None] + self.centre) * self.reduce
        cells = (pixels / CELL).astype(int).clip(0, (np.array(self.size) - 1) // CELL)
        nearest = np.full((self.size[1] // CELL + 1, self.size[0] // CELL + 1), np.inf)
        np.minimum.at(nearest, (cells[:, 1], cells[:, 0]), depth)
        normals = vertex_normals(torch.from_numpy(mesh), self.body.faces).numpy()
        chosen = self.vertices.numpy()
        towards = -(normals[chosen] * mesh[chosen]).sum(1) / np.linalg.norm(mesh[chosen], axis=1)
        free = depth[chosen] < nearest[cells[chosen, 1], cells[chosen, 0]] + BEHIND
        return pixels[chosen], (towards > FACING) & free


def spread_vertices(body: Body, count: int) -> Int[Tensor, " p"]:
    """Vertices far from each other on the body at rest, the fingers left out."""
    allowed = np.flatnonzero(~np.isin(body.parts.numpy(), [PARTS.index(name) for name in LEFT_OUT]))
    places = body.template.numpy()[allowed]
    chosen = [0]
    distance = np.linalg.norm(places - places[0], axis=1)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return torch.from_numpy(allowed[chosen])


def sampled(
    picture: Shaped[np.ndarray, "h w c"], pixels: Float[np.ndarray, "p 2"]
) -> tuple[Float[np.ndarray, "p c"], Bool[np.ndarray, " p"]]:
    """The values at the nearest pixels, and which of them lie in the picture."""
    height, width = picture.shape[:2]
    at = np.floor(pixels).astype(int)
    inside = (at >= 0).all(1) & (at < [width, height]).all(1)
    x, y = at.clip(0, [width - 1, height - 1]).T
    return picture[y, x].astype(float), inside
