"""From Gaussians to splats of one camera, and back: the `cpu` backend's work per Gaussian.

Formulas: Zwicker et al. 2002 (EWA splatting); constants of gsplat 1.5.3. The arithmetic is in float64, which costs
scalar code nothing.
"""

from __future__ import annotations

import math

import numpy as np

from avatar.kernels import splat_blending as raster
from avatar.kernels import splat_tiling as tiles
from avatar.kernels.constants import BLUR, MIN_ALPHA, VIEW_MARGIN
from avatar.kernels.simd import LANES, Array, Number, Quad, Triple, inlined, kernel, load, prefetch, splat, store
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


_LOG_MIN_ALPHA = math.log(MIN_ALPHA)
_AHEAD = 12  # Gaussians between a hint to load one and its use


@inlined
def _dot(u: Triple, v: Triple) -> Number:
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


@inlined
def _rotation(quats: Array, i: int) -> tuple[tuple[Triple, Triple, Triple], Quad, Number]:
    """Rows of the rotation matrix of a quaternion of any length, the unit quaternion, and one over its length."""
    w, x, y, z = np.float64(quats[i, 0]), np.float64(quats[i, 1]), np.float64(quats[i, 2]), np.float64(quats[i, 3])
    inverse = 1 / math.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return rows, (w, x, y, z), inverse


@inlined
def _slopes(means: Array, i: int, camera: Array) -> Triple:
    """Of a centre in the camera's frame: x / z, y / z and 1 / z."""
    mx, my, mz = means[i, 0], means[i, 1], means[i, 2]
    inverse = 1 / (camera[6] * mx + camera[7] * my + camera[8] * mz + camera[11])
    x = camera[0] * mx + camera[1] * my + camera[2] * mz + camera[9]
    y = camera[3] * mx + camera[4] * my + camera[5] * mz + camera[10]
    return x * inverse, y * inverse, inverse


@inlined
def _limited(x: Number, y: Number, camera: Array) -> tuple[Number, Number]:
    """Slopes limited to the neighbourhood of the view, where the projection may be linearised in place."""
    return min(max(x, camera[16]), camera[17]), min(max(y, camera[18]), camera[19])


@inlined
def _jacobian_world(slopes: tuple[Number, Number], inverse_z: Number, camera: Array) -> tuple[Triple, Triple]:
    """Rows of J W: how the pixel moves with the point in the world (J: perspective, linearised; W: rotation)."""
    fx, fy = camera[12] * inverse_z, camera[13] * inverse_z
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


@inlined
def _root(P: tuple[Triple, Triple], R: tuple[Triple, Triple, Triple], scale: Triple) -> tuple[Triple, Triple]:
    """Rows of M = P R S, whose square M M^T is the projected covariance."""
    columns = ((R[0][0], R[1][0], R[2][0]), (R[0][1], R[1][1], R[2][1]), (R[0][2], R[1][2], R[2][2]))
    return (
        (_dot(P[0], columns[0]) * scale[0], _dot(P[0], columns[1]) * scale[1], _dot(P[0], columns[2]) * scale[2]),
        (_dot(P[1], columns[0]) * scale[0], _dot(P[1], columns[1]) * scale[1], _dot(P[1], columns[2]) * scale[2]),
    )


@inlined
def _look_ahead(
    order: Array, rank: int, end: int, means: Array, quats: Array, scales: Array, opacities: Array, colors: Array
) -> None:
    """Begin to load the Gaussian that is due in a while: in the order of depth they lie anywhere."""
    i = order[min(rank + _AHEAD, end - 1)]
    prefetch(means, 3 * i)
    prefetch(quats, 4 * i)
    prefetch(scales, 3 * i)
    prefetch(opacities, i)
    prefetch(colors, 3 * i)


