"""The numbers that `create` writes into report.json."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from avatar import __version__
from avatar.io.camera_motion_file import CameraMotion
from avatar.io.images import to_float
from avatar.metrics.detail import detail_scores
from avatar.metrics.images import alpha_iou, person_box, psnr
from avatar.metrics.perceptual import Measure, PerceptualUnavailable, load_lpips
from avatar.model.avatar import Avatar
from avatar.pipeline.previews import body_splats
from avatar.pipeline.training_data import TrainingData
from avatar.rendering.renderer import render
from avatar.runtime.memory import peak_memory_mb
from avatar.tracking.report import is_height_measured, shape_in_words
from avatar.training.result import TrainResult
from avatar.training.split import shown_frames
from avatar.types import BodyTrack, Observations


def make_report(
    source: str,
    data: TrainingData,
    result: TrainResult,
    known_height: float | None,
    shape: Mapping[str, float],
    backend: str,
    seconds: dict[str, float],
) -> dict[str, Any]:
    """The content of report.json.

    Args:
        source: the video, photo or dataset that the avatar was made from; known_height: of the person, metres.
        shape: the shape attributes that the user gave.
        seconds: of each stage of this run.
    """
    avatar, track, observations = result.avatar, result.track, data.observations
    memory = peak_memory_mb()
    return {
        "source": source,
        "frames": len(observations),
        "size": [observations.width, observations.height],
        "splats": len(avatar),
        "camera": camera_summary(data.motion),
        "shape": shape_attributes(data, track, known_height is not None, shape),
        "held_out": held_out_scores(avatar, track, observations, result.held_out, backend),
        "held_out_frames": [int(index) for index in result.held_out],
        "body_mask_iou": body_mask_iou(avatar, track, observations, backend),
        "observed_share": round(float((avatar.observed > 0.5).float().mean()), 4),
        "warnings": data.all_warnings,
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "peak_memory_mb": None if memory is None else int(memory),
        "gpu": gpu_facts(avatar.device),
        "made_with": provenance(Path(source)),
    }


def camera_summary(motion: CameraMotion | None) -> dict[str, Any] | None:
    """How the camera moved, in words and numbers; None for what is no video."""
    if motion is None:
        return None
    numbers: dict[str, Any] = {
        "regime": motion.regime,
        "residual_px": motion.residual,
        "focal_measured": motion.focal_given,
    }
    if motion.focal_source:
        numbers |= {"focal_source": motion.focal_source}
    return numbers | {"sentence": motion.sentence()}


@torch.no_grad()
def held_out_scores(
    avatar: Avatar, track: BodyTrack, observations: Observations, held_out: Sequence[int], backend: str
) -> dict[str, float | int]:
    """Means over the held-out frames, on white.

    What hides the person does not count.
    PSNR of the full image and of the person's box, alpha IoU, detail by octave (`avatar.metrics.detail`), and LPIPS
    with AlexNet's features where its network is installed.
    """
    assert track.cameras is not None
    lpips = lpips_or_none()
    scores: list[dict[str, float]] = []
    for index in held_out:
        mask, image = to_float(observations.masks[index]), to_float(observations.images[index])
        truth = image * mask[..., None] + 1 - mask[..., None]
        pose = track.poses[int(track.instant[index])].to(avatar.device)
        out = render(avatar.pose(pose), track.cameras[index].to(avatar.device), backend)
        rgb, alpha = out.on_white()[0].clamp(0, 1).cpu(), out.alpha[0].cpu()
        hidden = hidden_in(observations, index)
        if hidden is not None:
            truth, alpha = torch.where(hidden[..., None], rgb, truth), torch.where(hidden, mask, alpha)
        one = {"psnr": psnr(rgb, truth), "alpha_iou": alpha_iou(alpha, mask)}
        region = person_box(mask)
        if region is not None:
            one["psnr_box"] = psnr(rgb[region], truth[region])
        if lpips is not None:
            one["lpips_alex"] = lpips(rgb[None], truth)[0]
        scores.append(one | detail_scores(rgb, truth, mask))
    names = dict.fromkeys(name for one in scores for name in one)
    means = {name: fmean(one[name] for one in scores if name in one) for name in names}
    return {"frames": len(held_out)} | {name: round(value, 4) for name, value in means.items()}


def hidden_in(observations: Observations, index: int) -> Bool[Tensor, "h w"] | None:
    """Where something hides the person in a frame: these pixels are not compared; None where nothing may."""
    return None if observations.trust is None else torch.from_numpy(observations.trust[index] == 0)


def lpips_or_none() -> Measure | None:
    """LPIPS by AlexNet's features; None where it cannot be computed: a finished avatar keeps its report without it."""
    try:
        return load_lpips("alex")
    except PerceptualUnavailable:
        return None


def shape_attributes(
    data: TrainingData, track: BodyTrack, height_given: bool, given: Mapping[str, float]
) -> dict[str, dict[str, float]] | None:
    """The fitted shape of the open body in words, each with its standard deviation; None for other bodies."""
    if track.body != "open":
        return None
    measured = is_height_measured(data.observations, data.warnings)
    described = shape_in_words(track.betas, given, height_given, measured)
    return {name: {"value": round(value, 3), "spread": round(spread, 3)} for name, (value, spread) in described.items()}


@torch.no_grad()
def body_mask_iou(avatar: Avatar, track: BodyTrack, observations: Observations, backend: str) -> dict[str, float]:
    """Overlap of the fitted body's silhouette and the person's mask, over every fourth frame."""
    assert track.cameras is not None
    values = []
    for index in shown_frames(observations)[::4]:
        pose = track.poses[int(track.instant[index])].to(avatar.device)
        camera = track.cameras[index].to(avatar.device)
        alpha = render(body_splats(avatar, pose), camera, backend).alpha[0].cpu()
        mask, hidden = to_float(observations.masks[index]), hidden_in(observations, index)
        values.append(alpha_iou(alpha if hidden is None else torch.where(hidden, mask, alpha), mask))
    ordered = sorted(values)
    return {"median": round(ordered[len(ordered) // 2], 3), "worst": round(ordered[0], 3)}


def gpu_facts(device: torch.device) -> dict[str, str | int] | None:
    """Name of the GPU, its peak memory in this process, MiB, and gsplat's version; None on the CPU."""
    if device.type != "cuda":
        return None
    return {
        "name": torch.cuda.get_device_name(device),
        "peak_memory_mb": torch.cuda.max_memory_allocated(device) // 2**20,
        "cuda": str(torch.version.cuda),
        "gsplat": version("gsplat"),
    }


def provenance(source: Path) -> dict[str, str]:
    """What made this run: versions, machine and the digest of the source file."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else ""
    packages = ("torch", "numpy", "numba", "mediapipe")
    return {
        "avatar": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "source_sha256": digest,
        **{name: version(name) for name in packages},
    }
