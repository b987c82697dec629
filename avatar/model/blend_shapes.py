"""The body's pose correctives at the Gaussians, kept sparse: a knee moves nothing at the ear."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

_AT_ONCE = 512


class PoseCorrectives:
    """A linear map from a pose's rotations to displacements of points at rest (Loper et al. 2015, eq. 9).

    Only what is not zero is kept: for each point the entries of the pose that move it, and where to.

    Args:
        directions: displacement of each vertex of the body, metres, by each entry of `R - I` of every joint but the
            root.
        corners, bary: the vertices that each point lies between, and their shares in it.
    """

    def __init__(
        self, directions: Float[Tensor, "v 3 p"], corners: Int[Tensor, "n 3"], bary: Float[Tensor, "n 3"]
    ) -> None:
        entries, vectors, counts = [], [], []
        # Some points at a time, in the same memory again and again: all at once would take half a gigabyte.
        for some, shares in zip(corners.split(_AT_ONCE), bary.split(_AT_ONCE), strict=True):
            moved = sum(
                share[:, None, None] * directions[corner]
                for share, corner in zip(shares.unbind(1), some.unbind(1), strict=True)
            )
            assert isinstance(moved, Tensor)
            moves = (moved != 0).any(1)
            point, entry = moves.nonzero(as_tuple=True)
            entries.append(entry.int())
            vectors.append(moved.mT[point, entry])
            counts.append(moves.sum(1))
        count = torch.cat(counts)
        self.entry, self.vectors = torch.cat(entries), torch.cat(vectors)
        self.point = torch.arange(len(corners), device=corners.device).repeat_interleave(count)
        self.starts = torch.cat([count.new_zeros(1), count.cumsum(0)])

    def __call__(self, rotations: Float[Tensor, "j 3 3"]) -> Float[Tensor, "n 3"]:
        """Displacements in the rest frame, metres, for the rotations of all joints."""
        feature = (rotations[1:] - torch.eye(3, device=rotations.device)).flatten()
        if feature.device.type == "cpu" and feature.dtype == torch.float32:
            from avatar.kernels.blend_shapes import Displace

            return Displace.apply(feature, self.starts, self.entry, self.vectors)
        return self.displaced(feature)

    def displaced(self, feature: Float[Tensor, " p"]) -> Float[Tensor, "n 3"]:
        """The same in tensors, on any device."""
        moved = feature.new_zeros(len(self.starts) - 1, 3)
        return moved.index_add(0, self.point, feature[self.entry, None] * self.vectors.to(feature))
