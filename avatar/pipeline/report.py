"""The numbers that `create` writes into report.json."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from avatar import __version__
from avatar.body.shape_attributes import in_words, load_shape_words
from avatar.io.images import to_float
from avatar.metrics.images import alpha_iou, person_box, psnr
from avatar.model.avatar import Avatar
from avatar.pipeline.previews import WHITE, body_splats
from avatar.pipeline.settings import Settings
from avatar.rendering.renderer import render
from avatar.runtime.logging import logger
from avatar.training.split import held_out_frames
from avatar.types import BodyTrack, Observations


@torch.no_grad()
def _held_out_scores(
    avatar: Avatar, refined: BodyTrack, observations: Observations, settings: Settings
) -> dict[str, float | int]:
    """Mean PSNR on white, full frame and person's box, and alpha IoU, of the frames training never saw."""
    assert refined.cameras is not None
    indices = held_out_frames(len(observations), settings.train.hold_out)
    full, box, iou = [], [], []
    for index in indices:
        mask = to_float(observations.masks[index])
        image = to_float(observations.images[index])
        truth = image * mask[..., None] + 1 - mask[..., None]
        pose = refined.poses[int(refined.instant[index])].to(avatar.device)
        out = render(avatar.pose(pose), refined.cameras[index].to(avatar.device), settings.backend)
        rgb = out.on(WHITE)[0].clamp(0, 1).cpu()
        full.append(psnr(rgb, truth))
        region = person_box(mask)
        if region is not None:
            box.append(psnr(rgb[region], truth[region]))
        iou.append(alpha_iou(out.alpha[0].cpu(), mask))
    if not indices:
        return {"frames": 0}
    scores = {"psnr": full, "psnr_box": box, "alpha_iou": iou}
    return {"frames": len(indices)} | {name: round(sum(v) / len(v), 3) for name, v in scores.items() if v}


def _shape(refined: BodyTrack, height: float | None) -> dict[str, dict[str, float]] | None:
    """The open body's fitted shape in words, each with its standard deviation."""
    if refined.body != "open":
        return None
    described = load_shape_words().describe(refined.betas, height is not None)
    logger.info(f"the shape: {in_words(described)}")
    return {name: {"value": round(value, 3), "spread": round(spread, 3)} for name, (value, spread) in described.items()}


@torch.no_grad()
def _body_iou(avatar: Avatar, refined: BodyTrack, observations: Observations, settings: Settings) -> dict[str, float]:
    """Overlap of the fitted body's silhouette and the person's mask, over every fourth frame."""
    assert refined.cameras is not None
    values = []
    for index in range(0, len(observations), 4):
        pose = refined.poses[int(refined.instant[index])].to(avatar.device)
        camera = refined.cameras[index].to(avatar.device)
        alpha = render(body_splats(avatar, pose), camera, settings.backend).alpha[0].cpu()
        values.append(alpha_iou(alpha, to_float(observations.masks[index])))
    ordered = sorted(values)
    return {"median": round(ordered[len(ordered) // 2], 3), "worst": round(ordered[0], 3)}


def _provenance(settings: Settings) -> dict[str, str]:
    """What made this run: versions, machine and the digest of the source."""
    digest = hashlib.sha256(Path(settings.source).read_bytes()).hexdigest() if Path(settings.source).is_file() else ""
    packages = ("torch", "numpy", "numba", "mediapipe")
    return {
        "avatar": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "source_sha256": digest,
        **{name: version(name) for name in packages},
    }
