"""Value and gradient of SSIM in one sweep down the image; `avatar.metrics.ssim` defines SSIM.

With p = a + b and q = a - b only four blurs are needed instead of five, because SSIM depends on the blurred images
through P = blur(p), Q = blur(q), and the variances blur(p^2) - P^2 and blur(q^2) - Q^2 alone. The gradient blurs three
maps more (four if both images need one). Each row is blurred horizontally and stays in a ring of eleven rows for the
vertical blur; the maps of the gradient follow five rows behind in the same way. Rows hold the channels
side by side, as the images do.

Where two images agree, as in the background, SSIM is one and its gradient zero. Each row is therefore processed only
within a span: from the first to the last difference in the rows around it, plus the radius of the blur.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from avatar.kernels.constants import SSIM_C1 as C1
from avatar.kernels.constants import SSIM_C2 as C2
from avatar.kernels.constants import SSIM_RADIUS as RADIUS
from avatar.kernels.constants import SSIM_TAPS
from avatar.kernels.simd import (
    LANES,
    Array,
    Lanes,
    Number,
    absolute,
    any_lane,
    inlined,
    kernel,
    lanes,
    load,
    splat,
    store,
    total,
    where,
)
from avatar.kernels.threads import run_parts, threads

Span = tuple[int, int]  # first and end of a stretch of a row

_T0, _T1, _T2, _T3, _T4, _T5 = SSIM_TAPS
_WINDOW = 2 * RADIUS + 1
_ROWS = 9 + 2 * 4 * _WINDOW  # rows of scratch: five plain and four padded ones, two rings of four maps


def fused_ssim(a: Tensor, b: Tensor, needs_gradient: tuple[bool, bool]) -> tuple[float, Tensor | None, Tensor | None]:
    """Mean SSIM of two contiguous float32 (h, w, c) images and the gradients by those that need one."""
    height, width, channels = a.shape
    length, workers = width * channels, min(threads(), max(1, height // _WINDOW))
    border = RADIUS * channels
    stride = border + -(-length // LANES) * LANES + border + LANES
    scratch = np.zeros(workers * _ROWS * stride, np.float32)
    gradients = [torch.empty_like(a) if needed else None for needed in needs_gradient]
    row_sums, differing = np.empty(height), np.empty((height, 2), np.int64)
    arrays = [None if array is None else array.numpy().reshape(-1) for array in (a, b, *gradients)]
    run_parts(_differing, workers, *arrays[:2], length, differing)
    run_parts(_sweep, workers, *arrays, height, length, channels, stride, differing, scratch, row_sums)
    return row_sums.sum() / a.numel(), *gradients


@inlined
def _across(row: Array, i: int, step: int) -> Lanes:
    """Blur along a row."""
    return (
        load(row, i) * _T0
        + (load(row, i - step) + load(row, i + step)) * _T1
        + (load(row, i - 2 * step) + load(row, i + 2 * step)) * _T2
        + (load(row, i - 3 * step) + load(row, i + 3 * step)) * _T3
        + (load(row, i - 4 * step) + load(row, i + 4 * step)) * _T4
        + (load(row, i - 5 * step) + load(row, i + 5 * step)) * _T5
    )


@inlined
def _down(ring: Array, rows: tuple[int, ...], i: int) -> Lanes:
    """Blur across the eleven rows of a ring that start at `rows`."""
    return (
        load(ring, rows[5] + i) * _T0
        + (load(ring, rows[4] + i) + load(ring, rows[6] + i)) * _T1
        + (load(ring, rows[3] + i) + load(ring, rows[7] + i)) * _T2
        + (load(ring, rows[2] + i) + load(ring, rows[8] + i)) * _T3
        + (load(ring, rows[1] + i) + load(ring, rows[9] + i)) * _T4
        + (load(ring, rows[0] + i) + load(ring, rows[10] + i)) * _T5
    )


@inlined
def _window(y: int, stride: int) -> tuple[int, ...]:
    """Where the rows y - 5 ... y + 5 stand in a ring."""
    y += 6 + _WINDOW  # y - 5, made positive
    return (
        y % 11 * stride, (y + 1) % 11 * stride, (y + 2) % 11 * stride, (y + 3) % 11 * stride,
        (y + 4) % 11 * stride, (y + 5) % 11 * stride, (y + 6) % 11 * stride, (y + 7) % 11 * stride,
        (y + 8) % 11 * stride, (y + 9) % 11 * stride, (y + 10) % 11 * stride,
    )  # fmt: skip


@kernel
def _differing(worker: int, workers: int, a: Array, b: Array, length: int, differing: Array) -> None:
    """First and end of the columns in which one worker's rows differ; (length, 0) if they do not differ."""
    for y in range(len(differing) * worker // workers, len(differing) * (worker + 1) // workers):
        row, first, end = y * length, 0, length
        while first + LANES <= length and _alike(a, b, row + first):
            first += LANES
        while first < length and a[row + first] == b[row + first]:
            first += 1
        while end - LANES >= first and _alike(a, b, row + end - LANES):
            end -= LANES
        while end > first and a[row + end - 1] == b[row + end - 1]:
            end -= 1
        differing[y, 0], differing[y, 1] = first, end if end > first else 0


@inlined
def _alike(a: Array, b: Array, place: int) -> bool:
    return not any_lane(absolute(load(a, place) - load(b, place)) > 0.0)


@inlined
def _span(differing: Array, y: int, rows: int, reach: int, length: int) -> Span:
    """The span of row `y` to process: the differences of `rows` rows around it, and `reach` beyond them."""
    first, end = length, 0
    for other in range(max(y - rows, 0), min(y + rows + 1, len(differing))):
        first, end = min(first, differing[other, 0]), max(end, differing[other, 1])
    return _wider((first, end), reach, length)


@inlined
def _wider(span: Span, reach: int, length: int) -> Span:
    """The span widened within the row; an empty span stays empty."""
    return (max(span[0] - reach, 0), min(span[1] + reach, length)) if span[1] > 0 else (0, 0)


@kernel
def _sweep(
    worker: int,
    workers: int,
    a: Array,
    b: Array,
    g_a: Array | None,
    g_b: Array | None,
    height: int,
    length: int,
    channels: int,
    stride: int,
    differing: Array,
    scratch: Array,
    row_sums: Array,
) -> None:
    """Fill `row_sums` and the gradients (either may be None) in one worker's band of rows.

    Both neighbours compute the band's borders, so that no thread waits for another. The gradient is nonzero within two
    radii of a difference, and each blur needs its inputs one radius further.
    """
    mine = scratch[worker * _ROWS * stride : (worker + 1) * _ROWS * stride]
    rows, ring, g_ring = mine[: 9 * stride], mine[9 * stride : 53 * stride], mine[53 * stride :]
    first, end = height * worker // workers, height * (worker + 1) // workers
    with_gradient, border = g_a is not None or g_b is not None, RADIUS * channels
    halo = 2 * RADIUS if with_gradient else RADIUS
    for y in range(first - halo, end + halo):
        _blur_inputs(y, a, b, height, length, channels, stride, _span(differing, y, 4 * RADIUS, 3 * border, length),
                     rows, ring)  # fmt: skip
        middle = y - RADIUS
        if middle >= first - halo + RADIUS:
            span = _span(differing, middle, 3 * RADIUS, 2 * border, length)
            value = _compare(middle, height, length, channels, stride, span, rows, ring, g_ring, g_a, g_b)
            if first <= middle < end:
                row_sums[middle] = value
        out = y - 2 * RADIUS
        if with_gradient and first <= out < end:
            span = _span(differing, out, 2 * RADIUS, 2 * border, length)
            _gather(out, a, b, g_a, g_b, height, length, channels, stride, span, rows, g_ring)


@kernel
def _blur_inputs(
    y: int,
    a: Array,
    b: Array,
    height: int,
    length: int,
    channels: int,
    stride: int,
    span: Span,
    rows: Array,
    ring: Array,
) -> None:
    """Blur p, q, p^2 and q^2 across the span of row `y`; zeros above and below the image."""
    border, place = RADIUS * channels, (y + 11) % 11 * stride
    if y < 0 or y >= height:
        for m in range(4):
            _clear(ring, m * 11 * stride + place, stride)
        return
    begin, stop = _wider(span, border, length)
    _copy_rows(y, a, b, length, stride, border, begin, stop, rows)
    for i in range(border + begin, border + stop, LANES):
        p, q = load(rows, i) + load(rows, stride + i), load(rows, i) - load(rows, stride + i)
        store(rows, 5 * stride + i, p)
        store(rows, 6 * stride + i, q)
        store(rows, 7 * stride + i, p * p)
        store(rows, 8 * stride + i, q * q)
    for m in range(4):
        for i in range(border + span[0], border + span[1], LANES):
            store(ring, m * 11 * stride + place + i, _across(rows, (5 + m) * stride + i, channels))


@inlined
def _copy_rows(
    y: int, a: Array, b: Array, length: int, stride: int, border: int, begin: int, stop: int, rows: Array
) -> None:
    """Part of row `y` of both images; beyond the image the scratch stays zero."""
    _copy(a, y * length + begin, rows, border + begin, stop - begin)
    _copy(b, y * length + begin, rows, stride + border + begin, stop - begin)


@inlined
def _copy(source: Array, start: int, target: Array, place: int, count: int) -> None:
    # A loop: Numba takes seconds to compile a slice copy.
    for i in range(count):
        target[place + i] = source[start + i]


@inlined
def _clear(target: Array, place: int, count: int) -> None:
    for i in range(count):
        target[place + i] = np.float32(0)


@kernel
def _compare(
    y: int,
    height: int,
    length: int,
    channels: int,
    stride: int,
    span: Span,
    rows: Array,
    ring: Array,
    g_ring: Array,
    g_a: Array | None,
    g_b: Array | None,
) -> Number:
    """The sum of SSIM over row `y`, and its derivatives by P + Q, P - Q, blur(p^2) and blur(q^2), blurred across."""
    border, place = RADIUS * channels, (y + 11) % 11 * stride
    if y < 0 or y >= height:
        for m in range(4):
            _clear(g_ring, m * 11 * stride + place, stride)
        return 0.0
    around, sums = _window(y, stride), splat(0.0)
    begin, stop = _wider(span, border, length)
    for i in range(border + begin, border + stop, LANES):
        P, Q = _down(ring, around, i), _down(ring, around, 11 * stride + i)
        PP, QQ = P * P, Q * Q
        var_p, var_q = _down(ring, around, 22 * stride + i) - PP, _down(ring, around, 33 * stride + i) - QQ
        # Twice numerators and denominators: 4 mean_a mean_b = PP - QQ, 2 (mean_a^2 + mean_b^2) = PP + QQ.
        light, light_below = PP - QQ + 2 * C1, PP + QQ + 2 * C1
        shape, shape_below = var_p - var_q + 2 * C2, var_p + var_q + 2 * C2
        inverse = splat(1.0) / (light_below * shape_below)
        value = light * shape * inverse
        # d value / d var_p and / d var_q, and what P and Q do through the means alone
        by_light, by_shape = shape * inverse, light * inverse
        fall_light, fall_shape = value * inverse * shape_below, value * inverse * light_below
        d_pp, d_qq = by_shape - fall_shape, splat(0.0) - by_shape - fall_shape
        d_p = P * 2.0 * (by_light - fall_light - d_pp)
        d_q = Q * 2.0 * (splat(0.0) - by_light - fall_light - d_qq)
        inside = lanes() < float(border + stop - i)
        sums = sums + where(inside, value, 0.0)
        store(rows, 5 * stride + i, where(inside, d_p + d_q, 0.0))
        store(rows, 6 * stride + i, where(inside, d_p - d_q, 0.0))
        store(rows, 7 * stride + i, where(inside, d_pp * 2.0, 0.0))
        store(rows, 8 * stride + i, where(inside, d_qq * 2.0, 0.0))
    for m in range(4):
        if (m == 0 and g_a is None) or (m == 1 and g_b is None) or (g_a is None and g_b is None):
            continue
        for i in range(border + span[0], border + span[1], LANES):
            store(g_ring, m * 11 * stride + place + i, _across(rows, (5 + m) * stride + i, channels))
    return total(sums) + (length - stop + begin)


@kernel
def _gather(
    y: int,
    a: Array,
    b: Array,
    g_a: Array | None,
    g_b: Array | None,
    height: int,
    length: int,
    channels: int,
    stride: int,
    span: Span,
    rows: Array,
    g_ring: Array,
) -> None:
    """The gradient in row `y`."""
    border, around = RADIUS * channels, _window(y, stride)
    scale, row = 1 / (height * length), y * length
    begin, stop = span
    _copy_rows(y, a, b, length, stride, border, begin, stop, rows)
    for i in range(border + begin, border + stop, LANES):
        by_p = (load(rows, i) + load(rows, stride + i)) * _down(g_ring, around, 22 * stride + i)
        by_q = (load(rows, i) - load(rows, stride + i)) * _down(g_ring, around, 33 * stride + i)
        if g_a is not None:
            store(rows, 2 * stride + i, (_down(g_ring, around, i) + by_p + by_q) * scale)
        if g_b is not None:
            store(rows, 3 * stride + i, (_down(g_ring, around, 11 * stride + i) + by_p - by_q) * scale)
    if g_a is not None:
        _write(rows, 2 * stride + border, g_a, row, begin, stop, length)
    if g_b is not None:
        _write(rows, 3 * stride + border, g_b, row, begin, stop, length)


@inlined
def _write(rows: Array, place: int, gradient: Array, row: int, begin: int, stop: int, length: int) -> None:
    """The processed part of a row of the gradient, padded with zeros."""
    _clear(gradient, row, begin)
    _copy(rows, place + begin, gradient, row + begin, stop - begin)
    _clear(gradient, row + stop, length - stop)
