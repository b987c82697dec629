"""The processors that this process may use."""

from __future__ import annotations

import os


def available_cpus() -> int:
    """Number of logical processors that this process may run on: its affinity where the system has one (Linux),
    otherwise all of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
