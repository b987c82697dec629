"""Time the renderers on a person of capsules covered with Gaussians.

    python scripts/benchmark_render.py
    python scripts/benchmark_render.py --counts 20000 --sizes 512 --threads 1 --repeats 30

Prints a markdown table: median and spread (interquartile range) of the wall time and the median CPU time (summed
over threads) of one image, forward only and with the backward pass, and the machine and its load, which say how
far the figures can be trusted. gsplat is timed where CUDA is; the reference only at its own small size.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
import tyro

from avatar.geometry import rotation_from_rotvec
from avatar.kernels.threads import set_threads
from avatar.rendering.renderer import render
from avatar.types import Cameras, Gaussians

# Bones of a person 1.7 m tall: two end points and a radius, metres, Y up.
CAPSULES = [
    ((0.0, 0.95, 0.0), (0.0, 1.40, 0.0), 0.14),
    ((0.0, 1.55, 0.0), (0.0, 1.60, 0.0), 0.10),
    *(((s * 0.10, 0.90, 0.0), (s * 0.12, 0.08, 0.0), 0.08) for s in (-1, 1)),
    *(((s * 0.18, 1.38, 0.0), (s * 0.55, 0.95, 0.05), 0.05) for s in (-1, 1)),
]


def person(count: int, seed: int = 0) -> Gaussians:
    """`count` flat Gaussians on the capsules' surface, 1 cm wide at 20,000 and shrinking with more of them."""
    generator = torch.Generator().manual_seed(seed)
    starts, ends, radii = (torch.tensor([capsule[i] for capsule in CAPSULES]) for i in range(3))
    lengths = (ends - starts).norm(dim=-1) + 2 * radii
    bone = torch.multinomial(lengths * radii, count, replacement=True, generator=generator)
    along = (
        torch.rand(count, 1, generator=generator) * (1 + 2 * (radii / lengths)[bone, None])
        - (radii / lengths)[bone, None]
    )
    direction = torch.nn.functional.normalize(ends - starts, dim=-1)[bone]
    sideways = torch.randn(count, 3, generator=generator)
    sideways = torch.nn.functional.normalize(
        sideways - (sideways * direction).sum(-1, keepdim=True) * direction, dim=-1
    )
    means = starts[bone] + along.clamp(0, 1) * (ends - starts)[bone] + radii[bone, None] * sideways
    # Turn the z axis, in which a Gaussian is thin, to the normal.
    z = torch.tensor([0.0, 0.0, 1.0]).expand(count, 3)
    half = torch.nn.functional.normalize(z + sideways, dim=-1)
    quats = torch.cat([(z * half).sum(-1, keepdim=True), torch.linalg.cross(z, half)], dim=-1)
    width = 0.01 * (20_000 / count) ** 0.5
    scales = torch.tensor([width, width, 0.3 * width]).repeat(count, 1)
    opacities = 0.6 + 0.39 * torch.rand(count, generator=generator)
    return Gaussians(means, quats, scales, opacities, torch.rand(count, 3, generator=generator))


def camera(size: int) -> Cameras:
    """A front three-quarter view in which the person takes 95 % of the image's height."""
    R = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ rotation_from_rotvec(torch.tensor([0.0, 0.6, 0.0]))
    distance = 3.0
    T = torch.eye(4)
    T[:3, :3], T[:3, 3] = R, torch.tensor([0.0, 0.0, distance]) - R @ torch.tensor([0.0, 0.85, 0.0])
    focal = 0.95 * size * distance / 1.7
    K = torch.tensor([[focal, 0.0, size / 2], [0.0, focal, size / 2], [0.0, 0.0, 1.0]])
    return Cameras(K[None], T[None], size, size)


@dataclass
class Timing:
    """Milliseconds of one call: wall median, wall interquartile range, CPU median and minimum."""

    wall: float
    spread: float
    cpu: float
    cpu_least: float


def timed(call: Callable[[], None], repeats: int) -> Timing:
    """Time `call` after two unmeasured runs."""
    walls, cpus = [], []
    for i in range(repeats + 2):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        if i >= 2:
            walls.append(1e3 * (time.perf_counter() - wall))
            cpus.append(1e3 * (time.process_time() - cpu))
    quartiles = statistics.quantiles(walls, n=4)
    return Timing(statistics.median(walls), quartiles[2] - quartiles[0], statistics.median(cpus), min(cpus))


def benchmark(gaussians: Gaussians, cameras: Cameras, backend: str, repeats: int) -> tuple[Timing, Timing]:
    """Forward without gradients, and forward with the backward pass to every field."""
    device = gaussians.means.device
    fields = [getattr(gaussians, name).clone().requires_grad_() for name in gaussians.__dataclass_fields__]
    weights = torch.rand(1, cameras.height, cameras.width, 3, device=device)
    weights_alpha = torch.rand(1, cameras.height, cameras.width, device=device)

    def finish() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    def forward() -> None:
        with torch.no_grad():
            render(gaussians, cameras, backend)
        finish()

    def forward_backward() -> None:
        output = render(Gaussians(*fields), cameras, backend)
        torch.autograd.grad([output.rgb, output.alpha], fields, [weights, weights_alpha])
        finish()

    return timed(forward, repeats), timed(forward_backward, repeats)


def load() -> str:
    return ", ".join(f"{value:.2f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"


def processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main(
    counts: tuple[int, ...] = (10_000, 20_000, 50_000),
    sizes: tuple[int, ...] = (256, 512, 1024),
    threads: tuple[int, ...] = (1, 2),
    repeats: int = 15,
    reference: bool = True,
) -> None:
    """Print the table.

    Args:
        counts: numbers of Gaussians.
        sizes: widths of the square images.
        threads: numbers of threads of the cpu backend.
        repeats: measured runs of each case.
        reference: time the reference too, on 1,000 Gaussians at 64 x 64.
    """
    print(f"{processor()}, {os.cpu_count()} processors; Python {platform.python_version()}, torch {torch.__version__}")
    print(f"load before: {load()}\n")
    print("| backend | threads | Gaussians | size | forward ms | CPU ms | + backward ms | CPU ms (least) |")
    print("|---|---|---|---|---|---|---|---|")
    torch.set_num_threads(1)
    cases = [("cpu", t, n, s, "cpu") for n in counts for s in sizes for t in threads]
    if torch.cuda.is_available():
        cases += [("gsplat", 0, n, s, "cuda") for n in counts for s in sizes]
    if reference:
        cases += [("cpu", 1, 1000, 64, "cpu"), ("reference", 1, 1000, 64, "cpu")]
    for backend, thread_count, count, size, device in cases:
        set_threads(max(thread_count, 1))
        few = repeats if backend != "reference" else 3
        forward, both = benchmark(person(count).to(device), camera(size).to(device), backend, few)
        print(
            f"| {backend} | {thread_count or '-'} | {count} | {size} | {forward.wall:.1f} ± {forward.spread:.1f} | "
            f"{forward.cpu:.1f} ({forward.cpu_least:.1f}) | {both.wall:.1f} ± {both.spread:.1f} | "
            f"{both.cpu:.1f} ({both.cpu_least:.1f}) |",
            flush=True,
        )
    print(f"\nload after: {load()}")


if __name__ == "__main__":
    tyro.cli(main)
