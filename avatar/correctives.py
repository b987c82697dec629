"""The body's pose correctives at the Gaussians, kept sparse: a knee moves nothing at the ear."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


class PoseCorrectives:
    """A linear map from a pose's rotations to displacements of points at rest (Loper et al. 2015, eq. 9).

    Only what is not zero is kept: for each point the entries of the pose that move it, and where to.

    Args:
        directions: displacement of each point, metres, by each entry of `R - I` of every joint but the root.
    """

    def __init__(self, directions: Float[Tensor, "n 3 p"]) -> None:
        moves = (directions != 0).any(1)
        self.point, entry = moves.nonzero(as_tuple=True)
        self.vectors, self.entry = directions.mT[self.point, entry], entry.int()
        self.starts = torch.cat([moves.new_zeros(1, dtype=torch.int64), moves.sum(1).cumsum(0)])

    def __call__(self, rotations: Float[Tensor, "j 3 3"]) -> Float[Tensor, "n 3"]:
        """Displacements in the rest frame, metres, for the rotations of all joints."""
        feature = (rotations[1:] - torch.eye(3, device=rotations.device)).flatten()
        if feature.device.type == "cpu" and feature.dtype == torch.float32:
            from avatar.correctives_cpu import Displace

            return Displace.apply(feature, self.starts, self.entry, self.vectors)
        return self.displaced(feature)

    def displaced(self, feature: Float[Tensor, " p"]) -> Float[Tensor, "n 3"]:
        """The same in tensors, on any device."""
        moved = feature.new_zeros(len(self.starts) - 1, 3)
        return moved.index_add(0, self.point, feature[self.entry, None] * self.vectors.to(feature))
