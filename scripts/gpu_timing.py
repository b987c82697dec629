"""Times, launches and waits of work on a GPU."""

from __future__ import annotations

import statistics
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

LONGEST = 25  # kernels that are listed


def timed_calls(call: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Milliseconds of one call, each waited for (median and quartiles), and of one of many in a full queue."""
    for _ in range(2):
        call()
    torch.cuda.synchronize()
    walls = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        torch.cuda.synchronize()
        walls.append(1e3 * (time.perf_counter() - begin))
    quartiles = statistics.quantiles(walls, n=4)
    return {
        "median": round(statistics.median(walls), 3),
        "spread": round(quartiles[2] - quartiles[0], 3),
        "queued": round(1e3 / per_second(call, repeats), 3),
    }


def per_second(call: Callable[[], Any], repeats: int) -> float:
    """How often per second a call can be made when nothing waits between the calls."""
    call()
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(repeats):
        call()
    torch.cuda.synchronize()
    return repeats / (time.perf_counter() - begin)


def launches_of(call: Callable[[], Any], repeats: int) -> dict[str, Any]:
    """Kernels and milliseconds of the device per call, by torch's profiler, and the kernels that take longest."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(repeats):
            call()
        torch.cuda.synchronize()
    events = profile.key_averages()
    kernels = [event for event in events if event.self_device_time_total > 0]
    kernels.sort(key=lambda event: -event.self_device_time_total)
    calls = {event.key: round(event.count / repeats, 1) for event in events if event.key.startswith("cuda")}
    return {
        "device_ms": round(sum(event.self_device_time_total for event in kernels) / 1e3 / repeats, 3),
        "kernels": round(sum(event.count for event in kernels) / repeats, 1),
        "calls": calls,
        "kernels_by_time": [
            f"{event.self_device_time_total / 1e3 / repeats:.4f} ms, {event.count / repeats:.1f} x {event.key[:100]}"
            for event in kernels[:LONGEST]
        ],
    }


def waits_of(call: Callable[[], Any]) -> dict[str, int]:
    """Lines of the program or of gsplat at which the host waits for the device, by torch's own watch."""
    lines: Counter[str] = Counter()

    def note(message: Any, category: Any, filename: str, lineno: int, *_: Any, **__: Any) -> None:
        frames = [f for f in traceback.extract_stack() if "/avatar/" in f.filename or "/gsplat/" in f.filename]
        lines[f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else f"{filename}:{lineno}"] += 1

    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = note
            call()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return dict(lines)
