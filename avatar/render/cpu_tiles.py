"""Which splats meet which tiles, front to back: sorting and binning for the `cpu` backend."""

from __future__ import annotations

import numpy as np

from avatar.render.constants import NEAR
from avatar.render.cpu_raster import ROWS
from avatar.render.simd import LANES, floor, kernel, lanes, maximum, minimum, splat, sqrt, store

SLACK = 0.01
"""Slack of the bounds in pixels: far above the rounding of float32, far below what would cost time."""

_DIGIT = 11  # bits sorted in one pass
_BUCKETS = 1 << _DIGIT


@kernel
def sort_by_depth(means, camera, depths, depth_bits, order, spare):
    """Write the indices of the Gaussians beyond the near plane to `order`, front to back, and return their number.

    The bits of positive floats are ordered like the floats, so a radix sort takes three passes; it is stable, and
    equal depths stay in the order of the Gaussians, as in gsplat.

    Args:
        depths, depth_bits: scratch, the same memory seen as float32 and as uint32.
        spare: scratch like `order`.
    """
    count = 0
    histogram = np.zeros((3, _BUCKETS), np.int64)
    for i in range(len(means)):
        z = camera[6] * means[i, 0] + camera[7] * means[i, 1] + camera[8] * means[i, 2] + camera[11]
        depths[i] = z
        if depths[i] >= NEAR and depths[i] < np.inf:
            order[count] = i
            count += 1
            for digit in range(3):
                histogram[digit, depth_bits[i] >> np.uint32(digit * _DIGIT) & np.uint32(_BUCKETS - 1)] += 1
    source, target = order, spare
    for digit in range(3):
        place = 0
        for bucket in range(_BUCKETS):
            place, histogram[digit, bucket] = place + histogram[digit, bucket], place
        for k in range(count):
            i = source[k]
            bucket = np.int64(depth_bits[i] >> np.uint32(digit * _DIGIT) & np.uint32(_BUCKETS - 1))
            target[histogram[digit, bucket]] = i
            histogram[digit, bucket] += 1
        source, target = target, source
    order[:count] = source[:count]
    return count


@kernel
def span_place(k):
    """Where the first row of the k-th column stands; its end row stands LANES further on."""
    return k // LANES * 2 * LANES + k % LANES


@kernel
def tile_rows(begin, end):
    """The rows of tiles that pixel rows `begin` to `end` meet."""
    return range(begin // ROWS, (end - 1) // ROWS + 1 if end > begin else 0)


@kernel
def write_spans(spans, start, first, end, x, y, radius, tilt, ratio, highest, height):
    """The rows of pixels that an ellipse covers in each tile column, a vector of columns at a time.

    Its border is y = tilt dx +- ratio sqrt(radius^2 - dx^2), farthest down (the picture's y) at dx = highest and
    farthest up at -highest; in a strip it is farthest at the dx of the strip nearest to those.
    """
    for column in range(first, end, LANES):
        left = (lanes() + float(column)) * float(LANES) + (0.5 - x)
        left, right = maximum(left, -radius), minimum(left + (LANES - 1.0), radius)
        down, up = minimum(maximum(left, highest), right), minimum(maximum(left, -highest), right)
        bottom = down * tilt + sqrt(maximum(splat(radius * radius) - down * down, 0.0)) * ratio
        top = up * tilt - sqrt(maximum(splat(radius * radius) - up * up, 0.0)) * ratio
        place = start + 2 * (column - first)
        # Rows of pixels have their centres at +0.5. An empty span has equal ends.
        begin = minimum(maximum(floor(top + (y - 0.5 - SLACK)) + 1.0, 0.0), float(height))
        store(spans, place, begin)
        store(spans, place + LANES, maximum(minimum(floor(bottom + (y - 0.5 + SLACK)) + 1.0, float(height)), begin))


@kernel
def open_tiles(workers, count, pair_start, tile_counts, starts):
    """Turn counts into places, in place: of each worker in each tile, of each tile, and of each rank's pairs.

    Returns:
        The number of pairs.
    """
    place = 0
    for tile in range(tile_counts.shape[1]):
        starts[tile] = place
        for worker in range(workers):
            place, tile_counts[worker, tile] = place + tile_counts[worker, tile], place
    starts[tile_counts.shape[1]] = place
    before = 0
    for worker in range(workers):
        own = pair_start[count + 1 + worker]
        for rank in range(count * worker // workers, count * (worker + 1) // workers):
            pair_start[rank] += before
        before += own
    pair_start[count] = before
    return place


@kernel
def fill_tiles(worker, workers, count, spans, span_start, pair_start, tile_counts, width, entries, places):
    """Write the entries of one worker's ranks into their tiles, and where each pair went.

    The workers' ranks follow each other and each goes through its own in order, so every tile is sorted by depth.
    """
    columns = (width + LANES - 1) // LANES
    for rank in range(count * worker // workers, count * (worker + 1) // workers):
        start, first, number = span_start[3 * rank], span_start[3 * rank + 1], span_start[3 * rank + 2]
        pair = pair_start[rank]
        for k in range(number):
            place = start + span_place(k)
            begin, end = int(spans[place]), int(spans[place + LANES])
            for tile_row in tile_rows(begin, end):
                top = tile_row * ROWS
                tile = tile_row * columns + first + k
                entry = tile_counts[worker, tile]
                tile_counts[worker, tile] = entry + 1
                entries[entry] = rank << 16 | max(begin - top, 0) << 8 | min(end - top, ROWS)
                places[pair] = entry
                pair += 1
