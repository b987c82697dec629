"""The compiled twin of `avatar.model.joint_transforms.joint_transforms_and_quats`: one pass along the chain of joints
instead of some sixty tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avatar.kernels.simd import Array, Number, inlined, kernel


class JointTransforms(torch.autograd.Function):
    """Transform and quaternion of each joint, (joints, 16); see
    `avatar.model.joint_transforms.joint_transforms_and_quats`.

    Inputs, float32: rotations (joints, 3, 3) and root_position (3), by which it may be differentiated; rest_joints
    (joints, 3); parents, -1 for the root, which stands first, and each before its children. The gradient by the
    rotations is valid along rotations only, not towards matrices that are not rotations.
    """

    @staticmethod
    def forward(
        ctx: Any, rotations: Tensor, root_position: Tensor, rest_joints: Tensor, parents: tuple[int, ...]
    ) -> Any:
        local, rest = (tensor.detach().numpy().astype(np.float64) for tensor in (rotations, rest_joints))
        joints = np.array(parents)
        motions, world, quats = _forward(local, rest, joints, root_position.detach().numpy())
        ctx.arrays = local, rest, joints, world, quats
        return torch.from_numpy(motions)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_motions: Tensor) -> Any:
        rotations, rest, parents, world, quats = ctx.arrays
        g_rotations, g_root = _back(rotations, rest, parents, world, quats, g_motions.contiguous().numpy())
        return torch.from_numpy(g_rotations), torch.from_numpy(g_root).float(), None, None


@kernel
def _forward(rotations: Array, rest_joints: Array, parents: Array, root_position: Array) -> tuple[Array, Array, Array]:
    """The motions, and as float64 each joint's rotation in the world and its quaternion."""
    count = len(parents)
    motions = np.empty((count, 16), np.float32)
    world, place, quats = np.empty((count, 3, 3)), np.empty((count, 3)), np.empty((count, 4))
    for i in range(count):
        parent, likeness = parents[i], 0.0
        for r in range(3):
            place[i, r] = root_position[r] if parent < 0 else place[parent, r]
            for c in range(3):
                if parent < 0:
                    world[i, r, c] = rotations[i, r, c]
                else:
                    place[i, r] += world[parent, r, c] * (rest_joints[i, c] - rest_joints[parent, c])
                    world[i, r, c] = _row_times_column(world[parent], rotations[i], r, c)
        _quaternion(world[i], quats[i])
        # Neighbours' quaternions must agree in sign, so that no blend of them passes through zero.
        for k in range(4):
            likeness += quats[i, k] * quats[max(parent, 0), k]
        for k in range(4):
            quats[i, k] = quats[i, k] if likeness >= 0 else -quats[i, k]
            motions[i, 12 + k] = quats[i, k]
        for r in range(3):
            shift = place[i, r]
            for c in range(3):
                motions[i, 4 * r + c] = world[i, r, c]
                shift -= world[i, r, c] * rest_joints[i, c]
            motions[i, 4 * r + 3] = shift
    return motions, world, quats


@kernel
def _back(
    rotations: Array, rest_joints: Array, parents: Array, world: Array, quats: Array, g_motions: Array
) -> tuple[Array, Array]:
    """The gradients by the rotations and by the root's position, from those by the motions."""
    count = len(parents)
    g_rotations = np.empty((count, 3, 3), np.float32)
    g_world, g_place = np.zeros((count, 3, 3)), np.zeros((count, 3))
    for i in range(count - 1, -1, -1):
        for r in range(3):
            shift = np.float64(g_motions[i, 4 * r + 3])
            g_place[i, r] += shift
            for c in range(3):
                g_world[i, r, c] += g_motions[i, 4 * r + c] - shift * rest_joints[i, c]
        _quaternion_back(world[i], quats[i], g_motions[i, 12:], g_world[i])
        parent = parents[i]
        for r in range(3):
            for c in range(3):
                if parent < 0:
                    g_rotations[i, r, c] = g_world[i, r, c]
                    continue
                offset = rest_joints[i, c] - rest_joints[parent, c]
                total = 0.0
                for k in range(3):
                    total += world[parent, k, r] * g_world[i, k, c]
                    g_world[parent, r, c] += g_world[i, r, k] * rotations[i, c, k]
                g_rotations[i, r, c] = total
                g_world[parent, r, c] += g_place[i, r] * offset
            if parent >= 0:
                g_place[parent, r] += g_place[i, r]
    return g_rotations, g_place[0]


@inlined
def _row_times_column(a: Array, b: Array, row: int, column: int) -> Number:
    return a[row, 0] * b[0, column] + a[row, 1] * b[1, column] + a[row, 2] * b[2, column]


@inlined
def _quaternion(R: Array, out: Array) -> None:
    """Unit quaternion wxyz from the largest of the four components (Shepperd 1978)."""
    trace = R[0, 0] + R[1, 1] + R[2, 2]
    first, second = R[2, 1] - R[1, 2], R[0, 2] - R[2, 0]
    third = R[1, 0] - R[0, 1]
    if trace >= max(R[0, 0], R[1, 1], R[2, 2]):
        out[0], out[1], out[2], out[3] = 1 + trace, first, second, third
    elif R[0, 0] >= max(R[1, 1], R[2, 2]):
        out[0], out[1], out[2], out[3] = first, 1 + 2 * R[0, 0] - trace, R[1, 0] + R[0, 1], R[0, 2] + R[2, 0]
    elif R[1, 1] >= R[2, 2]:
        out[0], out[1], out[2], out[3] = second, R[1, 0] + R[0, 1], 1 + 2 * R[1, 1] - trace, R[1, 2] + R[2, 1]
    else:
        out[0], out[1], out[2], out[3] = third, R[0, 2] + R[2, 0], R[1, 2] + R[2, 1], 1 + 2 * R[2, 2] - trace
    length = math.sqrt(out[0] * out[0] + out[1] * out[1] + out[2] * out[2] + out[3] * out[3])
    for k in range(4):
        out[k] /= length


@inlined
def _quaternion_back(R: Array, q: Array, g: Array, g_R: Array) -> None:
    """Add to `g_R` the gradient by a rotation from `g`, that by its quaternion `q`.

    A small turn w changes q by half the product w q, so that the gradient by w is half of v = Im(g conj(q)); and the
    gradient [v]x R / 4 by R gives just that for every w.
    """
    v = (
        q[0] * g[1] - g[0] * q[1] - g[2] * q[3] + g[3] * q[2],
        q[0] * g[2] - g[0] * q[2] - g[3] * q[1] + g[1] * q[3],
        q[0] * g[3] - g[0] * q[3] - g[1] * q[2] + g[2] * q[1],
    )
    for c in range(3):
        g_R[0, c] += 0.25 * (v[1] * R[2, c] - v[2] * R[1, c])
        g_R[1, c] += 0.25 * (v[2] * R[0, c] - v[0] * R[2, c])
        g_R[2, c] += 0.25 * (v[0] * R[1, c] - v[1] * R[0, c])
