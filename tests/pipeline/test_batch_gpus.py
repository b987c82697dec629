"""Several GPUs: each task of a batch sees one of them."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from avatar.pipeline.batch import Outcome, _alone, run_here, run_on_each, visible_gpus


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_share_the_gpus_evenly(workers: int) -> None:
    together, used = threading.Barrier(workers), Counter[str]()

    def task(video: str, gpu: str) -> Outcome:
        together.wait(timeout=60)  # all workers are busy at once
        used[gpu] += 1
        return Outcome(video, "", "done")

    run: Any = run_on_each(["0", "3"], workers)
    with ThreadPoolExecutor(workers) as pool:
        assert all(outcome.state == "done" for outcome in pool.map(lambda video: run(task, video), ["a"] * workers))
    assert used == {"0": workers // 2, "3": workers // 2}


def test_one_gpu_or_none_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_on_each([], 3) is run_here and run_on_each(["0"], 3) is run_here
    assert _alone("7")["CUDA_VISIBLE_DEVICES"] == "7"
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    assert visible_gpus() == ["2", "5"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible_gpus() == ["0", "1"]
