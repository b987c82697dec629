"""A smooth displacement of the surface along its normals, given by the heights of a few control points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

CONTROLS = 200
NEAREST = 12  # control points that move a point of the surface
AREA = 1.8  # m^2, of a body: the spacing of the control points follows from it
SMOOTHNESS = 0.002  # m, standard deviation of a height from the mean of its neighbours'
HEIGHT = 0.008  # m, standard deviation of a height
NEIGHBOURS = 5
SAME_SIDE = 0.2  # minimum cosine between the normals of neighbours: front and back of a hand are none


@dataclass(frozen=True)
class SurfaceField:
    """Weights of the control points at p points of the surface.

    Attributes:
        index, weights: the control points that move each point; their weights sum to 1.
        laplacian: takes heights to their difference from the mean of the neighbours'.
    """

    index: Int[Tensor, "p k"]
    weights: Float[Tensor, "p k"]
    laplacian: Float[Tensor, "c c"]

    @staticmethod
    def of(points: Float[Tensor, "p 3"], normals: Float[Tensor, "p 3"]) -> SurfaceField:
        """The field at points of the body at rest, controlled by some of them that lie far from each other."""
        from scipy.spatial import cKDTree

        places, directions = (values.detach().cpu().double().numpy() for values in (points, normals))
        chosen = farthest_points(places, min(CONTROLS, len(places)))
        controls, outward = places[chosen], directions[chosen]
        tree = cKDTree(controls)
        distance, index = tree.query(places, k=min(NEAREST, len(chosen)))
        same = np.einsum("pa,pka->pk", directions, outward[index]).clip(0, 1)
        spacing = 0.8 * np.sqrt(AREA / len(chosen))
        weights = np.exp(-0.5 * (distance / spacing) ** 2) * same**2 + 1e-12
        weights /= weights.sum(1, keepdims=True)
        return SurfaceField(torch.from_numpy(index), torch.from_numpy(weights), _laplacian(tree, outward))

    @property
    def controls(self) -> int:
        """Number of control points."""
        return len(self.laplacian)

    def __getitem__(self, rows: Int[Tensor, " r"]) -> SurfaceField:
        """The field at some of the points."""
        return SurfaceField(self.index[rows], self.weights[rows], self.laplacian)

    def displacement(self, heights: Float[Tensor, " c"]) -> Float[Tensor, " p"]:
        """Displacement of the points along their normals, metres, for heights of the control points."""
        return (self.weights * heights[self.index]).sum(1)

    def dense(self) -> Float[Tensor, "p c"]:
        """The weights of all control points: the derivative of `displacement`."""
        return self.weights.new_zeros(len(self.weights), self.controls).scatter(1, self.index, self.weights)

    def prior(self, heights: Float[Tensor, " c"]) -> tuple[Float[Tensor, " m"], Float[Tensor, "m c"]]:
        """Residuals of the prior, in units of their standard deviations, and their derivative by the heights."""
        slope = torch.cat([self.laplacian / SMOOTHNESS, torch.eye(self.controls).to(heights) / HEIGHT])
        return slope @ heights, slope


def farthest_points(points: Float[np.ndarray, "p 3"], count: int) -> Int[np.ndarray, " c"]:
    """Indices of points far from each other, each the farthest from those before it."""
    chosen = np.zeros(count, np.int64)
    distance = np.linalg.norm(points - points[0], axis=1)
    for k in range(1, count):
        chosen[k] = distance.argmax()
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[k]], axis=1))
    return chosen


def _laplacian(tree: object, outward: Float[np.ndarray, "c 3"]) -> Float[Tensor, "c c"]:
    """Each control point minus the mean of its neighbours on the same side of the body."""
    controls = tree.data  # type: ignore[attr-defined]  # scipy has no stubs
    _, around = tree.query(controls, k=min(NEIGHBOURS + 1, len(controls)))  # type: ignore[attr-defined]
    same = np.einsum("ca,cka->ck", outward, outward[around]) > SAME_SIDE
    same[:, 0] = False
    matrix = np.eye(len(controls))
    share = same / np.maximum(same.sum(1, keepdims=True), 1)
    np.subtract.at(matrix, (np.arange(len(controls))[:, None], around), share)
    matrix[~same.any(1)] = 0
    return torch.from_numpy(matrix)
