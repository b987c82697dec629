"""Blending of depth-sorted splats into tiles of pixels, and the way back: the inner loops of the `cpu` backend.

A tile is one vector of pixels wide and `ROWS` high. Splats are taken front to back, each over the rows of the tile
that it reaches, a vector a row. The backward pass walks front to back too: it blends again, which gives every
transmittance exactly, and carries the loss that is still to come from behind (`ahead`), so that the forward pass has
nothing to remember but its images. Each (splat, tile) pair writes its gradient sums to a slot of its own, hence no
thread waits for another and the result does not depend on their number.

A splat's record is scaled so that `exponent = r[LOG] + r[A] dx^2 + (r[B] dx + r[C] dy) dy` is an eighth of the
logarithm of its alpha, which is what `_exp8` takes.
"""

from __future__ import annotations

import math

from avatar.kernels.constants import MAX_ALPHA, MIN_ALPHA, MIN_TRANSMITTANCE
from avatar.kernels.simd import (
    LANES,
    Array,
    Lanes,
    any_lane,
    inlined,
    kernel,
    lanes,
    load,
    maximum,
    minimum,
    prefetch,
    splat,
    store,
    store_totals,
    total,
    where,
)

ROWS = 16
_NEXT = 3  # splats between a hint to load a record and its use
_TILE = 16  # splats that cost as much as what a tile costs without any
CHECK = 16  # splats between two looks at whether the whole tile is finished

# A splat's record: projected centre, scaled conic and logarithm, colour, depth.
X, Y, A, B, C, LOG, RED, GREEN, BLUE, DEPTH = range(10)
RECORD = 12

# A slot of gradient sums: moments of the gradient by the exponent, by the colour, by the depth.
S, SX, SY, SXX, SXY, SYY, S_RED, S_GREEN, S_BLUE, S_DEPTH = range(10)
SLOT = 10

_PLANE = LANES * ROWS
SCRATCH = 8 * _PLANE
"""Length of the scratch of one thread: the planes of a tile."""

_T, _RED, _GREEN, _BLUE, _DEPTH, _ALPHA = (i * _PLANE for i in range(6))
_AHEAD, _G_RED, _G_GREEN, _G_BLUE, _G_DEPTH = (i * _PLANE for i in range(1, 6))
_LOWEST = math.log(MIN_ALPHA) / 8


@inlined
def _exp8(y: Lanes) -> Lanes:
    """exp(8 y) for -0.7 < y <= 0: the minimax polynomial of degree 5 for exp(y) (error 8e-8), to the eighth power."""
    p = splat(0.00586850789755348) * y + 0.039809848868371175
    p = p * y + 0.16599682288083648
    p = p * y + 0.49988856047838914
    p = p * y + 0.9999931514950579
    p = p * y + 0.9999999367537104
    p = p * p
    p = p * p
    return p * p


@inlined
def _open_tile(planes: Array, left: int, top: int, width: int, height: int) -> None:
    """Transmittance one inside the image, and zero, that is finished, beyond its border."""
    columns = lanes() + float(left)
    for row in range(ROWS):
        open_until = float(width) if top + row < height else 0.0
        store(planes, _T + row * LANES, where(columns < open_until, 1.0, 0.0))


@inlined
def _finished(planes: Array) -> bool:
    """Whether no pixel of the tile lets light through any more."""
    left = splat(0.0)
    for row in range(ROWS):
        left = maximum(left, load(planes, _T + row * LANES))
    return not any_lane(left > 0.0)


@inlined
def _tiles(starts: Array, part: int, parts: int) -> range:
    """One part of the tiles: a stretch of them, row by row, so that few splats reach into two parts.

    The work in a tile is taken to be its splats and a little for its own pixels.
    """
    number, first, end = len(starts) - 1, 0, 0
    whole = starts[number] + number * _TILE
    for tile in range(number):
        work = (starts[tile] + tile * _TILE) * parts
        first += work < whole * part
        end += work < whole * (part + 1)
    return range(first, end)


