"""The stages of `gpu_check.py`: what is proved and measured on a GPU."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from benchmark_train import person
from gpu_timing import launches_of, per_second, timed_calls, waits_of

from avatar.body import load_body
from avatar.io.images import to_uint8, write_image
from avatar.io.observations_file import load_observations
from avatar.io.track_file import load_track
from avatar.model.avatar import Avatar
from avatar.pipeline import previews
from avatar.pipeline.report import held_out_scores
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.settings import settings_for
from avatar.rendering.camera_paths import orbit
from avatar.rendering.renderer import render
from avatar.training.config import TrainConfig
from avatar.training.result import TrainResult
from avatar.training.trainer import Trainer
from avatar.types import BodyPose, BodyTrack, Cameras, Gaussians, Observations

FIELDS = tuple(Gaussians.__dataclass_fields__)
WORST_PIXEL, WORST_GRADIENT = 1 / 255, 1e-2


@dataclass(frozen=True)
class Material:
    """What the stages work on.

    Attributes:
        folder: a finished run; out: folder for images; tiny: few small frames and few splats.
    """

    folder: Path
    out: Path
    tiny: bool

    @cached_property
    def run(self) -> RunFolder:
        return RunFolder(self.folder)

    @cached_property
    def track(self) -> BodyTrack:
        return load_track(self.run.track)

    @cached_property
    def observations(self) -> Observations:
        return load_observations(self.run.observations)

    def avatar(self) -> Avatar:
        """The trained avatar, on the CPU."""
        return Avatar.load(self.run.avatar)

    def training(self, preset: str) -> tuple[Observations, BodyTrack, TrainConfig]:
        """The observations, the estimated track and the settings of a preset."""
        path = self.run.estimated_track if self.run.estimated_track.is_file() else self.run.track
        config = replace(settings_for("clip", preset).train, hold_out=8)
        if self.tiny:
            config = replace(
                config, steps=6, gaussians=300, max_gaussians=350, long_side=100, registrations=0, hold_out=3
            )
        return self.observations, load_track(path), config


@dataclass(frozen=True)
class Stage:
    """One stage: `measure` returns numbers by name; `seconds`: about how long it takes."""

    name: str
    seconds: float
    measure: Callable[[Material], dict[str, Any]]


def machine(material: Material) -> dict[str, Any]:
    """What this machine is, and how long gsplat's kernels take to load or to compile."""
    from avatar.rendering.devices import resolve_device
    from avatar.rendering.gsplat_backend import missing_kernels

    begin = time.monotonic()
    problem = missing_kernels()
    device = torch.cuda.get_device_properties(0)
    return {
        "device": device.name,
        "memory_gb": round(device.total_memory / 2**30, 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "gsplat": importlib.metadata.version("gsplat"),
        "missing_kernels": problem,
        "kernels_seconds": round(time.monotonic() - begin, 1),
        "device_auto": resolve_device("auto"),
    }


def gpu_tests(material: Material) -> dict[str, Any]:
    """The tests that need a GPU."""
    if material.tiny:
        return {"rehearsed": True}
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=150, check=False)
    if done.returncode:
        raise RuntimeError(f"pytest -m gpu ends with {done.returncode}: {done.stdout[-1500:]}")
    return {"result": done.stdout.strip().splitlines()[-1]}


def agreement(material: Material) -> dict[str, Any]:
    """gsplat against the CPU's renderer on the trained avatar: values, and gradients of a random loss."""
    avatar, track = material.avatar(), material.track
    assert track.cameras is not None
    camera = track.cameras[0].resized(60, 100) if material.tiny else track.cameras[0]
    with torch.no_grad():
        posed = avatar.pose(track.poses[int(track.instant[0])])
    images, gradients = zip(*(_differentiated(posed, camera, device) for device in ("cuda", "cpu")), strict=True)
    worst = {name: float((images[0][name] - images[1][name]).abs().max()) for name in ("rgb", "alpha", "depth")}
    errors = {name: _relative(gradients[0][name], gradients[1][name]) for name in FIELDS}
    difference = (images[0]["rgb"] - images[1]["rgb"]).abs() * 50
    write_image(material.out / "agree.png", to_uint8(torch.cat([images[0]["rgb"], images[1]["rgb"], difference], 1)))
    if max(worst["rgb"], worst["alpha"]) > WORST_PIXEL or max(errors.values()) > WORST_GRADIENT:
        raise RuntimeError(f"The renderers disagree: pixels {worst}, gradients {errors}")
    return {"worst_pixel": worst, "gradients": errors}


