"""A few threads for compiled kernels that let go of the interpreter lock.

Plain Python threads rather than Numba's: they do not spin beside PyTorch's, survive a fork, and several callers may
render at the same time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_pool: ThreadPoolExecutor | None = None


def set_threads(count: int) -> None:
    """Use `count` threads for rendering and for SSIM from now on; at first it is as many as there are processors."""
    global _count, _pool
    _count, _pool = count, None


def threads() -> int:
    """How many threads share the work."""
    return _count


def run_workers(kernel: Callable[..., Any], workers: int, *arguments: Any) -> list[Any]:
    """Run `kernel(worker, workers, *arguments)` for every worker at the same time; return their results in order."""
    global _pool
    if workers == 1:
        return [kernel(0, 1, *arguments)]
    if _pool is None:
        _pool = ThreadPoolExecutor(max_workers=max(workers - 1, _count), thread_name_prefix="avatar-render")
    others = [_pool.submit(kernel, worker, workers, *arguments) for worker in range(1, workers)]
    return [kernel(0, workers, *arguments), *(other.result() for other in others)]


def _forget_pool() -> None:
    global _pool
    _pool = None


# A forked child inherits the pool but not its threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
