"""Which splats meet which tiles, front to back: sorting and binning for the `cpu` backend."""

from __future__ import annotations

import numpy as np

from avatar.render.cpu_raster import ROWS
from avatar.render.simd import LANES, floor, inlined, kernel, lanes, maximum, minimum, prefetch, splat, sqrt, store

SLACK = 0.01
"""Slack of the bounds in pixels: far above the rounding of float32, far below what would cost time."""

# Where to find what of a Gaussian: place in `spans`, first tile column, number of columns, first pair.
SPAN, COLUMN, COLUMNS, PAIR = range(4)
LAYOUT = 4

_AHEAD = 12  # splats between a hint to load what belongs to a splat and its use


@kernel
def sort_by_depth(depths, depth_bits, order, spare):
    """Write the indices of the Gaussians of positive depth to `order`, front to back, and return their number.

    The bits of positive floats are ordered like the floats, so a radix sort of four passes does it; it is stable, and
    equal depths stay in the order of the Gaussians, as in gsplat.

    Args:
        depths, depth_bits: the same memory seen as float32 and as uint32.
        spare: scratch like `order`.
    """
    count = 0
    histogram = np.zeros((4, 256), np.int64)
    for i in range(len(depths)):
        if depths[i] > 0:
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
def _digit(bits, digit):
    return np.int64(bits >> np.uint32(8 * digit) & np.uint32(255))


@inlined
def span_place(k):
    """Where the first row of the k-th column stands; its end row stands LANES further on."""
    return k // LANES * 2 * LANES + k % LANES


@inlined
def tile_rows(begin, end):
    """The rows of tiles that pixel rows `begin` to `end` meet."""
    return range(begin // ROWS, (end - 1) // ROWS + 1 if end > begin else 0)


@kernel
def write_spans(spans, start, first, end, x, y, radius, tilt, ratio, lowest, height):
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
def open_tiles(workers, layout, tile_counts, starts):
    """Turn counts into places: of each Gaussian's pairs and, in `starts` and `tile_counts[0]`, of each tile.

    Returns:
        The number of pairs.
    """
    place = 0
    for tile in range(tile_counts.shape[1]):
        starts[tile] = place
        for worker in range(workers):
            place += tile_counts[worker, tile]
        tile_counts[0, tile] = starts[tile]
    starts[tile_counts.shape[1]] = place
    before = 0
    for i in range(PAIR, len(layout) - LAYOUT, LAYOUT):
        before, layout[i] = before + layout[i], before
    layout[len(layout) - LAYOUT + PAIR] = before
    return before


@kernel
def fill_tiles(worker, workers, order, spans, layout, cursors, width, entries, entry_pairs):
    """Write the entries of every `workers`-th column of tiles, and which pair each is.

    Every worker goes through all splats from front to back, so each tile comes out sorted by depth.

    Args:
        order: as `sort_by_depth` made it.
        layout: `LAYOUT` places a Gaussian.
        cursors: for each tile the place of its next entry.
    """
    columns = (width + LANES - 1) // LANES
    last = len(order) - 1
    for rank in range(len(order)):
        prefetch(layout, LAYOUT * order[min(rank + 2 * _AHEAD, last)])
        prefetch(spans, layout[LAYOUT * order[min(rank + _AHEAD, last)] + SPAN])
        i = order[rank]
        start, first, number, pair = _places(layout, i)
        for k in range(number):
            place = start + span_place(k)
            begin, end = int(spans[place]), int(spans[place + LANES])
            if (first + k) % workers != worker:
                pair += len(tile_rows(begin, end))
                continue
            for tile_row in tile_rows(begin, end):
                top = tile_row * ROWS
                tile = tile_row * columns + first + k
                entry = cursors[tile]
                cursors[tile] = entry + 1
                entries[entry] = i << 16 | max(begin - top, 0) << 8 | min(end - top, ROWS)
                entry_pairs[entry] = pair
                pair += 1


@inlined
def _places(layout, i):
    i *= LAYOUT
    return layout[i + SPAN], layout[i + COLUMN], layout[i + COLUMNS], layout[i + PAIR]
