"""The tasks of `avatar batch` on Ray: the same processes, wherever the cluster has room for them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from avatar.errors import AvatarError, UsageError, short_message

LOCAL = "local"
_PATIENCE = 5.0  # seconds that an address may take to answer; Ray itself would ask for minutes
_LEAST_STORE = 80 * 2**20  # bytes; Ray wants some room for shared objects, and the tasks share none


@contextmanager
def ray_pool(address: str, workers: int, device: str) -> Iterator[Callable[..., Any]]:
    """A function `run(task, *arguments)` that runs `task` somewhere on Ray and returns what it returns.

    Args:
        address: of a running Ray ("HOST:PORT", or "auto" for that of this machine), or "local" for one of `workers`
            processors that is started here, for this process only, and stopped at the end.
        workers: how many calls will be made at a time.
        device: "cpu", "cuda", or "auto". Ray hides GPUs from tasks that do not ask for one, so each task reserves
            one for "cuda", and for "auto" if the cluster has any.

    Raises:
        UsageError: Ray is not installed, nothing answers at `address`, or it has no GPU for "cuda".
    """
    if address == LOCAL:
        _keep_local()
    try:
        import ray
    except ImportError as error:
        raise UsageError(f"--ray needs Ray: install the extra splat-avatar[ray] ({error}).") from error
    _connect(ray, address, workers)
    try:
        cluster: Any = ray  # its functions have no annotations
        has_gpu = cluster.cluster_resources().get("GPU", 0) >= 1
        if device == "cuda" and not has_gpu:
            raise UsageError(f"The Ray at {address} has no GPU, and --device cuda needs one for each avatar.")
        remote = ray.remote(num_cpus=1, num_gpus=int(has_gpu and device != "cpu"))(_call)

        def run(task: Callable[..., Any], *arguments: Any) -> Any:
            try:
                return ray.get(remote.remote(task, *arguments))
            except ray.exceptions.RayError as error:
                raise AvatarError(f"Ray lost this task: {short_message(error)}") from error

        yield run
    finally:
        ray.shutdown()


def _call(task: Callable[..., Any], *arguments: Any) -> Any:
    return task(*arguments)


def _keep_local() -> None:
    """A Ray of our own listens on 127.0.0.1 alone and reports to nobody. Ray reads this when it is imported."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # what keeps it on 127.0.0.1, on any system


def _connect(ray: Any, address: str, workers: int) -> None:
    own: dict[str, Any] = {}
    if address == LOCAL:
        own = {"num_cpus": workers, "include_dashboard": False, "object_store_memory": _LEAST_STORE}
    else:
        _require_answer(address)
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR", **own)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise UsageError(f"Ray cannot be used at {address}: {short_message(error)}") from error


def _require_answer(address: str) -> None:
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return  # a name that only Ray knows, such as auto
    try:
        socket.create_connection((host, int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"No Ray answers at {address}: {short_message(error)}") from error
