"""The compiled twin of `avatar.model.blend_shapes.displacements`: a sparse product on the renderer's threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from avatar.kernels.simd import Array, kernel
from avatar.kernels.threads import run_parts, threads

# The gradient is summed over this many parts, whichever thread does them, so that it does not depend on the threads.
_PARTS = 8


class Displacements(torch.autograd.Function):
    """Displacements of points (n, 3) by the entries of a pose; differentiable in the pose."""

    @staticmethod
    def forward(ctx: Any, feature: Tensor, starts: Tensor, entry: Tensor, vectors: Tensor) -> Any:
        ctx.save_for_backward(feature, starts, entry, vectors)
        moved = torch.empty(len(starts) - 1, 3)
        arrays = (tensor.detach().contiguous().numpy() for tensor in (feature, starts, entry, vectors, moved))
        run_parts(_displace, threads(), *arrays)
        return moved

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_moved: Tensor) -> Any:
        feature, starts, entry, vectors = ctx.saved_tensors
        sums = np.zeros((_PARTS, len(feature)))
        arrays = (tensor.contiguous().numpy() for tensor in (starts, entry, vectors, g_moved))
        run_parts(_displace_back, threads(), *arrays, sums)
        return feature.new_tensor(sums.sum(0)), None, None, None


@kernel
def _displace(
    worker: int, workers: int, feature: Array, starts: Array, entry: Array, vectors: Array, moved: Array
) -> None:
    """One worker's share of the points."""
    number = len(moved)
    for i in range(number * worker // workers, number * (worker + 1) // workers):
        x = y = z = np.float32(0)
        for k in range(starts[i], starts[i + 1]):
            weight = feature[entry[k]]
            x += weight * vectors[k, 0]
            y += weight * vectors[k, 1]
            z += weight * vectors[k, 2]
        moved[i, 0], moved[i, 1], moved[i, 2] = x, y, z


@kernel
def _displace_back(
    worker: int, workers: int, starts: Array, entry: Array, vectors: Array, g_moved: Array, sums: Array
) -> None:
    """The gradient by the pose of one worker's parts of the points."""
    number = len(g_moved)
    for part in range(worker, _PARTS, workers):
        own = sums[part]
        for i in range(number * part // _PARTS, number * (part + 1) // _PARTS):
            x, y, z = g_moved[i, 0], g_moved[i, 1], g_moved[i, 2]
            for k in range(starts[i], starts[i + 1]):
                own[entry[k]] += x * vectors[k, 0] + y * vectors[k, 1] + z * vectors[k, 2]