def _differentiated(posed: Gaussians, camera: Cameras, device: str) -> tuple[dict[str, Any], dict[str, Any]]:
    leaves = [getattr(posed, name).detach().to(device).requires_grad_() for name in FIELDS]
    out = render(Gaussians(*leaves), camera.to(device))
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(out.rgb.shape, generator=generator).to(device)
    ((out.rgb * weights).sum() + (out.alpha * weights[..., 0]).sum()).backward()
    images = {name: getattr(out, name)[0].detach().cpu() for name in ("rgb", "alpha", "depth")}
    return images, {name: leaf.grad.cpu() for name, leaf in zip(FIELDS, leaves, strict=True) if leaf.grad is not None}


def _relative(ours: torch.Tensor, truth: torch.Tensor) -> float:
    return float((ours.double() - truth.double()).norm() / truth.double().norm().clamp_min(1e-30))


def trained(material: Material, preset: str, graphs: bool = True) -> tuple[TrainResult, dict[str, Any]]:
    """A whole training on the GPU, with its scores."""
    observations, track, config = material.training(preset)
    if torch.cuda.is_available() and not material.tiny:
        torch.cuda.reset_peak_memory_stats()
    trainer = Trainer(observations, track, load_body("open"), config, "cuda", "gsplat")
    trainer.poser.graphs = graphs
    begin = time.monotonic()
    result = trainer.run()
    seconds = time.monotonic() - begin
    numbers = {
        "train_seconds": round(seconds, 2),
        "steps_per_second": round(config.steps / seconds, 1),
        "graphs": trainer.poser.captures,
        "splats": len(result.avatar),
        "held_out": held_out_scores(result.avatar, result.track, observations, result.held_out, "gsplat"),
        "memory_mb": None if material.tiny else round(torch.cuda.max_memory_allocated() / 2**20),
    }
    return result, numbers


def train_balanced(material: Material) -> dict[str, Any]:
    """The default preset; its avatar is saved and drawn."""
    result, numbers = trained(material, "balanced")
    result.avatar.save(material.out / "avatar.safetensors")
    previews.write_contact_sheet(
        material.out / "contact.png",
        result.avatar,
        result.track,
        material.observations,
        "auto",
        2 if material.tiny else 8,
    )
    return numbers | {"marks": {"train balanced": numbers["train_seconds"]}}


def train_without_graphs(material: Material) -> dict[str, Any]:
    """The same, each operation launched by itself."""
    return trained(material, "balanced", graphs=False)[1]


def train_fast(material: Material) -> dict[str, Any]:
    """The quick preset."""
    return trained(material, "fast")[1]


def train_large(material: Material) -> dict[str, Any]:
    """The preset for a GPU: 200,000 splats; without the perceptual loss where its networks are missing."""
    return trained(material, "large")[1]


def rendering(material: Material) -> dict[str, Any]:
    """Posed images per second: posing, rendering, both, and with the download."""
    numbers: dict[str, Any] = {"marks": {}}
    for count in (300,) if material.tiny else (20_000, 100_000, 300_000):
        avatar = person(count).to("cuda")
        poses = [material.track.poses[i % len(material.track)].to("cuda") for i in range(16)]
        for label, size in (("1080p", (54, 96)),) if material.tiny else (("1080p", (1080, 1920)), ("540p", (540, 960))):
            camera = orbit(*previews.bounding_box(avatar, material.track.poses[0]), 1, *size).to("cuda")
            rates = numbers[f"{count} at {label}"] = _rates(avatar, poses, camera, 2 if material.tiny else 40)
            numbers["marks"][f"render {count} at {label}"] = rates["posed and rendered"]
    return numbers


