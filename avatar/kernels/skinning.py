"""The compiled twin of `avatar.model.skinning.skin_gaussians`: one forward and one backward pass.

Gaussians are processed in groups, one per lane of a vector (`avatar.kernels.simd`): a group's values are copied to a
scratch, column by column, and the results are copied back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avatar.kernels.constants import TERMS
from avatar.kernels.simd import (
    LANES,
    Array,
    Index,
    Lanes,
    Quad,
    Triple,
    exp,
    inlined,
    kernel,
    load,
    maximum,
    minimum,
    splat,
    sqrt,
    store,
    total,
    where,
)
from avatar.kernels.threads import run_parts, threads

# The gradients by light and joint transforms are summed over blocks of this many groups, so that the result does not
# depend on the number of threads.
_BLOCK = 1024 // LANES

# Where the columns of a group begin in its scratch; the gradients by them lie `_GRADIENTS` further on. The last four of
# the sixteen blended ones are the rotation. Arrays, since Numba would compile its callers again for each literal.
_ANCHOR, _FRAME, _FRAME_QUAT, _NORMAL, _BLENDED, _TURN = map(np.int64, (0, 3, 12, 16, 19, 31))
_OFFSET, _QUAT, _COLOR, _DISPLACEMENT, _BRIGHTNESS = map(np.int64, (35, 38, 42, 45, 48))
_MEAN_OUT, _QUAT_OUT, _COLOR_OUT, _GRADIENTS = map(np.int64, (49, 52, 56, 59))
_SCRATCH = 2 * _GRADIENTS * LANES


class SkinGaussians(torch.autograd.Function):
    """Places, orientations and colours in the world.

    Inputs, contiguous and, where not whole numbers, float32: anchors, frames, frame_quats and normals of the rest
    surface, then starts (n + 1), joint and weight of its skinning weights that are not zero (all constants); motions
    (joints, 16), see `avatar.model.joint_transforms.joint_transforms_and_quats`; offset, quats, colors of the
    Gaussians; displacement (n or 0, 3), brightness (n or 0) and light (8 or 0, 3), which are empty if not used.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Any:
        offset, quats = inputs[8], inputs[9]
        outputs = torch.empty_like(offset), torch.empty_like(quats), torch.empty_like(offset)
        run_parts(_carry, threads(), *_arrays(inputs), *_arrays(outputs))
        ctx.save_for_backward(*inputs)
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *g_outputs: Tensor) -> Any:
        inputs = ctx.saved_tensors
        motions, light = inputs[7], inputs[13]
        gradients = [torch.empty_like(tensor) for tensor in inputs[8:13]]
        blocks = -(-len(inputs[0]) // (_BLOCK * LANES))
        sums = [np.zeros((blocks, *shape), np.float32) for shape in (motions.shape, (TERMS, 3))]
        run_parts(_carry_back, threads(), *_arrays(inputs), *_arrays(g_outputs), *_arrays(gradients), *sums)
        g_motions, g_light = (torch.from_numpy(s.sum(0)) for s in sums)
        return *[None] * 7, g_motions, *gradients, g_light if len(light) else None


def _arrays(tensors: Iterable[Tensor]) -> list[np.ndarray]:
    """Each tensor of floats as a table with one row per Gaussian, joint or coefficient; integers unchanged."""
    arrays = (tensor.detach().contiguous().numpy() for tensor in tensors)
    return [a.reshape(len(a), math.prod(a.shape[1:])) if a.dtype == np.float32 else a for a in arrays]


@kernel
def _in(rows: Array, first: int, scratch: Array, place: Index) -> None:
    """Copy the rows of a group to columns of the scratch; zeros stand for rows beyond the last."""
    for lane in range(LANES):
        for k in range(rows.shape[1]):
            scratch[(place + k) * LANES + lane] = rows[first + lane, k] if first + lane < len(rows) else np.float32(0)


@kernel
def _out(scratch: Array, place: Index, rows: Array, first: int) -> None:
    """Copy columns of the scratch to the rows of a group; padding rows are skipped."""
    for lane in range(min(LANES, len(rows) - first)):
        for k in range(rows.shape[1]):
            rows[first + lane, k] = scratch[(place + k) * LANES + lane]


@inlined
def _one(scratch: Array, column: Index) -> Lanes:
    return load(scratch, column * LANES)


@inlined
def _three(scratch: Array, column: Index) -> Triple:
    return _one(scratch, column), _one(scratch, column + 1), _one(scratch, column + 2)


@inlined
def _four(scratch: Array, column: Index) -> Quad:
    return _one(scratch, column), _one(scratch, column + 1), _one(scratch, column + 2), _one(scratch, column + 3)


@inlined
def _put(values: tuple[Lanes, ...], scratch: Array, column: Index) -> None:
    for k in range(len(values)):
        store(scratch, (column + k) * LANES, values[k])


@inlined
def _unit(scratch: Array, column: Index) -> tuple[Quad, Lanes]:
    """Four columns as unit quaternions, and one over their lengths."""
    w, x, y, z = _four(scratch, column)
    inverse = 1.0 / maximum(sqrt(w * w + x * x + y * y + z * z), 1e-12)
    return (w * inverse, x * inverse, y * inverse, z * inverse), inverse


@inlined
def _multiply(a: Quad, b: Quad) -> Quad:
    """Hamilton product of two wxyz quaternions."""
    return (
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
        a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
    )


@inlined
def _conjugate(a: Quad) -> Quad:
    return a[0], -a[1], -a[2], -a[3]


@inlined
def _through_length(g: Quad, unit: Quad, inverse: Lanes) -> Quad:
    """The gradient by a quaternion from the gradient by its normalized copy."""
    along = g[0] * unit[0] + g[1] * unit[1] + g[2] * unit[2] + g[3] * unit[3]
    return (
        (g[0] - along * unit[0]) * inverse,
        (g[1] - along * unit[1]) * inverse,
        (g[2] - along * unit[2]) * inverse,
        (g[3] - along * unit[3]) * inverse,
    )


@inlined
def _cross(a: Triple, b: Triple) -> Triple:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@inlined
def _dot(a: Triple, b: Triple) -> Lanes:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@inlined
def _turned(turn: Quad, n: Triple) -> Triple:
    """R(turn) n = n + 2 w v x n + 2 v (v . n) - 2 n (v . v) for turn = (w, v)."""
    v = turn[1], turn[2], turn[3]
    across, along, square = _cross(v, n), 2.0 * _dot(v, n), 1.0 - 2.0 * _dot(v, v)
    w = 2.0 * turn[0]
    return (
        n[0] * square + w * across[0] + v[0] * along,
        n[1] * square + w * across[1] + v[1] * along,
        n[2] * square + w * across[2] + v[2] * along,
    )


@inlined
def _polynomials(m: Triple) -> tuple[Lanes, ...]:
    """See `avatar.model.lighting.normal_polynomials`."""
    x, y, z = m
    return x, y, z, x * y, y * z, z * x, x * x - z * z, 1.5 * y * y - 0.5


@inlined
def _gain(log_gain: Lanes, polynomials: tuple[Lanes, ...], light: Array, channel: int) -> Lanes:
    for k in range(len(light)):
        log_gain = log_gain + polynomials[k] * light[k, channel]
    return exp(log_gain)


@kernel
def _blend(starts: Array, joint: Array, weight: Array, motions: Array, first: int, row: Array, scratch: Array) -> None:
    """The weighted mean transform of each Gaussian's joints; padding lanes repeat the last Gaussian."""
    for lane in range(LANES):
        i = min(first + lane, len(starts) - 2)
        for c in range(0, 16, LANES):
            store(row, c, splat(0.0))
        for k in range(starts[i], starts[i + 1]):
            motion, share = motions[joint[k]], splat(weight[k, 0])
            for c in range(0, 16, LANES):
                store(row, c, load(row, c) + share * load(motion, c))
        for c in range(16):
            scratch[(_BLENDED + c) * LANES + lane] = row[c]


@kernel
def _blend_back(
    starts: Array, joint: Array, weight: Array, first: int, row: Array, scratch: Array, g_motions: Array
) -> None:
    """Add the weighted gradients by the blended transforms to those by the joint transforms."""
    for i in range(first, min(first + LANES, len(starts) - 1)):
        for c in range(16):
            row[c] = scratch[(_GRADIENTS + _BLENDED + c) * LANES + i - first]
        for k in range(starts[i], starts[i + 1]):
            g_motion, share = g_motions[joint[k]], splat(weight[k, 0])
            for c in range(0, 16, LANES):
                store(g_motion, c, load(g_motion, c) + share * load(row, c))


@kernel
def _read(
    first: int, anchors: Array, frames: Array, frame_quats: Array, normals: Array, starts: Array, joint: Array,
    weight: Array, motions: Array,
    offset: Array, quats: Array, colors: Array, displacement: Array, brightness: Array, row: Array, scratch: Array,
) -> None:  # fmt: skip
    """Fill the scratch with a group and its blended transforms; unused inputs become zero."""
    _in(anchors, first, scratch, _ANCHOR)
    _in(frames, first, scratch, _FRAME)
    _in(frame_quats, first, scratch, _FRAME_QUAT)
    _in(normals, first, scratch, _NORMAL)
    _in(offset, first, scratch, _OFFSET)
    _in(quats, first, scratch, _QUAT)
    _in(colors, first, scratch, _COLOR)
    _in(displacement, first, scratch, _DISPLACEMENT)
    _in(brightness, first, scratch, _BRIGHTNESS)
    _blend(starts, joint, weight, motions, first, row, scratch)


@inlined
def _rest(scratch: Array) -> Triple:
    """Centres in the rest frame: anchor + frame @ offset + displacement."""
    offset, anchor, moved = _three(scratch, _OFFSET), _three(scratch, _ANCHOR), _three(scratch, _DISPLACEMENT)
    return (
        anchor[0] + moved[0] + _dot(_three(scratch, _FRAME), offset),
        anchor[1] + moved[1] + _dot(_three(scratch, _FRAME + 3), offset),
        anchor[2] + moved[2] + _dot(_three(scratch, _FRAME + 6), offset),
    )


@kernel
def _carry(
    worker: int, workers: int, anchors: Array, frames: Array, frame_quats: Array, normals: Array, starts: Array,
    joint: Array, weight: Array, motions: Array,
    offset: Array, quats: Array, colors: Array, displacement: Array, brightness: Array, light: Array,
    out_means: Array, out_quats: Array, out_colors: Array,
) -> None:  # fmt: skip
    """Skin one worker's share of the groups."""
    scratch, row = np.zeros(_SCRATCH, np.float32), np.empty(16, np.float32)
    groups = (len(offset) + LANES - 1) // LANES
    for first in range(groups * worker // workers * LANES, groups * (worker + 1) // workers * LANES, LANES):
        _read(first, anchors, frames, frame_quats, normals, starts, joint, weight, motions,
              offset, quats, colors, displacement, brightness, row, scratch)  # fmt: skip
        rest = _rest(scratch)
        for k in range(3):
            means = _dot(_three(scratch, _BLENDED + 4 * k), rest) + _one(scratch, _BLENDED + 4 * k + 3)
            store(scratch, (_MEAN_OUT + k) * LANES, means)
        turn, rest_turn, local = _unit(scratch, _TURN)[0], _unit(scratch, _FRAME_QUAT)[0], _unit(scratch, _QUAT)[0]
        _put(_multiply(turn, _multiply(rest_turn, local)), scratch, _QUAT_OUT)
        polynomials, log_gain = _polynomials(_turned(turn, _three(scratch, _NORMAL))), _one(scratch, _BRIGHTNESS)
        for k in range(3):
            lit = _one(scratch, _COLOR + k) * _gain(log_gain, polynomials, light, k)
            store(scratch, (_COLOR_OUT + k) * LANES, minimum(lit, 1.0))
        _out(scratch, _MEAN_OUT, out_means, first)
        _out(scratch, _QUAT_OUT, out_quats, first)
        _out(scratch, _COLOR_OUT, out_colors, first)


@kernel
def _carry_back(
    worker: int, workers: int, anchors: Array, frames: Array, frame_quats: Array, normals: Array, starts: Array,
    joint: Array, weight: Array, motions: Array,
    offset: Array, quats: Array, colors: Array, displacement: Array, brightness: Array, light: Array, g_means: Array,
    g_quats: Array, g_colors: Array,
    out_offset: Array, out_quats: Array, out_colors: Array, out_displacement: Array, out_brightness: Array,
    motion_sums: Array, light_sums: Array,
) -> None:  # fmt: skip
    """The gradients of one worker's blocks of Gaussians."""
    scratch, row = np.zeros(_SCRATCH, np.float32), np.empty(16, np.float32)
    for block in range(worker, len(light_sums), workers):
        light_lanes = np.zeros(3 * TERMS * LANES, np.float32)
        begin = block * _BLOCK * LANES
        for first in range(begin, min(begin + _BLOCK * LANES, len(offset)), LANES):
            _read(first, anchors, frames, frame_quats, normals, starts, joint, weight, motions,
                  offset, quats, colors, displacement, brightness, row, scratch)  # fmt: skip
            _in(g_means, first, scratch, _MEAN_OUT)
            _in(g_quats, first, scratch, _QUAT_OUT)
            _in(g_colors, first, scratch, _COLOR_OUT)
            _place_back(scratch)
            _turn_back(scratch, light, light_lanes)
            _out(scratch, _GRADIENTS + _OFFSET, out_offset, first)
            _out(scratch, _GRADIENTS + _QUAT, out_quats, first)
            _out(scratch, _GRADIENTS + _COLOR, out_colors, first)
            _out(scratch, _GRADIENTS + _DISPLACEMENT, out_displacement, first)
            _out(scratch, _GRADIENTS + _BRIGHTNESS, out_brightness, first)
            _blend_back(starts, joint, weight, first, row, scratch, motion_sums[block])
        for term in range(TERMS):
            for k in range(3):
                light_sums[block, term, k] = total(load(light_lanes, (3 * term + k) * LANES))


@kernel
def _place_back(scratch: Array) -> None:
    """The gradients by transform, offset and displacement from the gradient by the centre."""
    rest, g = _rest(scratch), _three(scratch, _MEAN_OUT)
    for k in range(3):
        _put((g[k] * rest[0], g[k] * rest[1], g[k] * rest[2], g[k]), scratch, _GRADIENTS + _BLENDED + 4 * k)
        column = _one(scratch, _BLENDED + k), _one(scratch, _BLENDED + 4 + k), _one(scratch, _BLENDED + 8 + k)
        store(scratch, (_GRADIENTS + _DISPLACEMENT + k) * LANES, _dot(column, g))
    g_rest = _three(scratch, _GRADIENTS + _DISPLACEMENT)
    for k in range(3):
        column = _one(scratch, _FRAME + k), _one(scratch, _FRAME + 3 + k), _one(scratch, _FRAME + 6 + k)
        store(scratch, (_GRADIENTS + _OFFSET + k) * LANES, _dot(column, g_rest))


@kernel
def _turn_back(scratch: Array, light: Array, light_lanes: Array) -> None:
    """The gradients by the rotation, the Gaussian's quaternion and its colour from those by orientation and colour."""
    turn, inverse = _unit(scratch, _TURN)
    local, local_inverse = _unit(scratch, _QUAT)
    rest_turn = _unit(scratch, _FRAME_QUAT)[0]
    g = _four(scratch, _QUAT_OUT)
    g_local = _multiply(_conjugate(_multiply(turn, rest_turn)), g)
    _put(_through_length(g_local, local, local_inverse), scratch, _GRADIENTS + _QUAT)
    g_turn = _multiply(g, _conjugate(_multiply(rest_turn, local)))
    lit = _color_back(turn, scratch, light, light_lanes)
    g_turn = (g_turn[0] + lit[0], g_turn[1] + lit[1], g_turn[2] + lit[2], g_turn[3] + lit[3])
    _put(_through_length(g_turn, turn, inverse), scratch, _GRADIENTS + _TURN)


@inlined
def _color_back(turn: Quad, scratch: Array, light: Array, light_lanes: Array) -> Quad:
    """The gradient by the rotation, through the light on the rotated normal."""
    normal = _three(scratch, _NORMAL)
    m = _turned(turn, normal)
    polynomials, log_gain = _polynomials(m), _one(scratch, _BRIGHTNESS)
    x, y, z = m
    gx, gy, gz, g_brightness = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
    for k in range(3):
        gain = _gain(log_gain, polynomials, light, k)
        color = _one(scratch, _COLOR + k) * gain
        g = where(color <= 1.0, _one(scratch, _COLOR_OUT + k), 0.0)
        store(scratch, (_GRADIENTS + _COLOR + k) * LANES, g * gain)
        g_log = g * color
        g_brightness = g_brightness + g_log
        if len(light) > 0:
            for term in range(TERMS):
                place = (3 * term + k) * LANES
                store(light_lanes, place, load(light_lanes, place) + g_log * polynomials[term])
            gx = gx + g_log * (x * (2.0 * light[6, k]) + y * light[3, k] + z * light[5, k] + light[0, k])
            gy = gy + g_log * (x * light[3, k] + y * (3.0 * light[7, k]) + z * light[4, k] + light[1, k])
            gz = gz + g_log * (x * light[5, k] + y * light[4, k] - z * (2.0 * light[6, k]) + light[2, k])
    store(scratch, (_GRADIENTS + _BRIGHTNESS) * LANES, g_brightness)
    g_m, v, w = (gx, gy, gz), (turn[1], turn[2], turn[3]), 2.0 * turn[0]
    # The terms of `_turned` in order: 2 w v x n, 2 v (v . n), -2 n (v . v).
    across, along = _cross(normal, g_m), 2.0 * _dot(v, normal)
    g_along, both = 2.0 * _dot(v, g_m), 4.0 * _dot(g_m, normal)
    return (
        2.0 * _dot(g_m, _cross(v, normal)),
        w * across[0] + along * g_m[0] + g_along * normal[0] - both * v[0],
        w * across[1] + along * g_m[1] + g_along * normal[1] - both * v[1],
        w * across[2] + along * g_m[2] + g_along * normal[2] - both * v[2],
    )
