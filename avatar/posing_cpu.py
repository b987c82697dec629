"""`avatar.posing.carry` on the CPU: one pass over the Gaussians forward and one back, instead of some sixty tensors.

The arithmetic is in float64, which costs scalar code nothing.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from avatar.light import TERMS
from avatar.render.simd import inlined, kernel
from avatar.render.threads import run_parts, threads

# The gradients by light and motions are summed over blocks of this size, whoever works on them, so that they do not
# depend on the number of threads.
_BLOCK = 1024


class Carry(torch.autograd.Function):
    """Places, orientations and colours in the world.

    Inputs, contiguous and, where not whole numbers, float32: anchors, frames, frame_quats and normals of the rest
    surface, then starts (n + 1), joint and weight of its skinning weights that are not zero (all constants); motions
    (joints, 16), see `avatar.posing.joint_motions`; offset, quats, colors of the Gaussians; displacement (n or 0, 3),
    brightness (n or 0) and light (8 or 0, 3), empty where there is none.
    """

    @staticmethod
    def forward(ctx, *inputs: Tensor):
        offset, quats = inputs[8], inputs[9]
        outputs = torch.empty_like(offset), torch.empty_like(quats), torch.empty_like(offset)
        run_parts(_carry, threads(), *(tensor.detach().numpy() for tensor in (*inputs, *outputs)))
        ctx.save_for_backward(*inputs)
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *g_outputs: Tensor):
        inputs = ctx.saved_tensors
        motions, light = inputs[7], inputs[13]
        gradients = [torch.empty_like(tensor) for tensor in inputs[8:13]]
        blocks = -(-len(inputs[0]) // _BLOCK)
        motion_sums, light_sums = np.zeros((blocks, *motions.shape), np.float32), np.zeros((blocks, TERMS, 3))
        arrays = [tensor.numpy() for tensor in (*inputs, *(g.contiguous() for g in g_outputs), *gradients)]
        run_parts(_carry_back, threads(), *arrays, motion_sums, light_sums)
        g_motions = torch.from_numpy(motion_sums.sum(0))
        return *[None] * 7, g_motions, *gradients, light.new_tensor(light_sums.sum(0)) if len(light) else None


@inlined
def _multiply(a, b):
    """Hamilton product of two wxyz quaternions."""
    return (
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
        a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
    )


@inlined
def _conjugate(a):
    return a[0], -a[1], -a[2], -a[3]


@inlined
def _blend(starts, joint, weight, motions, i, blended):
    """The mean of the motions of the joints that move Gaussian i, by weight, into `blended`."""
    for c in range(16):
        blended[c] = 0
    for k in range(starts[i], starts[i + 1]):
        for c in range(16):
            blended[c] += weight[k] * motions[joint[k], c]


@inlined
def _quat(row, start):
    """Four numbers of a row as a unit quaternion, and one over their length."""
    w, x = np.float64(row[start]), np.float64(row[start + 1])
    y, z = np.float64(row[start + 2]), np.float64(row[start + 3])
    inverse = 1 / max(math.sqrt(w * w + x * x + y * y + z * z), 1e-12)
    return (w * inverse, x * inverse, y * inverse, z * inverse), inverse


@inlined
def _through_length(g, unit, inverse):
    """From the gradient by a unit quaternion to that by the quaternion it was made of."""
    along = g[0] * unit[0] + g[1] * unit[1] + g[2] * unit[2] + g[3] * unit[3]
    return (
        (g[0] - along * unit[0]) * inverse,
        (g[1] - along * unit[1]) * inverse,
        (g[2] - along * unit[2]) * inverse,
        (g[3] - along * unit[3]) * inverse,
    )


@inlined
def _vector(rows, i):
    return np.float64(rows[i, 0]), np.float64(rows[i, 1]), np.float64(rows[i, 2])


@inlined
def _cross(a, b):
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@inlined
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@inlined
def _rest(anchors, frames, offset, displacement, i):
    """Centre in the rest frame: anchor + frame @ offset + displacement."""
    place, moved = _vector(anchors, i), _vector(offset, i)
    x = place[0] + frames[i, 0, 0] * moved[0] + frames[i, 0, 1] * moved[1] + frames[i, 0, 2] * moved[2]
    y = place[1] + frames[i, 1, 0] * moved[0] + frames[i, 1, 1] * moved[1] + frames[i, 1, 2] * moved[2]
    z = place[2] + frames[i, 2, 0] * moved[0] + frames[i, 2, 1] * moved[1] + frames[i, 2, 2] * moved[2]
    if len(displacement) > 0:
        x, y, z = x + displacement[i, 0], y + displacement[i, 1], z + displacement[i, 2]
    return x, y, z


@inlined
def _turned(turn, n):
    """R(turn) n = n + 2 w v x n + 2 v (v . n) - 2 n (v . v) for turn = (w, v)."""
    v = turn[1], turn[2], turn[3]
    across, along, square = _cross(v, n), 2 * _dot(v, n), 1 - 2 * _dot(v, v)
    w = 2 * turn[0]
    return (
        n[0] * square + w * across[0] + v[0] * along,
        n[1] * square + w * across[1] + v[1] * along,
        n[2] * square + w * across[2] + v[2] * along,
    )


@inlined
def _polynomials(m):
    """See `avatar.light.normal_polynomials`."""
    x, y, z = m
    return x, y, z, x * y, y * z, z * x, x * x - z * z, 1.5 * y * y - 0.5


@inlined
def _log_gain(polynomials, light, channel):
    total = 0.0
    for k in range(TERMS):
        total += polynomials[k] * light[k, channel]
    return total


@kernel
def _carry(
    worker, workers, anchors, frames, frame_quats, normals, starts, joint, weight, motions,
    offset, quats, colors, displacement, brightness, light, out_means, out_quats, out_colors,
):  # fmt: skip
    """One worker's share of the Gaussians, into the world."""
    number, blended = len(offset), np.empty(16, np.float32)
    for i in range(number * worker // workers, number * (worker + 1) // workers):
        _blend(starts, joint, weight, motions, i, blended)
        rest = _rest(anchors, frames, offset, displacement, i)
        for k in range(3):
            row = 4 * k
            out_means[i, k] = (
                blended[row] * rest[0] + blended[row + 1] * rest[1] + blended[row + 2] * rest[2]
            ) + blended[row + 3]
        turn, _ = _quat(blended, 12)
        local, _ = _quat(quats[i], 0)
        rest_turn = _quat(frame_quats[i], 0)[0]
        turned = _multiply(turn, _multiply(rest_turn, local))
        for k in range(4):
            out_quats[i, k] = turned[k]
        log_gain = np.float64(brightness[i]) if len(brightness) > 0 else 0.0
        if len(light) > 0:
            polynomials = _polynomials(_turned(turn, _vector(normals, i)))
            for k in range(3):
                gain = math.exp(log_gain + _log_gain(polynomials, light, k))
                out_colors[i, k] = min(colors[i, k] * gain, 1.0)
        else:
            gain = math.exp(log_gain)
            for k in range(3):
                out_colors[i, k] = min(colors[i, k] * gain, 1.0)


@kernel
def _carry_back(
    worker, workers, anchors, frames, frame_quats, normals, starts, joint, weight, motions,
    offset, quats, colors, displacement, brightness, light, g_means, g_quats, g_colors,
    out_offset, out_quats, out_colors, out_displacement, out_brightness, motion_sums, light_sums,
):  # fmt: skip
    """The gradients of one worker's blocks of Gaussians."""
    number, blended, g_blended = len(offset), np.empty(16, np.float32), np.empty(16, np.float32)
    for block in range(worker, len(light_sums), workers):
        for i in range(block * _BLOCK, min((block + 1) * _BLOCK, number)):
            _blend(starts, joint, weight, motions, i, blended)
            _place_back(anchors, frames, blended, offset, displacement, g_means, g_blended, out_offset,
                        out_displacement, i)  # fmt: skip
            turn, inverse = _quat(blended, 12)
            local, local_inverse = _quat(quats[i], 0)
            rest_turn = _quat(frame_quats[i], 0)[0]
            g_turned = (np.float64(g_quats[i, 0]), np.float64(g_quats[i, 1]),
                        np.float64(g_quats[i, 2]), np.float64(g_quats[i, 3]))  # fmt: skip
            g_turn = _multiply(g_turned, _conjugate(_multiply(rest_turn, local)))
            g_local = _multiply(_conjugate(_multiply(turn, rest_turn)), g_turned)
            g_local = _through_length(g_local, local, local_inverse)
            by_light = _color_back(
                turn, normals, colors, brightness, light, g_colors, out_colors, out_brightness, light_sums[block], i
            )
            g_turn = (g_turn[0] + by_light[0], g_turn[1] + by_light[1],
                      g_turn[2] + by_light[2], g_turn[3] + by_light[3])  # fmt: skip
            g_turn = _through_length(g_turn, turn, inverse)
            for k in range(4):
                out_quats[i, k] = g_local[k]
                g_blended[12 + k] = g_turn[k]
            _blend_back(starts, joint, weight, g_blended, i, motion_sums[block])


@inlined
def _blend_back(starts, joint, weight, g_blended, i, g_motions):
    for k in range(starts[i], starts[i + 1]):
        for c in range(16):
            g_motions[joint[k], c] += weight[k] * g_blended[c]


@inlined
def _place_back(anchors, frames, blended, offset, displacement, g_means, g_blended, out_offset, out_displacement, i):
    rest, g = _rest(anchors, frames, offset, displacement, i), _vector(g_means, i)
    for k in range(3):
        for j in range(3):
            g_blended[4 * k + j] = g[k] * rest[j]
        g_blended[4 * k + 3] = g[k]
    g_rest = (
        blended[0] * g[0] + blended[4] * g[1] + blended[8] * g[2],
        blended[1] * g[0] + blended[5] * g[1] + blended[9] * g[2],
        blended[2] * g[0] + blended[6] * g[1] + blended[10] * g[2],
    )
    for k in range(3):
        out_offset[i, k] = frames[i, 0, k] * g_rest[0] + frames[i, 1, k] * g_rest[1] + frames[i, 2, k] * g_rest[2]
    if len(displacement) > 0:
        for k in range(3):
            out_displacement[i, k] = g_rest[k]


@inlined
def _color_back(turn, normals, colors, brightness, light, g_colors, out_colors, out_brightness, light_sums, i):
    """The gradient by the turn, through the light that falls on the turned normal."""
    lit = len(light) > 0
    normal = _vector(normals, i)
    m = _turned(turn, normal)
    polynomials = _polynomials(m)
    log_gain = np.float64(brightness[i]) if len(brightness) > 0 else 0.0
    g_brightness = 0.0
    gx, gy, gz = 0.0, 0.0, 0.0
    x, y, z = m
    for k in range(3):
        gain = math.exp(log_gain + (_log_gain(polynomials, light, k) if lit else 0.0))
        color = colors[i, k] * gain
        g = np.float64(g_colors[i, k]) if color <= 1 else 0.0
        out_colors[i, k] = g * gain
        g_log = g * color
        g_brightness += g_log
        if lit:
            for term in range(TERMS):
                light_sums[term, k] += g_log * polynomials[term]
            gx += g_log * (light[0, k] + y * light[3, k] + z * light[5, k] + 2 * x * light[6, k])
            gy += g_log * (light[1, k] + x * light[3, k] + z * light[4, k] + 3 * y * light[7, k])
            gz += g_log * (light[2, k] + y * light[4, k] + x * light[5, k] - 2 * z * light[6, k])
    if len(brightness) > 0:
        out_brightness[i] = g_brightness
    g_m, v, w = (gx, gy, gz), (turn[1], turn[2], turn[3]), 2 * turn[0]
    # The terms of `_turned` in turn: 2 w v x n, 2 v (v . n), -2 n (v . v).
    across, along, g_along, both = _cross(normal, g_m), 2 * _dot(v, normal), 2 * _dot(v, g_m), 4 * _dot(g_m, normal)
    return (
        2 * _dot(g_m, _cross(v, normal)),
        w * across[0] + along * g_m[0] + g_along * normal[0] - both * v[0],
        w * across[1] + along * g_m[1] + g_along * normal[1] - both * v[1],
        w * across[2] + along * g_m[2] + g_along * normal[2] - both * v[2],
    )
