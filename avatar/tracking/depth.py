"""Measured depth: how far the person's surface is from the camera, as a phone's LiDAR measures it.

It gives what images of one camera do not: the size of the person, their distance and the depth of each limb. Clothes
lie before the body, so on clothed parts a body behind the measured surface is pulled less than one before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.body import Body
from avatar.body.parts import PARTS
from avatar.runtime.thread_map import map_in_threads
from avatar.tracking.kinematics import State
from avatar.tracking.optical_flow import farthest_vertices, nearest_pixels, visible_points
from avatar.tracking.silhouette import BARE, LOOSE, posed_vertices, reduced_size
from avatar.types import Observations

POINTS = 200  # on the whole surface
WORK_HEIGHT = 250  # of the person in the grid that tells which points are visible, pixels
EDGE = 0.12  # metres; a pixel whose neighbours differ by more may lie between the person and what is behind
INSIDE = 200  # of the mask, 0 to 255
FARTHEST = 0.6  # metres; what is measured so far from the body is something else
LEAST_MEASURED = 10  # points of a frame that tell the distance
MOST_RESIZED = 1.5  # factor on the assumed distance beyond which the depth is not the person's


@dataclass(frozen=True)
class DepthReadings:
    """Measured depth at points of the body's surface.

    Attributes:
        vertices: of the body, the same at every instant.
        depth: measured along the optical axis, metres.
        weight: 0 where a point is hidden or nothing was measured; less than 1 for a clothed point behind the surface.
    """

    vertices: Int[Tensor, " p"]
    depth: Float[Tensor, "n p"]
    weight: Float[Tensor, "n p"]

    @property
    def tells(self) -> Bool[Tensor, " n"]:
        """Whether enough was measured at an instant to tell where the person is."""
        return (self.weight > 0).sum(1) >= LEAST_MEASURED


class DepthSampler:
    """Reads the depth images of a clip at the visible points of a fitted body.

    Args:
        observations: with depth images; person_height: of the person in the images, pixels.
    """

    def __init__(self, body: Body, observations: Observations, person_height: float) -> None:
        assert observations.depth is not None
        self.body = body
        self.reduce, self.size = reduced_size(observations.width, observations.height, WORK_HEIGHT / person_height)
        self.centre = np.array([observations.width / 2, observations.height / 2])
        self.shape = np.array([observations.width, observations.height])
        self.vertices = farthest_vertices(body, POINTS)
        self.faces_around = body.faces[torch.isin(body.faces, self.vertices).any(1)]
        bare = np.isin(body.parts.numpy(), [PARTS.index(name) for name in BARE])[self.vertices.numpy()]
        self.behind = np.where(bare, 1.0, LOOSE)
        images, masks = observations.depth, observations.masks
        self.images = list(
            map_in_threads(lambda index: person_depth(images[index], masks[index]), range(len(observations)))
        )

    def read(self, state: State) -> DepthReadings:
        """The depth at the visible points of the fitted body."""
        focal = float(state.camera[0].exp())
        depth, weight = np.zeros((len(state), POINTS)), np.zeros((len(state), POINTS))
        for index, mesh in enumerate(posed_vertices(self.body, state)):
            pixels = (focal * mesh[:, :2] / np.maximum(mesh[:, 2:], 0.1) + self.centre) * self.reduce
            visible = visible_points(mesh, pixels, self.size, self.vertices, self.faces_around)
            image = self.images[index]
            chosen = self.vertices.numpy()
            places = pixels[chosen] / self.reduce / self.shape * image.shape[1::-1]
            values, inside = nearest_pixels(image[..., None], places)
            depth[index] = values[:, 0]
            gap = mesh[chosen, 2] - depth[index]
            good = visible & inside & (depth[index] > 0) & (np.abs(gap) < FARTHEST)
            weight[index] = good * np.where(gap > 0, self.behind, 1.0)
        return DepthReadings(self.vertices, torch.from_numpy(depth), torch.from_numpy(weight))

    def size_factor(self, state: State) -> float | None:
        """How much farther away, and so larger, the person is than this state has it; None where the depth is mute.

        The median over the frames of the median ratio of the measured to the body's depth.
        """
        ratios = []
        readings = self.read(state)
        for index, mesh in enumerate(posed_vertices(self.body, state)):
            if readings.tells[index]:
                measured = (readings.weight[index] > 0).numpy()
                own = mesh[self.vertices.numpy()[measured], 2]
                ratios.append(float(np.median(readings.depth[index].numpy()[measured] / own)))
        factor = float(np.median(ratios)) if ratios else 0.0
        return factor if 1 / MOST_RESIZED < factor < MOST_RESIZED else None


def person_depth(depth: Float[np.ndarray, "h w"], mask: np.ndarray) -> Float[np.ndarray, "h w"]:
    """The depth where it is surely the person's: inside the mask and not between two surfaces; 0 elsewhere."""
    import cv2

    size = depth.shape[1], depth.shape[0]
    inside = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) >= INSIDE
    kernel = np.ones((3, 3), np.uint8)
    even: Bool[np.ndarray, "h w"] = cv2.dilate(depth, kernel) - cv2.erode(depth, kernel) < EDGE
    return np.where(inside & even, depth, 0.0).astype(np.float32)
