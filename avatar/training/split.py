"""Which frames are held out."""

from __future__ import annotations


def held_out_frames(count: int, every: int) -> list[int]:
    """Indices of the held-out frames: every `every`-th, starting in the middle of a stride; none for 0."""
    return list(range(every // 2, count, every)) if every else []
