"""The images of report.html: frames beside the avatar, what was in view of it, and how well each frame is met."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.io.files import write_json
from avatar.io.images import to_float, to_uint8, write_image
from avatar.metrics.images import person_box, psnr
from avatar.model.avatar import Avatar
from avatar.pipeline.previews import PANEL, bounding_box, facing, image_on_white
from avatar.pipeline.run_folder import RunFolder
from avatar.rendering.camera_paths import orbit
from avatar.rendering.renderer import render
from avatar.types import BodyPose, BodyTrack, Observations

PAIRS = 6  # frames beside the avatar
COVERAGE_SIZE = (300, 460)
THUMBNAIL_SIZE = (160, 240)
SCORED_FRAMES = 120  # at most, evenly spaced
SCORED_SIDE = 480  # pixels; enough to tell good frames from bad ones
SHADE = 0.4  # of a splat's brightness that stays in the map of what was in view


@torch.no_grad()
def write_report_images(
    run: RunFolder, avatar: Avatar, track: BodyTrack, observations: Observations, backend: str
) -> None:
    """Write `report/`: `source-N.jpg` and `avatar-N.jpg`, `coverage.jpg`, `thumbnail.jpg`, and `frames.json` with the
    PSNR in the person's box of each scored frame."""
    assert track.cameras is not None
    run.report_images.mkdir(exist_ok=True)
    for number, index in enumerate(_spread(len(observations), PAIRS)):
        source, overlaid, _ = _compared(avatar, track, observations, index, backend, PANEL)
        write_image(run.report_images / f"source-{number}.jpg", to_uint8(source))
        write_image(run.report_images / f"avatar-{number}.jpg", to_uint8(overlaid))
    scores = [
        (index, round(_compared(avatar, track, observations, index, backend, SCORED_SIDE)[2], 2))
        for index in _spread(len(observations), SCORED_FRAMES)
    ]
    write_json(run.report_images / "frames.json", {"psnr_box": scores})
    pose = track.poses[len(track) // 2]
    write_image(run.report_images / "coverage.jpg", _coverage(avatar, pose, backend))
    camera = orbit(*bounding_box(avatar, pose), 1, *THUMBNAIL_SIZE, azimuth=facing(pose) + 20)
    write_image(run.report_images / "thumbnail.jpg", to_uint8(image_on_white(avatar, pose, camera, backend)))


def observed_colors(avatar: Avatar, colors: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """How well each splat was in view, as a colour over its own brightness: face and folds remain visible."""
    return heat(avatar.observed) * (SHADE + (1 - SHADE) * colors.mean(-1, keepdim=True).clamp(0, 1))


def heat(values: Float[Tensor, " n"]) -> Float[Tensor, "n 3"]:
    """Colours from dark blue (0: inpainted) over green to yellow (1: well observed), with lightness rising evenly."""
    stops = values.new_tensor([[0.15, 0.1, 0.35], [0.1, 0.4, 0.55], [0.25, 0.7, 0.45], [0.95, 0.9, 0.3]])
    place = values.clamp(0, 1) * (len(stops) - 1)
    low = place.floor().long().clamp(max=len(stops) - 2)
    return stops[low].lerp(stops[low + 1], (place - low)[:, None])


def _spread(count: int, wanted: int) -> list[int]:
    indices: list[int] = np.unique(np.linspace(0, count - 1, min(wanted, count)).round().astype(int)).tolist()
    return indices


def _compared(
    avatar: Avatar, track: BodyTrack, observations: Observations, index: int, backend: str, side: int
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w 3"], float]:
    """A frame, the avatar over it, and the PSNR in the person's box on white, at `side` pixels."""
    import cv2

    assert track.cameras is not None
    scale = min(side / max(observations.width, observations.height), 1.0)
    size = (max(round(observations.width * scale), 1), max(round(observations.height * scale), 1))
    image = to_float(cv2.resize(observations.images[index], size, interpolation=cv2.INTER_AREA))
    mask = to_float(cv2.resize(observations.masks[index], size, interpolation=cv2.INTER_AREA))
    pose = track.poses[int(track.instant[index])].to(avatar.device)
    out = render(avatar.pose(pose), track.cameras[index].resized(*size).to(avatar.device), backend)
    rgb, alpha = out.rgb[0].cpu(), out.alpha[0, ..., None].cpu()
    box = person_box(mask) or (slice(None), slice(None))
    truth, ours = image * mask[..., None] + 1 - mask[..., None], (rgb + 1 - alpha).clamp(0, 1)
    if observations.trust is not None:  # what hides the person is not compared
        trust = torch.from_numpy(cv2.resize(observations.trust[index], size, interpolation=cv2.INTER_NEAREST))
        truth = torch.where((trust == 0)[..., None], ours, truth)
    return image, (rgb + (1 - alpha) * image).clamp(0, 1), psnr(ours[box], truth[box])


def _coverage(avatar: Avatar, pose: BodyPose, backend: str) -> np.ndarray:
    """What was in view, from four sides."""
    posed = avatar.pose(pose.to(avatar.device))
    posed = replace(posed, colors=observed_colors(avatar, posed.colors))
    cameras = orbit(*bounding_box(avatar, pose), 4, *COVERAGE_SIZE, azimuth=facing(pose)).to(avatar.device)
    return np.concatenate([to_uint8(render(posed, cameras[i], backend).on_white()[0]) for i in range(4)], axis=1)
