"""A few threads for compiled kernels that let go of the interpreter lock.

Plain Python threads rather than Numba's: they do not spin beside PyTorch's, survive a fork, and several callers may
render at the same time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from avatar.runtime.cpus import available_cpus

_count = available_cpus()
_pool: ThreadPoolExecutor | None = None


def set_threads(count: int) -> None:
    """Use `count` threads for rendering and for SSIM from now on; at first it is as many as there are processors."""
    global _count, _pool
    _count, _pool = count, None


def threads() -> int:
    """How many threads share the work."""
    return _count


def run_parts(kernel: Callable[..., Any], parts: int, *arguments: Any) -> list[Any]:
    """Call `kernel(part, parts, *arguments)` for every part and return the results in order.

    Each thread takes the next part when it has done one, so with more parts than threads none waits long for another.
    """
    global _pool
    helpers = min(_count, parts) - 1
    if helpers <= 0:
        return [kernel(part, parts, *arguments) for part in range(parts)]
    if _pool is None:
        _pool = ThreadPoolExecutor(max_workers=_count, thread_name_prefix="avatar-render")
    results: list[Any] = [None] * parts
    todo = iter(range(parts))

    def work() -> None:
        for part in todo:
            results[part] = kernel(part, parts, *arguments)

    others = [_pool.submit(work) for _ in range(helpers)]
    work()
    for other in others:
        other.result()
    return results


def _forget_pool() -> None:
    global _pool
    _pool = None


# A forked child inherits the pool but not its threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
