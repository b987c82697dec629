"""From Gaussians to splats of one camera, and back: the `cpu` backend's work per Gaussian.

Formulas: Zwicker et al. 2002 (EWA splatting); constants of gsplat 1.5.3. The arithmetic is in float64, which costs
scalar code nothing. A Gaussian's *rank* is its place from front to back.
"""

from __future__ import annotations

import math

import numpy as np

from avatar.render import cpu_raster as raster
from avatar.render.constants import BLUR, MIN_ALPHA, VIEW_MARGIN
from avatar.render.cpu_tiles import SLACK, span_place, tile_rows, write_spans
from avatar.render.simd import LANES, kernel
from avatar.types import Cameras


def camera_numbers(cameras: Cameras, index: int) -> np.ndarray:
    """Rotation (9), translation (3), fx, fy, cx, cy and the least and largest slopes of x and y, as float64."""
    T = cameras.T_camera_world[index].detach().double().numpy()
    K = cameras.K[index].detach().double().numpy()
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    w, h = cameras.width, cameras.height
    x_limits = [(-cx - VIEW_MARGIN * w) / fx, (w - cx + VIEW_MARGIN * w) / fx]
    y_limits = [(-cy - VIEW_MARGIN * h) / fy, (h - cy + VIEW_MARGIN * h) / fy]
    return np.concatenate([T[:3, :3].ravel(), T[:3, 3], [fx, fy, cx, cy], x_limits, y_limits])


@kernel
def _dot(u, v):
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


@kernel
def _rotation(quat):
    """Rows of the rotation matrix of a quaternion of any length, the unit quaternion, and one over its length."""
    inverse = 1 / math.sqrt(quat[0] * quat[0] + quat[1] * quat[1] + quat[2] * quat[2] + quat[3] * quat[3])
    w, x, y, z = quat[0] * inverse, quat[1] * inverse, quat[2] * inverse, quat[3] * inverse
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return rows, (w, x, y, z), inverse


@kernel
def _position(mean, camera):
    """The centre in the camera's frame, and its slopes x / z and y / z limited to the neighbourhood of the view."""
    x = camera[0] * mean[0] + camera[1] * mean[1] + camera[2] * mean[2] + camera[9]
    y = camera[3] * mean[0] + camera[4] * mean[1] + camera[5] * mean[2] + camera[10]
    z = camera[6] * mean[0] + camera[7] * mean[1] + camera[8] * mean[2] + camera[11]
    slope_x = min(max(x / z, camera[16]), camera[17])
    slope_y = min(max(y / z, camera[18]), camera[19])
    return (x, y, z), (slope_x, slope_y)


@kernel
def _jacobian_world(z, slopes, camera):
    """Rows of J W: how the pixel moves with the point in the world (J: perspective, linearised; W: rotation)."""
    fx, fy = camera[12] / z, camera[13] / z
    return (
        (
            fx * (camera[0] - slopes[0] * camera[6]),
            fx * (camera[1] - slopes[0] * camera[7]),
            fx * (camera[2] - slopes[0] * camera[8]),
        ),
        (
            fy * (camera[3] - slopes[1] * camera[6]),
            fy * (camera[4] - slopes[1] * camera[7]),
            fy * (camera[5] - slopes[1] * camera[8]),
        ),
    )


@kernel
def _root(P, R, scale):
    """Rows of M = P R S, whose square M M^T is the projected covariance."""
    columns = ((R[0][0], R[1][0], R[2][0]), (R[0][1], R[1][1], R[2][1]), (R[0][2], R[1][2], R[2][2]))
    return (
        (_dot(P[0], columns[0]) * scale[0], _dot(P[0], columns[1]) * scale[1], _dot(P[0], columns[2]) * scale[2]),
        (_dot(P[1], columns[0]) * scale[0], _dot(P[1], columns[1]) * scale[1], _dot(P[1], columns[2]) * scale[2]),
    )