@kernel
def forward(
    part: int,
    parts: int,
    starts: Array,
    entries: Array,
    records: Array,
    scratch: Array,
    width: int,
    height: int,
    rgb: Array,
    alpha: Array,
    depth: Array,
) -> None:
    """Blend one part of the tiles into the images; where no splat is, they become zero.

    Args:
        starts: for each tile the place in `entries` where its splats begin; one more at the end.
        entries: splats of each tile front to back, as `Gaussian << 16 | first_row << 8 | end_row`.
        records: `RECORD` numbers per Gaussian.
        scratch: `SCRATCH` numbers per part.
        rgb, alpha, depth: flat images.
    """
    planes = scratch[part * SCRATCH : (part + 1) * SCRATCH]
    columns = (width + LANES - 1) // LANES
    for tile in _tiles(starts, part, parts):
        position, last = starts[tile], starts[tile + 1]
        left, top = (tile % columns) * LANES, (tile // columns) * ROWS
        if position == last:
            _clear_tile(left, top, width, height, rgb, alpha, depth)
            continue
        _open_tile(planes, left, top, width, height)
        for i in range(_PLANE, 6 * _PLANE, LANES):
            store(planes, i, splat(0.0))
        while position < last and not _finished(planes):
            for p in range(position, min(position + CHECK, last)):
                prefetch(records, (entries[min(p + _NEXT, last - 1)] >> 16) * RECORD)
                _blend(planes, entries[p], records, left, top)
            position += CHECK
        _write_tile(planes, left, top, width, height, rgb, alpha, depth)


@inlined
def _blend(planes: Array, entry: int, records: Array, left: int, top: int) -> None:
    """Lay one splat over the tile."""
    r = (entry >> 16) * RECORD
    dx = lanes() + (left + 0.5 - records[r + X])
    base = dx * records[r + A] * dx + records[r + LOG]
    slope = dx * records[r + B]
    c = records[r + C]
    dy = splat(top + (entry >> 8 & 255) + 0.5 - records[r + Y])
    red, green, blue, z = records[r + RED], records[r + GREEN], records[r + BLUE], records[r + DEPTH]
    for i in range((entry >> 8 & 255) * LANES, (entry & 255) * LANES, LANES):
        exponent = base + (slope + dy * c) * dy
        dy = dy + 1.0
        a = where(exponent >= _LOWEST, minimum(_exp8(exponent), MAX_ALPHA), 0.0)
        T = load(planes, _T + i)
        weight = a * T
        rest = T - weight
        going_on = rest > MIN_TRANSMITTANCE
        weight = where(going_on, weight, 0.0)
        store(planes, _T + i, where(going_on, rest, 0.0))
        store(planes, _RED + i, load(planes, _RED + i) + weight * red)
        store(planes, _GREEN + i, load(planes, _GREEN + i) + weight * green)
        store(planes, _BLUE + i, load(planes, _BLUE + i) + weight * blue)
        store(planes, _DEPTH + i, load(planes, _DEPTH + i) + weight * z)
        store(planes, _ALPHA + i, load(planes, _ALPHA + i) + weight)


@kernel
def _clear_tile(left: int, top: int, width: int, height: int, rgb: Array, alpha: Array, depth: Array) -> None:
    for row in range(top, min(top + ROWS, height)):
        first, end = row * width + left, row * width + min(left + LANES, width)
        rgb[3 * first : 3 * end], alpha[first:end], depth[first:end] = 0.0, 0.0, 0.0


@kernel
def _write_tile(
    planes: Array, left: int, top: int, width: int, height: int, rgb: Array, alpha: Array, depth: Array
) -> None:
    for row in range(min(ROWS, height - top)):
        for lane in range(min(LANES, width - left)):
            i = row * LANES + lane
            pixel = (top + row) * width + left + lane
            rgb[3 * pixel] = planes[_RED + i]
            rgb[3 * pixel + 1] = planes[_GREEN + i]
            rgb[3 * pixel + 2] = planes[_BLUE + i]
            alpha[pixel] = planes[_ALPHA + i]
            depth[pixel] = planes[_DEPTH + i]


@kernel
def backward(
    part: int, parts: int, starts: Array, entries: Array, records: Array, scratch: Array, width: int, height: int,
    rgb: Array, alpha: Array, depth: Array,
    g_rgb: Array, g_alpha: Array, g_depth: Array | None, entry_pairs: Array, slots: Array,
) -> None:  # fmt: skip
    """Sum up the gradients of the pairs of one part of the tiles into their slots.

    Args:
        starts, entries, records, scratch, rgb, alpha, depth: as `forward` used and made them.
        g_rgb, g_alpha, g_depth: flat gradients of the loss by the images; `g_depth` may be None.
        entry_pairs: the pair that each entry is, that is, the number of its slot; a splat's slots lie together.
        slots: out, `SLOT` numbers a pair, about the offset (dx, dy) of the pixel from the splat's centre.
    """
    planes = scratch[part * SCRATCH : (part + 1) * SCRATCH]
    columns = (width + LANES - 1) // LANES
    for tile in _tiles(starts, part, parts):
        position, last = starts[tile], starts[tile + 1]
        if position == last:
            continue
        left, top = (tile % columns) * LANES, (tile // columns) * ROWS
        _open_tile(planes, left, top, width, height)
        _read_tile(planes, left, top, width, height, rgb, alpha, depth, g_rgb, g_alpha, g_depth)
        while position < last and not _finished(planes):
            for p in range(position, min(position + CHECK, last)):
                prefetch(records, (entries[min(p + _NEXT, last - 1)] >> 16) * RECORD)
                pair = entry_pairs[p]
                _blend_back(planes, entries[p], records, left, top, slots, pair, g_depth)
            position += CHECK
        for p in range(position, last):
            pair = entry_pairs[p]
            slots[pair * SLOT : (pair + 1) * SLOT] = 0.0


@kernel
def _read_tile(
    planes: Array,
    left: int,
    top: int,
    width: int,
    height: int,
    rgb: Array,
    alpha: Array,
    depth: Array,
    g_rgb: Array,
    g_alpha: Array,
    g_depth: Array | None,
) -> None:
    """Gradients of the tile's pixels, and the loss ahead, to first order: gradient times value.

    Alpha is one minus the final transmittance, so its part of the loss ahead is constant along the ray.
    """
    for i in range(_PLANE, 6 * _PLANE, LANES):
        store(planes, i, splat(0.0))
    for row in range(min(ROWS, height - top)):
        for lane in range(min(LANES, width - left)):
            i = row * LANES + lane
            pixel = (top + row) * width + left + lane
            red, green, blue = g_rgb[3 * pixel], g_rgb[3 * pixel + 1], g_rgb[3 * pixel + 2]
            planes[_G_RED + i], planes[_G_GREEN + i], planes[_G_BLUE + i] = red, green, blue
            ahead = red * rgb[3 * pixel] + green * rgb[3 * pixel + 1] + blue * rgb[3 * pixel + 2]
            ahead -= g_alpha[pixel] * (1 - alpha[pixel])
            if g_depth is not None:
                planes[_G_DEPTH + i] = g_depth[pixel]
                ahead += g_depth[pixel] * depth[pixel]
            planes[_AHEAD + i] = ahead


@inlined
def _blend_back(
    planes: Array, entry: int, records: Array, left: int, top: int, slots: Array, pair: int, g_depth: Array | None
) -> None:
    """Lay one splat over the tile again and sum up its gradients.

    With w = alpha T and g.c the gradient times the splat's colour, the derivative of the loss by the exponent of
    alpha is w g.c - alpha / (1 - alpha) * (loss ahead, behind this splat); see Kerbl et al. 2023, appendix.
    """
    r = (entry >> 16) * RECORD
    dx = lanes() + (left + 0.5 - records[r + X])
    base = dx * records[r + A] * dx + records[r + LOG]
    slope = dx * records[r + B]
    c = records[r + C]
    dy = splat(top + (entry >> 8 & 255) + 0.5 - records[r + Y])
    red, green, blue, z = records[r + RED], records[r + GREEN], records[r + BLUE], records[r + DEPTH]
    # Moments by powers of dy; those of dx follow at the end, since dx is the same in every row.
    m0, m1, m2 = splat(0.0), splat(0.0), splat(0.0)
    sum_red, sum_green, sum_blue, sum_z = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
    for i in range((entry >> 8 & 255) * LANES, (entry & 255) * LANES, LANES):
        exponent = base + (slope + dy * c) * dy
        full = _exp8(exponent)
        a = where(exponent >= _LOWEST, minimum(full, MAX_ALPHA), 0.0)
        T = load(planes, _T + i)
        weight = a * T
        rest = T - weight
        going_on = rest > MIN_TRANSMITTANCE
        weight = where(going_on, weight, 0.0)
        store(planes, _T + i, where(going_on, rest, 0.0))

        g_red, g_green, g_blue = load(planes, _G_RED + i), load(planes, _G_GREEN + i), load(planes, _G_BLUE + i)
        shine = g_red * red + g_green * green + g_blue * blue
        sum_red = sum_red + weight * g_red
        sum_green = sum_green + weight * g_green
        sum_blue = sum_blue + weight * g_blue
        if g_depth is not None:
            g_z = load(planes, _G_DEPTH + i)
            shine = shine + g_z * z
            sum_z = sum_z + weight * g_z
        shine = shine * weight
        ahead = load(planes, _AHEAD + i) - shine
        store(planes, _AHEAD + i, ahead)
        # Where alpha is cut to its maximum it does not depend on the splat's shape.
        s = where(going_on & (full <= MAX_ALPHA), shine - a * ahead / (splat(1.0) - a), 0.0)
        m0 = m0 + s
        s_dy = s * dy
        m1 = m1 + s_dy
        m2 = m2 + s_dy * dy
        dy = dy + 1.0
    m0_x, m1_x = m0 * dx, m1 * dx
    store_totals(slots, pair * SLOT, (m0, m0_x, m1, m0_x * dx, m1_x, m2, sum_red, sum_green))
    slots[pair * SLOT + S_BLUE] = total(sum_blue)
    if g_depth is not None:
        slots[pair * SLOT + S_DEPTH] = total(sum_z)