@torch.no_grad()
def _rates(avatar: Avatar, poses: list[BodyPose], camera: Cameras, repeats: int) -> dict[str, float]:
    still = avatar.pose(poses[0])
    turn = iter(range(10**9))

    def posed() -> Gaussians:
        return avatar.pose(poses[next(turn) % len(poses)])

    calls: dict[str, Callable[[], Any]] = {
        "posed": posed,
        "rendered": lambda: render(still, camera),
        "posed and rendered": lambda: render(posed(), camera),
        "and downloaded": lambda: to_uint8(render(posed(), camera).on_white()[0]),
    }
    return {name: round(per_second(call, repeats), 1) for name, call in calls.items()}


def step(material: Material) -> dict[str, Any]:
    """What a training step launches, how long the device is busy in it, and where the host waits."""
    observations, track, config = material.training("balanced")
    trainer = Trainer(observations, track, load_body("open"), config, "cuda", "gsplat")
    numbers: dict[str, Any] = {}
    for name, graphs in (("graphs", True), ("single launches", False)):
        trainer.poser.graphs = graphs
        trainer.state.step = round(0.9 * config.steps)
        repeats = 2 if material.tiny else 30
        entry = numbers[name] = {"ms": timed_calls(trainer.step, repeats)}
        if not material.tiny:
            entry |= launches_of(trainer.step, repeats) | {"waits": waits_of(trainer.step)}
    return numbers


def videos(material: Material) -> dict[str, Any]:
    """A turntable, frames per second with coding."""
    if material.tiny:
        previews.TURN_SECONDS = 0.1  # type: ignore[assignment]
    avatar, size = material.avatar().to("cuda"), (54, 96) if material.tiny else previews.TURNTABLE_SIZE
    begin = time.monotonic()
    previews.write_turntable(avatar, material.track.poses[0], material.out / "turntable.webp", *size)
    frames = round(previews.TURN_SECONDS * previews.TURN_FPS)
    return {"frames_per_second": round(frames / (time.monotonic() - begin), 1)}


def viewer(material: Material) -> dict[str, Any]:
    """Images per second that the viewer could send, with their depth."""
    if importlib.util.find_spec("viser") is None:
        return {"state": "left out", "reason": "viser is not installed"}
    avatar, pose = material.avatar().to("cuda"), material.track.poses[0]
    numbers = {}
    for side in (96,) if material.tiny else (960, 1920):
        camera = orbit(*previews.bounding_box(avatar, pose), 1, round(side * 0.5625), side)
        image = partial(_viewer_image, avatar, pose, camera)
        numbers[f"{side} px"] = round(per_second(image, 2 if material.tiny else 30), 1)
    return numbers


def _viewer_image(avatar: Avatar, pose: BodyPose, camera: Cameras) -> None:
    from avatar.viewer.server_images import render_image_and_depth

    render_image_and_depth(avatar.pose(pose).detach(), camera, (244, 244, 246))


def cpu_stages(material: Material) -> dict[str, Any]:
    """Tracking beside a GPU, with one of torch's threads and with all."""
    from avatar.tracking.fit import track
    from avatar.tracking.options import TrackOptions

    if material.tiny:
        return {"rehearsed": True}
    numbers, before = {}, torch.get_num_threads()
    for threads in (1, before):
        torch.set_num_threads(threads)
        begin = time.monotonic()
        track(material.observations, load_body("open"), TrackOptions())
        numbers[f"{threads} threads"] = round(time.monotonic() - begin, 1)
    torch.set_num_threads(before)
    return numbers


STAGES = (
    Stage("machine", 0, machine),
    Stage("tests", 40, gpu_tests),
    Stage("agreement", 10, agreement),
    Stage("train balanced", 40, train_balanced),
    Stage("rendering", 20, rendering),
    Stage("step", 20, step),
    Stage("videos", 10, videos),
    Stage("viewer", 10, viewer),
    Stage("train without graphs", 45, train_without_graphs),
    Stage("train fast", 30, train_fast),
    Stage("cpu stages", 40, cpu_stages),
    Stage("train large", 90, train_large),
)
