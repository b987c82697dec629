"""The offset between the clocks of two videos from their sound: claps, steps and voices are in both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from avatar.io.sound import read_sound

RATE = 8000  # samples per second
LEAST_SECONDS = 1.0  # in common
DISTINCT = 1.5  # the highest peak of the correlation over the next one elsewhere
ABOVE_NOISE = 8.0  # standard deviations of the correlation, below which a peak is chance
ELSEWHERE_S = 0.05  # a room echoes within this time


def offset_by_sound(a: Path, b: Path) -> float | None:
    """Seconds to add to the times of `b` to get those of `a`; None where a sound is missing or nothing stands out.

    Raises:
        AvatarError: decoding one takes longer than two minutes.
    """
    return offset_of_sounds(read_sound(a, RATE), read_sound(b, RATE))


def offset_of_sounds(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " m"]) -> float | None:
    """`offset_by_sound` of samples at `RATE`, by the generalised cross-correlation with phase transform.

    Every frequency counts the same, so that a hum in one room tone does not hide a clap (GCC-PHAT, Knapp and Carter
    1976).
    """
    from scipy.fft import irfft, next_fast_len, rfft

    least = round(LEAST_SECONDS * RATE)
    if min(len(a), len(b)) < least or not a.any() or not b.any():
        return None
    size = next_fast_len(len(a) + len(b), real=True)
    cross = rfft(a - a.mean(), size) * np.conj(rfft(b - b.mean(), size))
    correlation = irfft(cross / np.maximum(np.abs(cross), 1e-6 * np.abs(cross).max()), size)
    lags = np.arange(size)
    lags[lags >= len(a)] -= size
    common = np.minimum(len(a), lags + len(b)) - np.maximum(0, lags)
    score = np.where(common >= least, correlation, -np.inf)
    best = int(score.argmax())
    rest = score[(np.abs(lags - lags[best]) > ELSEWHERE_S * RATE) & np.isfinite(score)]
    if score[best] < ABOVE_NOISE * correlation.std() or (len(rest) and score[best] < DISTINCT * rest.max()):
        return None
    return float(lags[best]) / RATE