@kernel
def project(
    worker, workers, count, order, means, quats, scales, opacities, colors, camera, width, height,
    records, spans, share, span_start, pair_start, tile_counts,
):  # fmt: skip
    """Project the ranks of one worker and find the tiles that each splat reaches.

    Args:
        count, order: as `sort_by_depth` made them.
        records: out, `raster.RECORD` numbers a rank.
        spans: out, for each tile column that a splat meets the first and the end row of pixels.
        share: length of the part of `spans` that each worker fills. What does not fit is counted but not written.
        span_start: out, three numbers a rank: place in `spans`, first tile column, number of columns.
        pair_start: out, number of (splat, tile) pairs of this worker before each rank.
        tile_counts: out, (workers, tiles) number of pairs in each tile.

    Returns:
        How long the worker's share of `spans` ought to be.
    """
    tile_counts[worker] = 0
    columns = (width + LANES - 1) // LANES
    needed, pairs = 0, 0
    for rank in range(count * worker // workers, count * (worker + 1) // workers):
        pair_start[rank] = pairs
        span_start[3 * rank + 2] = 0
        i = order[rank]
        position, slopes = _position(means[i], camera)
        x, y = camera[12] * position[0] / position[2] + camera[14], camera[13] * position[1] / position[2] + camera[15]
        R, _, _ = _rotation(quats[i])
        M = _root(_jacobian_world(position[2], slopes, camera), R, scales[i])
        xx, xy, yy = _dot(M[0], M[0]) + BLUR, _dot(M[0], M[1]), _dot(M[1], M[1]) + BLUR
        determinant = xx * yy - xy * xy
        if not (opacities[i] >= MIN_ALPHA and determinant > 0 and determinant < np.inf):
            continue
        # The splat is drawn where d^T conic d <= reach: beyond, its alpha is below the cutoff.
        reach = 2 * math.log(opacities[i] / MIN_ALPHA)
        radius_x, radius_y = math.sqrt(reach * xx) + SLACK, math.sqrt(reach * yy) + SLACK
        if not (x + radius_x > 0 and x - radius_x < width and y + radius_y > 0 and y - radius_y < height):
            continue
        first = (math.floor(max(x - radius_x - 0.5, -1.0)) + 1) // LANES
        end = math.floor(min(x + radius_x - 0.5, width - 1.0)) // LANES + 1
        if end <= first:
            continue
        r = rank * raster.RECORD
        records[r + raster.X], records[r + raster.Y], records[r + raster.DEPTH] = x, y, position[2]
        records[r + raster.A] = -yy / determinant / 16
        records[r + raster.B] = xy / determinant / 8
        records[r + raster.C] = -xx / determinant / 16
        records[r + raster.LOG] = math.log(opacities[i]) / 8
        for channel in range(3):
            records[r + raster.RED + channel] = colors[i, channel]
        start, room = worker * share + needed, 2 * LANES * ((end - first + LANES - 1) // LANES)
        needed += room
        if needed > share:
            continue
        span_start[3 * rank], span_start[3 * rank + 1], span_start[3 * rank + 2] = start, first, end - first
        highest = xy * math.sqrt(reach / yy)
        write_spans(spans, start, first, end, x, y, radius_x, xy / xx, math.sqrt(determinant) / xx, highest, height)
        for column in range(first, end):
            place = start + span_place(column - first)
            for tile_row in tile_rows(int(spans[place]), int(spans[place + LANES])):
                tile_counts[worker, tile_row * columns + column] += 1
                pairs += 1
    pair_start[count + 1 + worker] = pairs
    return needed


@kernel
def project_back(
    worker, workers, count, order, means, quats, scales, opacities, camera,
    records, pair_start, places, slots, g_depth, g_means, g_quats, g_scales, g_opacities, g_colors, statistics,
):  # fmt: skip
    """Add the gradients of one worker's ranks to those of the Gaussians.

    Args:
        count ... pair_start: as `project` used and made them; `open_tiles` has passed over `pair_start`.
        places, slots: where the slot of each pair is, and the slots as `raster.backward` made them.
        g_depth: None where the loss does not depend on the depth picture.
        g_means, ...: out, one row a Gaussian; a Gaussian has one rank, so no two threads meet.
        statistics: None, or out, (Gaussians, 3): contribution and absolute gradients by the projected centre.
    """
    sums = np.empty(raster.SLOT, np.float64)
    for rank in range(count * worker // workers, count * (worker + 1) // workers):
        first, end = pair_start[rank], pair_start[rank + 1]
        if first == end:
            continue
        sums[:] = 0.0
        for k in range(first, end):
            slot = places[k] * raster.SLOT
            for term in range(raster.S_DEPTH):
                sums[term] += slots[slot + term]
            if g_depth is not None:
                sums[raster.S_DEPTH] += slots[slot + raster.S_DEPTH]
            if statistics is not None:
                for term in range(raster.S_WEIGHT, raster.SLOT):
                    sums[term] += slots[slot + term]
        i, r = order[rank], rank * raster.RECORD
        if statistics is not None:
            statistics[i, 0] += sums[raster.S_WEIGHT]
            # The record holds an eighth of the exponent.
            statistics[i, 1] += 8 * sums[raster.S_ABS_X]
            statistics[i, 2] += 8 * sums[raster.S_ABS_Y]
        for channel in range(3):
            g_colors[i, channel] += sums[raster.S_RED + channel]
        g_opacities[i] += sums[raster.S] / opacities[i]
        a, b, c = -16.0 * records[r + raster.A], -8.0 * records[r + raster.B], -16.0 * records[r + raster.C]
        # The exponent is -d^T conic d / 2 with d the pixel minus the centre, and for G = d conic,
        # d covariance = -conic G conic.
        g_x = a * sums[raster.SX] + b * sums[raster.SY]
        g_y = b * sums[raster.SX] + c * sums[raster.SY]
        ax, ay = a * sums[raster.SXX] + b * sums[raster.SXY], a * sums[raster.SXY] + b * sums[raster.SYY]
        bx, by = b * sums[raster.SXX] + c * sums[raster.SXY], b * sums[raster.SXY] + c * sums[raster.SYY]
        g_cov = (0.5 * (ax * a + ay * b), 0.5 * (ax * b + ay * c), 0.5 * (bx * b + by * c))
        _gaussian_back(
            i, means, quats, scales, camera, g_x, g_y, sums[raster.S_DEPTH], g_cov, g_means, g_quats, g_scales
        )


@kernel
def _gaussian_back(i, means, quats, scales, camera, g_x, g_y, g_z, g_cov, g_means, g_quats, g_scales):
    """From the gradients by the projected centre, depth and covariance (xx, xy, yy) to those by the Gaussian."""
    position, slopes = _position(means[i], camera)
    x, y, z = position
    scale = (scales[i, 0], scales[i, 1], scales[i, 2])
    R, q, inverse = _rotation(quats[i])
    P = _jacobian_world(z, slopes, camera)
    M = _root(P, R, scale)
    # covariance = M M^T, M = P Q, Q = R S
    gM0 = (
        2 * (g_cov[0] * M[0][0] + g_cov[1] * M[1][0]),
        2 * (g_cov[0] * M[0][1] + g_cov[1] * M[1][1]),
        2 * (g_cov[0] * M[0][2] + g_cov[1] * M[1][2]),
    )
    gM1 = (
        2 * (g_cov[1] * M[0][0] + g_cov[2] * M[1][0]),
        2 * (g_cov[1] * M[0][1] + g_cov[2] * M[1][1]),
        2 * (g_cov[1] * M[0][2] + g_cov[2] * M[1][2]),
    )
    gQ0 = _outer_row(P[0][0], gM0, P[1][0], gM1)
    gQ1 = _outer_row(P[0][1], gM0, P[1][1], gM1)
    gQ2 = _outer_row(P[0][2], gM0, P[1][2], gM1)
    for j in range(3):
        g_scales[i, j] += R[0][j] * gQ0[j] + R[1][j] * gQ1[j] + R[2][j] * gQ2[j]
    _quat_back(i, q, inverse, _times(gQ0, scale), _times(gQ1, scale), _times(gQ2, scale), g_quats)

    sM0, sM1 = _times(gM0, scale), _times(gM1, scale)
    gP0 = (_dot(R[0], sM0), _dot(R[1], sM0), _dot(R[2], sM0))
    gP1 = (_dot(R[0], sM1), _dot(R[1], sM1), _dot(R[2], sM1))
    # P = J W with J = [fx / z, 0, -fx slope_x / z; 0, fy / z, -fy slope_y / z]
    W0, W1, W2 = (camera[0], camera[1], camera[2]), (camera[3], camera[4], camera[5]), (camera[6], camera[7], camera[8])
    fx, fy = camera[12] / z, camera[13] / z
    gJ_x, gJ_xz, gJ_y, gJ_yz = _dot(gP0, W0), _dot(gP0, W2), _dot(gP1, W1), _dot(gP1, W2)
    g_z -= (fx * (gJ_x - slopes[0] * gJ_xz + g_x * x) + fy * (gJ_y - slopes[1] * gJ_yz + g_y * y)) / z
    gx, gy = g_x * fx, g_y * fy
    if slopes[0] == x / z:
        gx -= fx * gJ_xz / z
        g_z += fx * gJ_xz * x / (z * z)
    if slopes[1] == y / z:
        gy -= fy * gJ_yz / z
        g_z += fy * gJ_yz * y / (z * z)
    for j in range(3):
        g_means[i, j] += gx * W0[j] + gy * W1[j] + g_z * W2[j]


@kernel
def _outer_row(p, u, q, v):
    return (p * u[0] + q * v[0], p * u[1] + q * v[1], p * u[2] + q * v[2])


@kernel
def _times(u, v):
    return (u[0] * v[0], u[1] * v[1], u[2] * v[2])


@kernel
def _quat_back(i, q, inverse, g0, g1, g2, g_quats):
    """Gradient by a quaternion of any length from those by the rows of its rotation matrix."""
    w, x, y, z = q
    gw = 2 * (x * (g2[1] - g1[2]) + y * (g0[2] - g2[0]) + z * (g1[0] - g0[1]))
    gx = 2 * (w * (g2[1] - g1[2]) + y * (g0[1] + g1[0]) + z * (g0[2] + g2[0]) - 2 * x * (g1[1] + g2[2]))
    gy = 2 * (w * (g0[2] - g2[0]) + x * (g0[1] + g1[0]) + z * (g1[2] + g2[1]) - 2 * y * (g0[0] + g2[2]))
    gz = 2 * (w * (g1[0] - g0[1]) + x * (g0[2] + g2[0]) + y * (g1[2] + g2[1]) - 2 * z * (g0[0] + g1[1]))
    along = w * gw + x * gx + y * gy + z * gz
    g_quats[i, 0] += (gw - along * w) * inverse
    g_quats[i, 1] += (gx - along * x) * inverse
    g_quats[i, 2] += (gy - along * y) * inverse
    g_quats[i, 3] += (gz - along * z) * inverse
