"""Optical flow: motion of the person's surface from one frame to the next.

Landmarks jitter; the texture of clothes and skin does not. The flow measures the motion of a surface point in the
image to a fraction of a pixel. It ties neighbouring poses to each other, not to the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from torch import Tensor

from avatar.body import Body
from avatar.body.parts import PARTS
from avatar.geometry import vertex_normals
from avatar.runtime.thread_map import map_in_threads
from avatar.tracking.kinematics import State
from avatar.tracking.silhouette import posed_vertices, reduced_size
from avatar.types import Observations

POINTS = 100  # on the whole surface
WORK_HEIGHT = 500  # of the person in the downscaled images, pixels
FACING = 0.3  # minimum cosine between the normal and the direction to the camera
MARGIN = 10  # downscaled pixels around the person
OUTSIDE = 5  # downscaled pixels outside the mask in which the rim of a fitted body may lie
LEAST_SIDE = 32  # pixels; smaller crops get no flow
BEHIND = 0.05  # a point this many metres behind the nearest surface is hidden
CELL = 4  # downscaled pixels per cell of the depth grid
BACK_AND_FORTH = 0.003  # maximum forward-backward error, in heights of the person
WINDOW = 9  # pixels around a point that must have texture
TEXTURE = 1e-5  # minimum eigenvalue of the structure tensor there (Shi and Tomasi 1994), grey in [0, 1]
EXCLUDED_PARTS = ("hands",)  # too thin for the flow


@dataclass(frozen=True)
class Flow:
    """Motion of surface points in the image.

    Attributes:
        vertices: of the body, the same at every instant.
        displacement: from each instant to the next, pixels.
        weight: 0 where a point is hidden, well outside the masks or without texture, or where forward and backward flow
            disagree.
    """

    vertices: Int[Tensor, " p"]
    displacement: Float[Tensor, "n1 p 2"]
    weight: Float[Tensor, "n1 p"]


@dataclass(frozen=True)
class FlowPair:
    """Optical flow between two neighbouring frames, in downscaled pixels, cropped to the person.

    Attributes:
        corner: of the crop, x and y; forward, backward: the flow.
        textured: where the first frame shows the person, with texture; person: where the second one shows them; both
            with a narrow rim around them.
    """

    corner: Float[np.ndarray, "2"]
    forward: Float[np.ndarray, "h w 2"]
    backward: Float[np.ndarray, "h w 2"]
    textured: Bool[np.ndarray, "h w 1"]
    person: Bool[np.ndarray, "h w 1"]


class FlowSampler:
    """Samples the flow between neighbouring frames, measured once, at the points of a fitted body."""

    def __init__(self, body: Body, observations: Observations, person_height: float) -> None:
        self.body = body
        self.height = person_height
        self.reduce, self.size = reduced_size(observations.width, observations.height, WORK_HEIGHT / person_height)
        self.centre = np.array([observations.width / 2, observations.height / 2])
        self.vertices = farthest_vertices(body, POINTS)
        # All that makes the normals of the points.
        self.faces_around = body.faces[torch.isin(body.faces, self.vertices).any(1)]
        self.observations = observations

    @cached_property
    def pairs(self) -> list[FlowPair]:
        """The flow between all neighbouring frames."""
        frames = map_in_threads(self._reduced, range(len(self.observations)))
        return list(map_in_threads(measure_flow, pairwise(frames)))

    def _reduced(self, index: int) -> tuple[UInt8[np.ndarray, "h w"], UInt8[np.ndarray, "h w"]]:
        """The grey image and the mask, where it is trusted, of a frame."""
        import cv2

        image, mask = self.observations.images[index], self.observations.masks[index]
        if self.observations.trust is not None:
            mask = np.where(self.observations.trust[index] > 0, mask, 0).astype(np.uint8)
        grey, mask = (
            cv2.resize(plane, self.size, interpolation=cv2.INTER_AREA)
            for plane in (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), mask)
        )
        return grey, mask

    def sample(self, state: State) -> Flow:
        """The flow at the visible points of the fitted body."""
        focal = float(state.camera[0].exp())
        visible_points = [self._visible(mesh, focal) for mesh in posed_vertices(self.body, state)]
        moved = np.zeros((len(state) - 1, POINTS, 2))
        weight = np.zeros((len(state) - 1, POINTS))
        for index, pair in enumerate(self.pairs):
            pixels, visible = visible_points[index][0] - pair.corner, visible_points[index][1]
            flow, inside = nearest_pixels(pair.forward, pixels)
            returned, inside_then = nearest_pixels(pair.backward, pixels + flow)
            missed = np.linalg.norm(flow + returned, axis=1)
            good = (
                visible
                & visible_points[index + 1][1]
                & inside
                & inside_then
                & (nearest_pixels(pair.textured, pixels)[0][:, 0] > 0)
                & (nearest_pixels(pair.person, pixels + flow)[0][:, 0] > 0)
            )
            good &= missed < BACK_AND_FORTH * self.height * self.reduce
            moved[index], weight[index] = flow / self.reduce, good
        return Flow(self.vertices, torch.from_numpy(moved), torch.from_numpy(weight))

    def _visible(
        self, mesh: Float[np.ndarray, "v 3"], focal: float
    ) -> tuple[Float[np.ndarray, "p 2"], Bool[np.ndarray, " p"]]:
        """Downscaled pixels of the points, and which points face the camera with nothing in front."""
        pixels = (focal * mesh[:, :2] / np.maximum(mesh[:, 2:], 0.1) + self.centre) * self.reduce
        return pixels[self.vertices.numpy()], visible_points(mesh, pixels, self.size, self.vertices, self.faces_around)


def visible_points(
    mesh: Float[np.ndarray, "v 3"],
    pixels: Float[np.ndarray, "v 2"],
    size: tuple[int, int],
    vertices: Int[Tensor, " p"],
    faces_around: Int[Tensor, "f 3"],
) -> Bool[np.ndarray, " p"]:
    """Which of some vertices face the camera with nothing in front.

    Args:
        mesh: all vertices in the camera's frame, metres; pixels: theirs in an image of `size`, width and height.
        faces_around: all faces that these vertices are part of.
    """
    depth = np.maximum(mesh[:, 2], 0.1)
    cells = (pixels / CELL).astype(int).clip(0, (np.array(size) - 1) // CELL)
    nearest = np.full((size[1] // CELL + 1, size[0] // CELL + 1), np.inf)
    np.minimum.at(nearest, (cells[:, 1], cells[:, 0]), depth)
    chosen = vertices.numpy()
    normals = vertex_normals(torch.from_numpy(mesh), faces_around).numpy()
    towards = -(normals[chosen] * mesh[chosen]).sum(1) / np.linalg.norm(mesh[chosen], axis=1)
    free = depth[chosen] < nearest[cells[chosen, 1], cells[chosen, 0]] + BEHIND
    visible: Bool[np.ndarray, " p"] = (towards > FACING) & free
    return visible


def measure_flow(frames: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> FlowPair:
    """The flow between two frames, each a grey image and a mask, in the area that the person covers in either."""
    import cv2

    (first, mask), (second, mask_then) = frames
    x, y, width, height = cv2.boundingRect(((mask | mask_then) > 127).astype(np.uint8))
    left, top = max(x - MARGIN, 0), max(y - MARGIN, 0)
    cut = slice(top, y + height + MARGIN), slice(left, x + width + MARGIN)
    first, second = first[cut].copy(), second[cut].copy()
    around = np.ones((2 * OUTSIDE + 1, 2 * OUTSIDE + 1), np.uint8)
    person, person_then = (cv2.dilate(plane[cut], around)[..., None] > 127 for plane in (mask, mask_then))
    if min(first.shape) < LEAST_SIDE:
        nothing, nowhere = np.zeros((1, 1, 2), np.float16), np.zeros((1, 1, 1), bool)
        return FlowPair(np.zeros(2), nothing, nothing, nowhere, nowhere)
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    still = np.zeros((*first.shape, 2), np.float32)
    forward, backward = dis.calc(first, second, still.copy()), dis.calc(second, first, still)
    textured = cv2.cornerMinEigenVal(first.astype(np.float32) / 255, WINDOW)[..., None] > TEXTURE
    corner = np.array([left, top], float)
    return FlowPair(corner, forward.astype(np.float16), backward.astype(np.float16), textured & person, person_then)


def farthest_vertices(body: Body, count: int) -> Int[Tensor, " p"]:
    """Vertices far from each other on the body at rest, without the fingers."""
    allowed = np.flatnonzero(~np.isin(body.parts.numpy(), [PARTS.index(name) for name in EXCLUDED_PARTS]))
    positions = body.template.numpy()[allowed]
    chosen = [0]
    distance = np.linalg.norm(positions - positions[0], axis=1)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(positions - positions[chosen[-1]], axis=1))
    return torch.from_numpy(allowed[chosen])


def nearest_pixels(
    values: Shaped[np.ndarray, "h w c"], pixels: Float[np.ndarray, "p 2"]
) -> tuple[Float[np.ndarray, "p c"], Bool[np.ndarray, " p"]]:
    """The values at the nearest pixels, and which pixels lie inside the image."""
    height, width = values.shape[:2]
    at = np.floor(pixels).astype(int)
    inside = (at >= 0).all(1) & (at < [width, height]).all(1)
    x, y = at.clip(0, [width - 1, height - 1]).T
    return values[y, x].astype(float), inside
