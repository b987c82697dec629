"""The body's pose correctives at the Gaussians, kept sparse: a knee moves nothing at the ear."""

from __future__ import annotations

import warnings

import torch
from jaxtyping import Float
from torch import Tensor


class PoseCorrectives:
    """A linear map from a pose's rotations to displacements of points at rest (Loper et al. 2015, eq. 9).

    Args:
        directions: displacement of each point, metres, by each entry of `R - I` of every joint but the root.
    """

    def __init__(self, directions: Float[Tensor, "n 3 p"]) -> None:
        matrix = directions.flatten(0, 1)
        with warnings.catch_warnings():
            # torch calls its CSR layout a beta; the one product used here is tested against the dense one.
            warnings.simplefilter("ignore", UserWarning)
            self.matrix, self.transposed = matrix.to_sparse_csr(), matrix.T.contiguous().to_sparse_csr()

    def __call__(self, rotations: Float[Tensor, "j 3 3"]) -> Float[Tensor, "n 3"]:
        """Displacements in the rest frame, metres, for the rotations of all joints."""
        feature = (rotations[1:] - torch.eye(3, device=rotations.device)).flatten()
        return _SparseProduct.apply(feature, self.matrix, self.transposed).unflatten(0, (-1, 3))


class _SparseProduct(torch.autograd.Function):
    """Sparse matrix times dense vector; the gradient of the vector is a product with the stored transpose."""

    @staticmethod
    def forward(ctx, vector: Tensor, matrix: Tensor, transposed: Tensor) -> Tensor:
        ctx.transposed = transposed
        return matrix @ vector

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.transposed @ gradient, None, None
