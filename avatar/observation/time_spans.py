"""Which parts of a video some frames belong to, in words."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

NAMED = 3  # spans in a sentence


def spans_in_words(times: Float[np.ndarray, " n"], chosen: Bool[np.ndarray, " n"]) -> str:
    """Such as "between 3.2 and 4.0 s, at 5.1 s"; the longest spans, in order of time.

    Args:
        times: of the frames, seconds; chosen: at least one of them.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(int)))
    spans = [(float(times[first]), float(times[after - 1])) for first, after in edges.reshape(-1, 2)]
    longest = sorted(sorted(spans, key=lambda span: span[0] - span[1])[:NAMED])
    words = [f"at {a:.1f} s" if b - a < 0.1 else f"between {a:.1f} and {b:.1f} s" for a, b in longest]
    return ", ".join(words) + (", …" if len(spans) > NAMED else "")
