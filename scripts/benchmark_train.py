"""Time whole training steps, and posing and rendering for viewing, on a made-up clip of the open body.

    python scripts/benchmark_train.py
    python scripts/benchmark_train.py --counts 20000 --sizes 512 --frames 8 --steps 60

Prints two markdown tables and the machine with its load. A training step covers pose, deformation,
rendering, loss, priors, gradients and Adam. CPU milliseconds are summed over threads (median and least). The stages are
those of `avatar.training.trainer`: half resolution, full resolution, and full resolution with the deformation learning.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import time
from dataclasses import dataclass, field
from itertools import pairwise

import avatar  # noqa: F401 - before torch, so that idle threads sleep

# isort: split
import torch
import tyro
from benchmark_render import Timing, load, processor, timed

from avatar.body import load_body
from avatar.geometry import rotation_from_rotvec
from avatar.io.images import to_uint8
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.pipeline.previews import bounding_box
from avatar.rendering.camera_paths import orbit
from avatar.rendering.renderer import render
from avatar.training.config import TrainConfig
from avatar.training.trainer import Trainer
from avatar.types import BodyPose, BodyTrack, Observations

STAGES = ("half resolution", "full resolution", "with deformation")
VIEWS = ((540, 960), (1080, 1920))


def person(count: int) -> Avatar:
    """An avatar of the open body with Gaussians of random colours."""
    body = load_body("open")
    generator = torch.Generator().manual_seed(0)
    betas = torch.zeros(body.shape_dirs.shape[-1])
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    made = Avatar(body, betas, sample_on_surface(frames, torch.ones(len(frames.area)), count, generator), deform=True)
    with torch.no_grad():
        made.gaussians.raw_colors.normal_(generator=generator)
    return made


def poses(frames: int) -> BodyPose:
    """Random poses near rest."""
    generator = torch.Generator().manual_seed(1)
    rotations = rotation_from_rotvec(0.15 * torch.randn(frames, 24, 3, generator=generator))
    return BodyPose(torch.tensor([[0.0, 0.95, 0.0]]).repeat(frames, 1), rotations)


@torch.no_grad()
def clip(size: int, frames: int) -> tuple[Observations, BodyTrack]:
    """A clip of a full orbit, `size` pixels square, and its true track."""
    filmed, moved = person(20_000), poses(frames)
    cameras = orbit(*bounding_box(filmed, moved[0]), frames, size, size)
    out = [render(filmed.pose(moved[i]), cameras[i]) for i in range(frames)]
    instants, times = torch.arange(frames), torch.arange(frames) / 30
    observations = Observations(
        images=[to_uint8(rendered.on_white()[0]) for rendered in out],
        masks=[to_uint8(rendered.alpha[0]) for rendered in out],
        keypoints=torch.zeros(frames, 33, 3),
        keypoints_3d=torch.full((frames, 33, 3), torch.nan),
        layout="blazepose33",
        instant=instants,
        times=times,
        width=size,
        height=size,
    )
    track = BodyTrack("open", filmed.betas, moved, times, torch.ones(frames, 24), instants, cameras)
    return observations, track


@dataclass
class Clock:
    """A preview that only looks at the watch after each step."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def after_step(self, step: int, made: Avatar, loss: float, psnr: float | None) -> bool:
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())
        return True

    def timing(self, first: int, last: int) -> Timing:
        """Milliseconds per step from step `first` to `last`, without the first two, which still warm up."""
        walls, cpus = (
            [1e3 * (after - before) for before, after in pairwise(times[first + 2 : last])]
            for times in (self.wall, self.cpu)
        )
        quartiles = statistics.quantiles(walls, n=4)
        return Timing(statistics.median(walls), quartiles[2] - quartiles[0], statistics.median(cpus), min(cpus))


def training(count: int, size: int, frames: int, steps: int) -> list[Timing]:
    """Timings of the three stages."""
    observations, track = clip(size, frames)
    third = 1 / len(STAGES)
    config = TrainConfig(
        steps=steps, gaussians=count, max_gaussians=count, coarse=third, deform_start=2 * third, hold_out=0
    )
    clock = Clock()
    Trainer(observations, track, load_body("open"), config).run(clock)
    return [clock.timing(round(steps * i * third), round(steps * (i + 1) * third)) for i in range(len(STAGES))]


def viewing(count: int, width: int, height: int, repeats: int) -> Timing:
    """Pose and render, a new pose each time."""
    made, moved = person(count), poses(repeats + 2)
    camera = orbit(*bounding_box(made, moved[0]), 1, width, height)
    left = iter(range(len(moved)))

    def frame() -> None:
        with torch.no_grad():
            render(made.pose(moved[next(left)]), camera)

    return timed(frame, repeats)


def main(
    counts: tuple[int, ...] = (10_000, 20_000, 50_000),
    sizes: tuple[int, ...] = (256, 512),
    frames: int = 8,
    steps: int = 180,
    repeats: int = 15,
) -> None:
    """Print the tables.

    Args:
        counts: numbers of Gaussians.
        sizes: widths of the square images.
        frames: length of the clip.
        steps: training steps in all, a third in each stage; some of them densify and take longer.
        repeats: measured frames of viewing.
    """
    print(f"{processor()}, {os.cpu_count()} processors; Python {platform.python_version()}, torch {torch.__version__}")
    print(f"load before: {load()}\n")
    torch.set_num_threads(1)
    print("| Gaussians | image | stage | step ms | steps/s | CPU ms (least) | peak memory MB |")
    print("|---|---|---|---|---|---|---|")
    for count in counts:
        for size in sizes:
            for stage, t in zip(STAGES, training(count, size, frames, steps), strict=True):
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                print(
                    f"| {count} | {size} | {stage} | {t.wall:.1f} ± {t.spread:.1f} | {1e3 / t.wall:.1f} | "
                    f"{t.cpu:.1f} ({t.cpu_least:.1f}) | {memory} |",
                    flush=True,
                )
    print("\n| Gaussians | image | frame ms | frames/s | CPU ms (least) |\n|---|---|---|---|---|")
    for count in counts:
        for width, height in VIEWS:
            t = viewing(count, width, height, repeats)
            print(
                f"| {count} | {width}x{height} | {t.wall:.1f} ± {t.spread:.1f} | {1e3 / t.wall:.1f} | "
                f"{t.cpu:.1f} ({t.cpu_least:.1f}) |",
                flush=True,
            )
    print(f"\nload after: {load()}")


if __name__ == "__main__":
    tyro.cli(main)
