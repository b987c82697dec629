"""Images of Gaussians: `render(gaussians, cameras) -> RenderOutput`, by one of three backends.

- `gsplat`: CUDA;
- `cpu`: Numba, vectorised by hand, multi-threaded (`avatar.rendering.numba_backend`);
- `reference`: plain PyTorch, slow and obvious, which the other two are tested against.

All three follow gsplat 1.5.3 (classic mode): 0.3 px^2 are added to the projected covariance, an alpha is at most
0.999 and is skipped below 1/255, and a pixel is finished before its transmittance would fall to 1e-4.
"""

from __future__ import annotations

import torch

from avatar.errors import UsageError
from avatar.rendering.statistics import RenderStatistics
from avatar.types import Cameras, Gaussians, RenderOutput

BACKENDS = ("auto", "gsplat", "cpu", "reference")


def resolve_backend(name: str, device: torch.device | str) -> str:
    """The backend that runs for `name` on tensors of `device`: "auto" is gsplat on CUDA and cpu elsewhere.

    Raises:
        UsageError: there is no such backend, or it cannot run on that device. Nothing is replaced silently.
    """
    kind = torch.device(device).type
    if name not in BACKENDS:
        raise UsageError(f"There is no render backend {name!r}; choose one of {', '.join(BACKENDS)}.")
    if name == "auto":
        return "gsplat" if kind == "cuda" else "cpu"
    if name == "gsplat" and not (kind == "cuda" and torch.cuda.is_available()):
        raise UsageError("The gsplat backend needs a CUDA device; use --device cuda, or the cpu backend.")
    if name == "cpu" and kind != "cpu":
        raise UsageError(f"The cpu backend cannot render tensors on {kind}; use --device cpu, or gsplat.")
    return name


def render(
    gaussians: Gaussians,
    cameras: Cameras,
    backend: str = "auto",
    statistics: RenderStatistics | None = None,
) -> RenderOutput:
    """Render Gaussians, differentiably in all their fields (not in the cameras).

    Args:
        gaussians: splats in the world. The quaternions need not be of unit length.
        cameras: where from; a crop (`Cameras.cropped`) costs only its own pixels.
        backend: one of `BACKENDS`.
        statistics: filled in when the backward pass of the result runs; see `RenderStatistics`.

    Returns:
        Pictures premultiplied by alpha, one a camera.

    Raises:
        UsageError: the backend does not exist or cannot run on the device of `gaussians`.
    """
    name = resolve_backend(backend, gaussians.means.device)
    # Each backend has its own heavy library, so only the chosen one is imported.
    if name == "gsplat":
        from avatar.rendering.gsplat_backend import render_gsplat as run
    elif name == "cpu":
        from avatar.rendering.numba_backend import render_cpu as run
    else:
        from avatar.rendering.reference_backend import render_reference as run
    return run(gaussians, cameras, statistics)
