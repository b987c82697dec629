"""Which frames are held out."""

from __future__ import annotations


def held_out_frames(count: int, every: int) -> list[int]:
    """Indices of the frames that are left out: every so many-th, beginning in the middle of a stride."""
    return list(range(every // 2, count, every)) if every else []
