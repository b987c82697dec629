"""The numbers that `create` writes into report.json."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from avatar import __version__
from avatar.body.shape_attributes import load_shape_attributes
from avatar.io.images import to_float
from avatar.metrics.images import alpha_iou, person_box, psnr
from avatar.model.avatar import Avatar
from avatar.pipeline.previews import body_splats
from avatar.pipeline.training_data import TrainingData
from avatar.rendering.renderer import render
from avatar.runtime.memory import peak_memory_mb
from avatar.training.trainer import TrainResult
from avatar.types import BodyTrack, Observations


def make_report(
    source: str,
    data: TrainingData,
    result: TrainResult,
    known_height: float | None,
    backend: str,
    seconds: dict[str, float],
) -> dict[str, Any]:
    """The content of report.json.

    Args:
        source: the video, photo or dataset that the avatar was made from; known_height: of the person, metres.
        seconds: of each stage of this run.
    """
    avatar, track, observations = result.avatar, result.track, data.observations
    memory = peak_memory_mb()
    return {
        "source": source,
        "frames": len(observations),
        "size": [observations.width, observations.height],
        "splats": len(avatar),
        "shape": shape_attributes(track, known_height),
        "held_out": held_out_scores(avatar, track, observations, result.held_out, backend),
        "body_mask_iou": body_mask_iou(avatar, track, observations, backend),
        "observed_share": float((avatar.observed > 0.5).float().mean()),
        "warnings": data.all_warnings,
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "peak_memory_mb": None if memory is None else int(memory),
        "made_with": provenance(Path(source)),
    }


@torch.no_grad()
def held_out_scores(
    avatar: Avatar, track: BodyTrack, observations: Observations, held_out: Sequence[int], backend: str
) -> dict[str, float | int]:
    """Mean PSNR on white, of the full frame and of the person's box, and alpha IoU, over the held-out frames."""
    assert track.cameras is not None
    full, box, iou = [], [], []
    for index in held_out:
        mask, image = to_float(observations.masks[index]), to_float(observations.images[index])
        truth = image * mask[..., None] + 1 - mask[..., None]
        pose = track.poses[int(track.instant[index])].to(avatar.device)
        out = render(avatar.pose(pose), track.cameras[index].to(avatar.device), backend)
        rgb = out.on_white()[0].clamp(0, 1).cpu()
        full.append(psnr(rgb, truth))
        region = person_box(mask)
        if region is not None:
            box.append(psnr(rgb[region], truth[region]))
        iou.append(alpha_iou(out.alpha[0].cpu(), mask))
    if not held_out:
        return {"frames": 0}
    scores = {"psnr": full, "psnr_box": box, "alpha_iou": iou}
    return {"frames": len(held_out)} | {name: round(sum(v) / len(v), 3) for name, v in scores.items() if v}


def shape_attributes(track: BodyTrack, known_height: float | None) -> dict[str, dict[str, float]] | None:
    """The fitted shape of the open body in words, each with its standard deviation; None for other bodies."""
    if track.body != "open":
        return None
    described = load_shape_attributes().describe(track.betas, known_height is not None)
    return {name: {"value": round(value, 3), "spread": round(spread, 3)} for name, (value, spread) in described.items()}


@torch.no_grad()
def body_mask_iou(avatar: Avatar, track: BodyTrack, observations: Observations, backend: str) -> dict[str, float]:
    """Overlap of the fitted body's silhouette and the person's mask, over every fourth frame."""
    assert track.cameras is not None
    values = []
    for index in range(0, len(observations), 4):
        pose = track.poses[int(track.instant[index])].to(avatar.device)
        camera = track.cameras[index].to(avatar.device)
        alpha = render(body_splats(avatar, pose), camera, backend).alpha[0].cpu()
        values.append(alpha_iou(alpha, to_float(observations.masks[index])))
    ordered = sorted(values)
    return {"median": round(ordered[len(ordered) // 2], 3), "worst": round(ordered[0], 3)}


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
