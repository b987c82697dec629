"""`avatar batch --ray`: Ray hides GPUs from tasks that do not ask for one."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from avatar.errors import UsageError
from avatar.pipeline.ray_pool import LOCAL, ray_pool


class MadeUpRay(SimpleNamespace):
    """As much of Ray as the pool uses, for a cluster with this many GPUs; remembers what tasks ask for."""

    def __init__(self, gpus: int) -> None:
        super().__init__(exceptions=SimpleNamespace(RayError=KeyError), asked={}, gpus=gpus, stopped=False)

    def init(self, *_: Any, **__: Any) -> None: ...

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 8.0} | ({"GPU": float(self.gpus)} if self.gpus else {})

    def remote(self, **asked: Any) -> Any:
        self.asked = asked
        return lambda call: SimpleNamespace(remote=call)

    def get(self, result: Any) -> Any:
        return result

    def shutdown(self) -> None:
        self.stopped = True


@pytest.mark.parametrize(
    ("device", "gpus", "asked"), [("cuda", 2, 1), ("auto", 2, 1), ("auto", 0, 0), ("cpu", 2, 0), ("cpu", 0, 0)]
)
def test_tasks_ask_for_a_gpu_where_they_may_use_one(
    monkeypatch: pytest.MonkeyPatch, device: str, gpus: int, asked: int
) -> None:
    ray = MadeUpRay(gpus)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with ray_pool(LOCAL, 2, device) as run:
        assert run(max, 3, 5) == 5
    assert ray.asked == {"num_cpus": 1, "num_gpus": asked} and ray.stopped


def test_cuda_on_a_cluster_without_gpus_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = MadeUpRay(0)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(UsageError, match="has no GPU"), ray_pool(LOCAL, 2, "cuda"):
        pass
    assert ray.stopped
