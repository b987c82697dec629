"""The body's pose correctives at the Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.kernels.dispatch import compiled_by

_CHUNK = 512  # points


class SparseDirections(NamedTuple):
    """The nonzero entries of the map from pose features to displacements of points.

    Attributes:
        starts: where each point's entries begin in the arrays below; one more at the end.
        entry: pose feature of each entry.
        vectors: displacement of the point, metres, per unit of the feature.
    """

    starts: Int[Tensor, " starts"]
    entry: Int[Tensor, " k"]
    vectors: Float[Tensor, "k 3"]


@dataclass(frozen=True)
class PoseCorrectives:
    """A linear map from a pose's rotations to displacements of points at rest (Loper et al. 2015, eq. 9).

    The pose's features are the entries of `R - I` of the first joints but the root, row by row.

    Attributes:
        directions: displacement of each vertex of the body, metres, per unit of each pose feature.
        corners, bary: vertices of each point's triangle, and its barycentric coordinates.
    """

    directions: Float[Tensor, "v 3 p"]
    corners: Int[Tensor, "n 3"]
    bary: Float[Tensor, "n 3"]

    @cached_property
    def sparse(self) -> SparseDirections:
        """The map of the points themselves: a knee moves nothing at the ear."""
        entries, vectors, counts = [], [], []
        # In chunks: all points at once would take half a gigabyte.
        for some, shares in zip(self.corners.split(_CHUNK), self.bary.split(_CHUNK), strict=True):
            moved = sum(
                share[:, None, None] * self.directions[corner]
                for share, corner in zip(shares.unbind(1), some.unbind(1), strict=True)
            )
            assert isinstance(moved, Tensor)
            moves = (moved != 0).any(1)
            point, entry = moves.nonzero(as_tuple=True)
            entries.append(entry.int())
            vectors.append(moved.mT[point, entry])
            counts.append(moves.sum(1))
        count = torch.cat(counts)
        starts = torch.cat([count.new_zeros(1), count.cumsum(0)])
        return SparseDirections(starts, torch.cat(entries), torch.cat(vectors))

    def __call__(self, rotations: Float[Tensor, "j 3 3"]) -> Float[Tensor, "n 3"]:
        """Displacements in the rest frame, metres, for the local rotations of all joints."""
        return displacements(self, (rotations[1:] - torch.eye(3, device=rotations.device)).flatten())


def _displacements_compiled(correctives: PoseCorrectives, feature: Float[Tensor, " p"]) -> Float[Tensor, "n 3"]:
    from avatar.kernels.blend_shapes import Displacements

    moved: Tensor = Displacements.apply(feature, *correctives.sparse)  # type: ignore[no-untyped-call]  # torch's
    return moved


@compiled_by(_displacements_compiled)
def displacements(correctives: PoseCorrectives, feature: Float[Tensor, " p"]) -> Float[Tensor, "n 3"]:
    """Displacements in the rest frame, metres, for the pose features; differentiable in the features."""
    directions = correctives.directions.to(feature)
    # A body may have joints after those whose rotations displace anything.
    of_vertices = (directions.flatten(0, 1) @ feature[: directions.shape[-1]]).view(-1, 3)
    of_corners = of_vertices.index_select(0, correctives.corners.flatten()).view(-1, 3, 3)
    return (correctives.bary[..., None].to(feature) * of_corners).sum(1)
