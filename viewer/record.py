"""Videos of the current view, rendered by our own renderer at any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.io.videos import VideoWriter
from avatar.rendering.camera_paths import front, orbit
from avatar.types import BodyPose, Cameras, Gaussians
from avatar.viewer.clips import Clip
from avatar.viewer.server_images import render_image
from avatar.viewer.session import PosedState, Session
from avatar.viewer.state import ViewState

FPS = 30
TURN_SECONDS = 4
BOX_POSES = 12  # of a motion, from which its bounding box is computed


def turntable(session: Session, state: ViewState, size: tuple[int, int]) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Frames of one orbit around the current pose."""
    gaussians = session.gaussians(session.posed_state(state))
    low, high = _box([gaussians.means])
    cameras = orbit(low, high, FPS * TURN_SECONDS, *size)
    for index in range(len(cameras)):
        yield render_image(gaussians, cameras[index], state.background)


def clip_frames(
    session: Session, state: ViewState, clip: Clip, size: tuple[int, int], camera: Cameras | None = None
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Frames of a whole motion, from a given camera or from the front with all of it in view."""

    def posed(pose: BodyPose) -> Gaussians:
        return session.gaussians(PosedState(pose, state.colors, state.detail, state.opacity))

    if camera is None:
        some = torch.linspace(0, len(clip) - 1, BOX_POSES).round().long().unique().tolist()
        camera = front(*_box([posed(clip.poses[index]).means for index in some]), 1, *size)
    for index in range(len(clip)):
        yield render_image(posed(clip.poses[index]), camera, state.background)


def write_video(
    path: Path, frames: Iterator[UInt8[np.ndarray, "h w 3"]], fps: float, report: Callable[[int], None]
) -> None:
    """Write frames as a video; `report` receives the number of frames written."""
    with VideoWriter(path, fps) as video:
        for index, frame in enumerate(frames):
            video.add(frame)
            report(index + 1)


def _box(means: list[Float[Tensor, "n 3"]]) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Bounding box of all but the outermost 0.2 % of the splats, which a few floaters must not widen, plus 3 cm."""
    lows, highs = [], []
    for points in means:
        count = len(points)
        ordered = points.cpu().sort(dim=0).values
        lows.append(ordered[count // 500])
        highs.append(ordered[count - 1 - count // 500])
    return torch.stack(lows).amin(0) - 0.03, torch.stack(highs).amax(0) + 0.03
