"""Images of Gaussians: `render(gaussians, cameras) -> RenderOutput`, by one of several backends.

- `gsplat`: CUDA;
- `cpu`: Numba, vectorised by hand, multi-threaded (`avatar.rendering.numba_backend`);
- `reference`: plain PyTorch, slow and obvious, which the other two are tested against.

All three follow gsplat 1.5.3 (classic mode): 0.3 px^2 are added to the projected covariance, an alpha is at most
0.999 and is skipped below 1/255, and a pixel is finished before its transmittance would fall to 1e-4.

`register_backend` adds another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from avatar.errors import UsageError
from avatar.types import Cameras, Gaussians, RenderOutput


@runtime_checkable
class Backend(Protocol):
    """A renderer: differentiable in all fields of the Gaussians; its output is premultiplied by alpha."""

    def __call__(self, gaussians: Gaussians, cameras: Cameras) -> RenderOutput: ...


@dataclass(frozen=True)
class RegisteredBackend:
    """A backend in the table.

    Attributes:
        load: imports and returns the renderer, so that only the chosen backend imports its libraries.
        devices: kinds of devices it renders tensors of ("cpu", "cuda"); empty for all.
        advice: what to use instead on another device.
    """

    load: Callable[[], Backend]
    devices: tuple[str, ...]
    advice: str


_backends: dict[str, RegisteredBackend] = {}


def register_backend(
    name: str, load: Callable[[], Backend], devices: tuple[str, ...] = (), advice: str = "another backend"
) -> None:
    """Make a renderer available as `render(..., backend=name)`; see `RegisteredBackend` for the arguments.

    Raises:
        ValueError: the name is taken.
    """
    if name == "auto" or name in _backends:
        raise ValueError(f"There is a render backend {name!r} already.")
    _backends[name] = RegisteredBackend(load, devices, advice)


def backend_names() -> tuple[str, ...]:
    """All names that `render` takes."""
    return ("auto", *_backends)


def renders_on(name: str, kind: str) -> bool:
    """Whether a backend renders tensors of a kind of device ("cpu", "cuda"); "auto" and unknown names do on any."""
    return name not in _backends or not _backends[name].devices or kind in _backends[name].devices


def resolve_backend(name: str, device: torch.device | str) -> str:
    """The backend that runs for `name` on tensors of `device`: "auto" is gsplat on CUDA and cpu elsewhere.

    Raises:
        UsageError: there is no such backend, or it cannot run on that device. Nothing is replaced silently.
    """
    kind = torch.device(device).type
    if name == "auto":
        return "gsplat" if kind == "cuda" else "cpu"
    if name not in _backends:
        raise UsageError(f"There is no render backend {name!r}; choose one of {', '.join(backend_names())}.")
    backend = _backends[name]
    if backend.devices and (kind not in backend.devices or (kind == "cuda" and not torch.cuda.is_available())):
        raise UsageError(f"The {name} backend cannot render tensors on {kind}; use {backend.advice}.")
    return name


def render(gaussians: Gaussians, cameras: Cameras, backend: str = "auto") -> RenderOutput:
    """Render Gaussians, differentiably in all their fields (not in the cameras).

    Args:
        gaussians: splats in the world. The quaternions need not be of unit length.
        cameras: one per image; a crop (`Cameras.cropped`) costs only its own pixels.
        backend: one of `backend_names()`.

    Returns:
        Images premultiplied by alpha, one per camera.

    Raises:
        UsageError: the backend does not exist or cannot run on the device of `gaussians`.
    """
    return _backends[resolve_backend(backend, gaussians.means.device)].load()(gaussians, cameras)


def _load_gsplat() -> Backend:
    from avatar.rendering.gsplat_backend import render_gsplat

    return render_gsplat


def _load_cpu() -> Backend:
    from avatar.rendering.numba_backend import render_cpu

    return render_cpu


def _load_reference() -> Backend:
    from avatar.rendering.reference_backend import render_reference

    return render_reference


register_backend("gsplat", _load_gsplat, ("cuda",), "--device cuda, or the cpu backend")
register_backend("cpu", _load_cpu, ("cpu",), "--device cpu, or gsplat")
register_backend("reference", _load_reference)
