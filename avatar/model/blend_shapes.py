"""The body's pose correctives at the Gaussians, stored sparsely: a knee moves nothing at the ear."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.kernels.dispatch import compiled_by

_CHUNK = 512  # points


@dataclass(frozen=True)
class PoseCorrectives:
    """A sparse linear map from a pose's rotations to displacements of points at rest (Loper et al. 2015, eq. 9).

    The pose's features are the entries of `R - I` of every joint but the root, row by row.

    Attributes:
        starts: where each point's nonzero entries begin in the arrays below; one more at the end.
        point, entry: point and pose feature of each nonzero entry.
        vectors: displacement of the point, metres, per unit of the feature.
    """

    starts: Int[Tensor, " starts"]
    point: Int[Tensor, " k"]
    entry: Int[Tensor, " k"]
    vectors: Float[Tensor, "k 3"]

    @staticmethod
    def at_points(
        directions: Float[Tensor, "v 3 p"], corners: Int[Tensor, "n 3"], bary: Float[Tensor, "n 3"]
    ) -> PoseCorrectives:
        """The correctives of points on the triangles of a body.

        Args:
            directions: displacement of each vertex, metres, per unit of each pose feature.
            corners, bary: vertices of each point's triangle, and its barycentric coordinates.
        """
        entries, vectors, counts = [], [], []
        # In chunks: all points at once would take half a gigabyte.
        for some, shares in zip(corners.split(_CHUNK), bary.split(_CHUNK), strict=True):
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
        return PoseCorrectives(
            starts=torch.cat([count.new_zeros(1), count.cumsum(0)]),
            point=torch.arange(len(corners), device=corners.device).repeat_interleave(count),
            entry=torch.cat(entries),
            vectors=torch.cat(vectors),
        )

    def __call__(self, rotations: Float[Tensor, "j 3 3"]) -> Float[Tensor, "n 3"]:
        """Displacements in the rest frame, metres, for the local rotations of all joints."""
        return displacements(self, (rotations[1:] - torch.eye(3, device=rotations.device)).flatten())


def _displacements_compiled(correctives: PoseCorrectives, feature: Float[Tensor, " p"]) -> Float[Tensor, "n 3"]:
    from avatar.kernels.blend_shapes import Displacements

    moved: Tensor = Displacements.apply(feature, correctives.starts, correctives.entry, correctives.vectors)  # type: ignore[no-untyped-call]  # torch's
    return moved


@compiled_by(_displacements_compiled)
def displacements(correctives: PoseCorrectives, feature: Float[Tensor, " p"]) -> Float[Tensor, "n 3"]:
    """Displacements in the rest frame, metres, for the pose features; differentiable in the features."""
    moved = feature.new_zeros(len(correctives.starts) - 1, 3)
    return moved.index_add(0, correctives.point, feature[correctives.entry, None] * correctives.vectors.to(feature))