@kernel
def project(
    part: int, parts: int, means: Array, quats: Array, scales: Array, opacities: Array, colors: Array, order: Array,
    camera: Array, width: int, height: int,
    records: Array, spans: Array, room: int, layout: Array, tile_counts: Array,
) -> int:  # fmt: skip
    """Project one part of the Gaussians and find the tiles that each splat reaches. Splats are numbered by `order`.

    Args:
        order: the Gaussians before the camera, front to back.
        camera: see `camera_numbers`.
        records: out, `RECORD` numbers per splat.
        spans: out, for each tile column that a splat meets the first and the end row of pixels.
        room: length of the piece of `spans` that each part fills. What does not fit is counted but not written.
        layout: out, `LAYOUT` entries per splat, without the last; no columns where it is not drawn.
        tile_counts: out, (parts, tiles) number of splats of this part in each tile.

    Returns:
        How long the part's piece of `spans` ought to be.
    """
    counts = tile_counts[part]
    counts[:] = 0
    columns = (width + LANES - 1) // LANES
    needed = 0
    begin, stop = tiles.share(len(order), part, parts)
    for rank in range(begin, stop):
        _look_ahead(order, rank, stop, means, quats, scales, opacities, colors)
        i, place = order[rank], tiles.LAYOUT * rank
        layout[place + tiles.COLUMNS] = 0
        slope_x, slope_y, inverse_z = _slopes(means, i, camera)
        x, y = camera[12] * slope_x + camera[14], camera[13] * slope_y + camera[15]
        R, _, _ = _rotation(quats, i)
        P = _jacobian_world(_limited(slope_x, slope_y, camera), inverse_z, camera)
        M = _root(P, R, (scales[i, 0], scales[i, 1], scales[i, 2]))
        xx, xy, yy = _dot(M[0], M[0]) + BLUR, _dot(M[0], M[1]), _dot(M[1], M[1]) + BLUR
        determinant = xx * yy - xy * xy
        if not (opacities[i] >= MIN_ALPHA and determinant > 0 and determinant < np.inf):
            continue
        # The splat is drawn where d^T conic d <= reach: beyond, its alpha is below the cutoff.
        log_opacity = math.log(opacities[i])
        reach = 2 * (log_opacity - _LOG_MIN_ALPHA)
        radius_x, radius_y = math.sqrt(reach * xx) + tiles.SLACK, math.sqrt(reach * yy) + tiles.SLACK
        if not (x + radius_x > 0 and x - radius_x < width and y + radius_y > 0 and y - radius_y < height):
            continue
        first = (math.floor(max(x - radius_x - 0.5, -1.0)) + 1) // LANES
        end = math.floor(min(x + radius_x - 0.5, width - 1.0)) // LANES + 1
        if end <= first:
            continue
        r, inverse = rank * raster.RECORD, 1 / determinant
        records[r + raster.X], records[r + raster.Y], records[r + raster.DEPTH] = x, y, 1 / inverse_z
        records[r + raster.A], records[r + raster.C] = -yy * inverse / 16, -xx * inverse / 16
        records[r + raster.B], records[r + raster.LOG] = xy * inverse / 8, log_opacity / 8
        for channel in range(3):
            records[r + raster.RED + channel] = colors[i, channel]
        start, length = part * room + needed, 2 * LANES * ((end - first + LANES - 1) // LANES)
        needed += length
        if needed > room:
            continue
        layout[place + tiles.SPAN], layout[place + tiles.COLUMN] = start, first
        layout[place + tiles.COLUMNS] = end - first
        tilt, ratio, lowest = xy / xx, math.sqrt(determinant) / xx, xy * math.sqrt(reach / yy)
        tiles.write_spans(spans, start, first, end, x, y, radius_x, tilt, ratio, lowest, height)
        for column in range(first, end):
            strip = start + tiles.span_place(column - first)
            for tile_row in tiles.tile_rows(int(spans[strip]), int(spans[strip + LANES])):
                counts[tile_row * columns + column] += 1
    return needed


@kernel
def project_back(
    part: int, parts: int, means: Array, quats: Array, scales: Array, opacities: Array, order: Array, camera: Array,
    records: Array, layout: Array, slots: Array, g_depth: Array | None,
    g_means: Array, g_quats: Array, g_scales: Array, g_opacities: Array, g_colors: Array,
) -> None:  # fmt: skip
    """Add the gradients of one part of the Gaussians, summed over their pairs.

    Args:
        means ... records: as `project` used and made them.
        layout: as `tiles.fill_tiles` left it, with the first pair of each splat and of one beyond the last.
        slots: as `raster.backward` filled them.
        g_depth: None where the loss does not depend on the depth image.
        g_means, ...: out, one row per Gaussian.
    """
    sums = np.empty(LANES, np.float32)
    begin, stop = tiles.share(len(order), part, parts)
    for rank in range(begin, stop):
        _look_ahead(order, rank, stop, g_means, g_quats, g_scales, g_opacities, g_colors)
        _look_ahead(order, rank, stop, means, quats, scales, opacities, g_colors)
        i, r = order[rank], rank * raster.RECORD
        first, end = layout[tiles.LAYOUT * rank + tiles.PAIR], layout[tiles.LAYOUT * (rank + 1) + tiles.PAIR]
        if first == end:
            continue
        eight, blue, g_z = splat(0.0), 0.0, 0.0
        for slot in range(first * raster.SLOT, end * raster.SLOT, raster.SLOT):
            eight = eight + load(slots, slot)
            blue += slots[slot + raster.S_BLUE]
            if g_depth is not None:
                g_z += slots[slot + raster.S_DEPTH]
        store(sums, 0, eight)
        s_x, s_y = sums[raster.SX], sums[raster.SY]
        s_xx, s_xy, s_yy = sums[raster.SXX], sums[raster.SXY], sums[raster.SYY]
        g_colors[i, 0] += sums[raster.S_RED]
        g_colors[i, 1] += sums[raster.S_GREEN]
        g_colors[i, 2] += blue
        g_opacities[i] += sums[raster.S] / opacities[i]
        # The exponent is -d^T conic d / 2 with d the pixel minus the centre, and for G = d conic,
        # d covariance = -conic G conic.
        a, b, c = -16.0 * records[r + raster.A], -8.0 * records[r + raster.B], -16.0 * records[r + raster.C]
        ax, ay, bx, by = a * s_xx + b * s_xy, a * s_xy + b * s_yy, b * s_xx + c * s_xy, b * s_xy + c * s_yy
        g_cov = (0.5 * (ax * a + ay * b), 0.5 * (ax * b + ay * c), 0.5 * (bx * b + by * c))
        g_x, g_y = a * s_x + b * s_y, b * s_x + c * s_y
        _gaussian_back(i, means, quats, scales, camera, g_x, g_y, g_z, g_cov, g_means, g_quats, g_scales)


@kernel
def _gaussian_back(
    i: int,
    means: Array,
    quats: Array,
    scales: Array,
    camera: Array,
    g_x: Number,
    g_y: Number,
    g_z: Number,
    g_cov: Triple,
    g_means: Array,
    g_quats: Array,
    g_scales: Array,
) -> None:
    """From the gradients by the projected centre, depth and covariance (xx, xy, yy) to those by the Gaussian."""
    x, y, inverse_z = _slopes(means, i, camera)
    slopes = _limited(x, y, camera)
    scale = (np.float64(scales[i, 0]), np.float64(scales[i, 1]), np.float64(scales[i, 2]))
    R, q, inverse = _rotation(quats, i)
    P = _jacobian_world(slopes, inverse_z, camera)
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
    fx, fy = camera[12] * inverse_z, camera[13] * inverse_z
    gJ_x, gJ_xz, gJ_y, gJ_yz = _dot(gP0, W0), _dot(gP0, W2), _dot(gP1, W1), _dot(gP1, W2)
    gx, gy = fx * g_x, fy * g_y
    g_z -= gx * x + gy * y
    g_z -= (fx * (gJ_x - slopes[0] * gJ_xz) + fy * (gJ_y - slopes[1] * gJ_yz)) * inverse_z
    # A slope at its limit does not follow the centre.
    if slopes[0] == x:
        gx -= fx * gJ_xz * inverse_z
        g_z += fx * gJ_xz * x * inverse_z
    if slopes[1] == y:
        gy -= fy * gJ_yz * inverse_z
        g_z += fy * gJ_yz * y * inverse_z
    for j in range(3):
        g_means[i, j] += gx * W0[j] + gy * W1[j] + g_z * W2[j]


@inlined
def _outer_row(p: Number, u: Triple, q: Number, v: Triple) -> Triple:
    return (p * u[0] + q * v[0], p * u[1] + q * v[1], p * u[2] + q * v[2])


@inlined
def _times(u: Triple, v: Triple) -> Triple:
    return (u[0] * v[0], u[1] * v[1], u[2] * v[2])


@kernel
def _quat_back(i: int, q: Quad, inverse: Number, g0: Triple, g1: Triple, g2: Triple, g_quats: Array) -> None:
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
