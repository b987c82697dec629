"""The offset between the clocks of two videos of one motion, from how the joints move.

The speed of a joint relative to the hips is the same from every side, so it tells the time without any camera. It tells
it roughly, and of a motion that repeats it tells several offsets: `avatar.tracking.standing_cameras` chooses and
refines.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

RATE = 120.0  # of the compared signals, 1/s
SMOOTHING_S = 0.06  # the depths of single frames jitter
LEAST_OVERLAP_S = 1.0  # of two clips
LEAST_SHARE = 0.3  # of the shorter clip that both show
CANDIDATES = 5  # highest peaks of the correlation


def candidate_offsets(
    a: Float[np.ndarray, "n j 3"],
    times_a: Float[np.ndarray, " n"],
    b: Float[np.ndarray, "m j 3"],
    times_b: Float[np.ndarray, " m"],
) -> list[float]:
    """Seconds to add to the times of `b` to get those of `a`: the highest peaks of the correlation, the best first.

    The correlation is normalised: at each lag, by the variances of what overlaps (Pearson), so that a loud part of
    one clip does not win over a similar part. Peaks are refined by a parabola.

    Args:
        a, b: joints relative to the hips, metres, in any frame that stands still.

    Returns:
        No offsets where the clips are too short.
    """
    first, second = _speeds(a, times_a), _speeds(b, times_b)
    least = round(max(LEAST_OVERLAP_S, LEAST_SHARE * min(len(first), len(second)) / RATE) * RATE)
    if min(len(first), len(second)) < least:
        return []
    lags, scores = normalized_correlation(first, second, least)
    padded = np.concatenate([[-1.0], scores, [-1.0]])
    before, after = padded[:-2], padded[2:]
    peaks = np.flatnonzero((scores > 0) & (scores >= before) & (scores > after))
    offsets = []
    for k in sorted(peaks, key=lambda k: -scores[k])[:CANDIDATES]:
        bend = before[k] - 2 * scores[k] + after[k]
        inner = 0 < k < len(scores) - 1 and bend < 0
        fraction = 0.5 * (before[k] - after[k]) / bend if inner else 0.0
        offsets.append(float((lags[k] + fraction) / RATE + times_a[0] - times_b[0]))
    return offsets


def normalized_correlation(
    a: Float[np.ndarray, "n j"], b: Float[np.ndarray, "m j"], least: int
) -> tuple[Int[np.ndarray, " lags"], Float[np.ndarray, " lags"]]:
    """The lags by which `b` may be late, in samples, and Pearson's correlation of what overlaps at each.

    Args:
        least: samples that must overlap.
    """
    from scipy.signal import correlate

    ones_a, ones_b = np.ones_like(a), np.ones_like(b)

    def sums(x: np.ndarray, y: np.ndarray) -> Float[np.ndarray, "lags j"]:
        columns = [correlate(p, q, method="fft") for p, q in zip(x.T, y.T, strict=True)]
        return np.stack(columns, 1)

    lags = np.arange(-(len(b) - 1), len(a))
    count = np.minimum(len(a), lags + len(b)) - np.maximum(0, lags)
    over = count[:, None]
    sum_a, sum_b = sums(a, ones_b), sums(ones_a, b)
    covariance = (sums(a, b) - sum_a * sum_b / over).sum(1)
    variance_a = (sums(a * a, ones_b) - sum_a**2 / over).sum(1)
    variance_b = (sums(ones_a, b * b) - sum_b**2 / over).sum(1)
    norm = np.sqrt(np.maximum(variance_a, 0) * np.maximum(variance_b, 0))
    floor = 1e-9 * len(a) * float(np.sqrt((a**2).mean() * (b**2).mean()))
    scores = np.where(norm > floor, covariance / np.maximum(norm, floor + 1e-30), 0.0)
    enough = count >= least
    return lags[enough], scores[enough]


def _speeds(places: Float[np.ndarray, "n j 3"], times: Float[np.ndarray, " n"]) -> Float[np.ndarray, "k j"]:
    """Speeds of the joints at an even rate from the first time on, metres per second."""
    from scipy.ndimage import gaussian_filter1d

    at = np.arange(times[0], times[-1], 1 / RATE)
    even = interpolated(places, times, at)
    smooth = gaussian_filter1d(even, SMOOTHING_S * RATE, axis=0, mode="nearest")
    speeds: np.ndarray = np.linalg.norm(np.gradient(smooth, 1 / RATE, axis=0), axis=-1)
    return speeds


def interpolated(
    values: Float[np.ndarray, "n *v"], times: Float[np.ndarray, " n"], at: Float[np.ndarray, " m"]
) -> Float[np.ndarray, "m *v"]:
    """Linear interpolation in time; NaN outside of the times."""
    after = np.searchsorted(times, at).clip(1, len(times) - 1)
    share = (at - times[after - 1]) / (times[after] - times[after - 1])
    share = np.where((at < times[0] - 1e-6) | (at > times[-1] + 1e-6), np.nan, share)
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    between: np.ndarray = values[after - 1] * (1 - share) + values[after] * share
    return between
