"""Which splats meet which tiles, front to back: sorting and binning for the `cpu` backend."""

from __future__ import annotations

import numpy as np

from avatar.kernels.constants import NEAR
from avatar.kernels.simd import (
    LANES,
    Array,
    Number,
    floor,
    inlined,
    kernel,
    lanes,
    maximum,
    minimum,
    splat,
    sqrt,
    store,
)
from avatar.kernels.splat_blending import ROWS

SLACK = 0.01
"""Slack of the bounds in pixels: far above the rounding of float32, far below what would cost time."""

# Where to find what of a splat: place in `spans`, first tile column, number of columns, first pair.
SPAN, COLUMN, COLUMNS, PAIR = range(4)
LAYOUT = 4


@inlined
def share(number: int, part: int, parts: int) -> tuple[int, int]:
    """First and end of one part of `number` things."""
    return number * part // parts, number * (part + 1) // parts


@kernel
def order_by_depth(means: Array, camera: Array, depths: Array, depth_bits: Array, order: Array, spare: Array) -> int:
    """Write the indices of the Gaussians before the camera to `order`, front to back, and return their number.

    The bits of positive floats are ordered like the floats, so a radix sort of four passes does it; it is stable, and
    equal depths stay in the order of the Gaussians, as in gsplat.

    Args:
        camera: see `cpu_project.camera_numbers`.
        depths, depth_bits: scratch, the same memory as float32 and as uint32.
        order, spare: one entry per Gaussian; `spare` is scratch.
    """
    count = 0
    histogram = np.zeros((4, 256), np.int64)
    for i in range(len(means)):
        depth = camera[6] * means[i, 0] + camera[7] * means[i, 1] + camera[8] * means[i, 2] + camera[11]
        if NEAR <= depth < np.inf:
            depths[i] = depth
            order[count] = i
            count += 1
            for digit in range(4):
                histogram[digit, _digit(depth_bits[i], digit)] += 1
    source, target = order, spare
    for digit in range(4):
        place = 0
        for bucket in range(256):
            place, histogram[digit, bucket] = place + histogram[digit, bucket], place
        for k in range(count):
            i = source[k]
            bucket = _digit(depth_bits[i], digit)
            target[histogram[digit, bucket]] = i
            histogram[digit, bucket] += 1
        source, target = target, source
    return count


@inlined
def _digit(bits: Number, digit: int) -> Number:
    return np.int64(bits >> np.uint32(8 * digit) & np.uint32(255))


@inlined
def span_place(k: int) -> int:
    """Where the first row of the k-th column stands; its end row stands LANES further on."""
    return k // LANES * 2 * LANES + k % LANES


@inlined
def tile_rows(begin: int, end: int) -> range:
    """The rows of tiles that pixel rows `begin` to `end` meet."""
    return range(begin // ROWS, (end - 1) // ROWS + 1 if end > begin else 0)


@kernel
def write_spans(
    spans: Array,
    start: int,
    first: int,
    end: int,
    x: Number,
    y: Number,
    radius: Number,
    tilt: Number,
    ratio: Number,
    lowest: Number,
    height: int,
) -> None:
    """The rows of pixels that an ellipse covers in each tile column, a vector of columns at a time.

    Its border is y = tilt dx +- ratio sqrt(radius^2 - dx^2), with y downwards lowest at dx = lowest and highest at
    dx = -lowest; in a strip it is so at the dx of the strip nearest to those.
    """
    for column in range(first, end, LANES):
        left = (lanes() + float(column)) * float(LANES) + (0.5 - x)
        left, right = maximum(left, -radius), minimum(left + (LANES - 1.0), radius)
        down, up = minimum(maximum(left, lowest), right), minimum(maximum(left, -lowest), right)
        bottom = down * tilt + sqrt(maximum(splat(radius * radius) - down * down, 0.0)) * ratio
        top = up * tilt - sqrt(maximum(splat(radius * radius) - up * up, 0.0)) * ratio
        place = start + 2 * (column - first)
        # Rows of pixels have their centres at +0.5. An empty span has equal ends.
        begin = minimum(maximum(floor(top + (y - 0.5 - SLACK)) + 1.0, 0.0), float(height))
        store(spans, place, begin)
        store(spans, place + LANES, maximum(minimum(floor(bottom + (y - 0.5 + SLACK)) + 1.0, float(height)), begin))


@kernel
def open_tiles(tile_counts: Array, starts: Array, first_pairs: Array) -> int:
    """Turn the counts of each part and tile into places: `starts` of each tile, and in it of each part's entries.

    The parts are those of the splats front to back, so each tile comes out sorted by depth.

    Args:
        tile_counts: (parts, tiles) numbers of splats; afterwards the place of the first entry of each.
        first_pairs: out, the number of pairs before each part.

    Returns:
        The number of pairs.
    """
    parts, number = tile_counts.shape
    first_pairs[:] = 0
    place = 0
    for tile in range(number):
        starts[tile] = place
        for part in range(parts):
            count = tile_counts[part, tile]
            tile_counts[part, tile] = place
            place += count
            if part + 1 < parts:
                first_pairs[part + 1] += count
    starts[number] = place
    for part in range(1, parts):
        first_pairs[part] += first_pairs[part - 1]
    return place


@kernel
def fill_tiles(
    part: int,
    parts: int,
    count: int,
    spans: Array,
    layout: Array,
    cursors: Array,
    first_pairs: Array,
    width: int,
    entries: Array,
    entry_pairs: Array,
) -> None:
    """Write the entries of one part of the splats, and which pair each is.

    Args:
        count: number of splats.
        layout: `LAYOUT` entries per splat; filled in: the index of its first pair, and one past its last.
        cursors: (parts, tiles), for each tile the place of its next entry.
        first_pairs: see `open_tiles`.
    """
    columns = (width + LANES - 1) // LANES
    own, pair = cursors[part], first_pairs[part]
    first, end = share(count, part, parts)
    for i in range(first, end):
        place = LAYOUT * i
        start, column = layout[place + SPAN], layout[place + COLUMN]
        layout[place + PAIR] = pair
        for k in range(layout[place + COLUMNS]):
            strip = start + span_place(k)
            top_row, end_row = int(spans[strip]), int(spans[strip + LANES])
            for tile_row in tile_rows(top_row, end_row):
                top = tile_row * ROWS
                tile = tile_row * columns + column + k
                entry = own[tile]
                own[tile] = entry + 1
                entries[entry] = i << 16 | max(top_row - top, 0) << 8 | min(end_row - top, ROWS)
                entry_pairs[entry] = pair
                pair += 1
    if end == count:
        layout[LAYOUT * count + PAIR] = pair
