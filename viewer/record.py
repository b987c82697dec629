"""Images and videos of what the page shows, rendered by our own renderer at any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.geometry import quat_from_rotation, rotation_from_quat, slerp
from avatar.io.images import to_uint8
from avatar.io.videos import VideoWriter
from avatar.rendering.camera_paths import front, orbit
from avatar.rendering.renderer import render
from avatar.types import BodyPose, Cameras, Gaussians
from avatar.viewer.camera_path import cameras_on_path, path_through
from avatar.viewer.clips import Clip
from avatar.viewer.companions import Playing
from avatar.viewer.session import PosedState, Session
from avatar.viewer.state import ViewState

FPS = 30
TURN_SECONDS = 4
BOX_POSES = 12  # of a motion, from which its bounding box is computed
BLUR_STEPS = 6  # images that are averaged for motion blur
SHUTTER = 0.5  # part of a frame's time in which a camera's shutter is open

# The avatar and the camera at a time in frames, which may lie between two.
Moment = Callable[[float], tuple[Gaussians, Cameras]]


@dataclass(frozen=True)
class Finish:
    """How images are finished.

    Attributes:
        background: sRGB bytes; transparent: none at all, but alpha; blur: motion blur.
    """

    background: tuple[int, int, int]
    transparent: bool = False
    blur: bool = False


def turntable(session: Session, state: ViewState, size: tuple[int, int], finish: Finish) -> Iterator[np.ndarray]:
    """Frames of one orbit around the current pose."""
    posed = session.posed_state(state)
    count = FPS * TURN_SECONDS
    cameras = orbit(*_box([session.person(posed).means]), count * BLUR_STEPS, *size)

    def moment(at: float) -> tuple[Gaussians, Cameras]:
        camera = cameras[round(at * BLUR_STEPS)]
        return session.gaussians(posed, camera), camera

    return video_frames(count, moment, finish)


def clip_frames(
    session: Session, state: ViewState, clip: Clip, size: tuple[int, int], camera: Cameras | None, finish: Finish
) -> Iterator[np.ndarray]:
    """Frames of a whole motion, from a given camera or from the front with all of it in view."""
    if camera is None:
        some = torch.linspace(0, len(clip) - 1, BOX_POSES).round().long().unique().tolist()
        camera = front(
            *_box([session.person(_state(state, clip.poses[index], clip, index)).means for index in some]), 1, *size
        )
    standing = camera

    def moment(at: float) -> tuple[Gaussians, Cameras]:
        return session.gaussians(_state(state, pose_at(clip, at), clip, at), standing), standing

    return video_frames(len(clip), moment, finish)


def path_frames(
    session: Session, state: ViewState, clip: Clip, size: tuple[int, int], finish: Finish
) -> tuple[int, Iterator[np.ndarray]]:
    """Number and frames of a ride along the views of `state`; the motion plays meanwhile."""
    each = max(round(state.step_seconds * FPS), 1)
    count = each * (len(state.views) - 1)
    cameras = cameras_on_path(path_through(state.views, each * BLUR_STEPS), *size)
    by_hand = None if state.edited is None else session.posed_state(state).pose

    def moment(at: float) -> tuple[Gaussians, Cameras]:
        frame = (state.frame + at * clip.fps / FPS) % len(clip)
        pose = pose_at(clip, frame) if by_hand is None else by_hand
        camera = cameras[round(at * BLUR_STEPS)]
        return session.gaussians(_state(state, pose, clip, frame), camera), camera

    return count, video_frames(count, moment, finish)


@torch.no_grad()
def video_frames(count: int, moment: Moment, finish: Finish) -> Iterator[UInt8[np.ndarray, "h w c"]]:
    """Frames of a video: RGB on the background, or RGBA with straight alpha."""
    for index in range(count):
        times = [index + SHUTTER * step / BLUR_STEPS for step in range(BLUR_STEPS)] if finish.blur else [float(index)]
        yield finished(torch.stack([_premultiplied(*moment(at)) for at in times]).mean(0), finish)


def finished(rgba: Float[Tensor, "h w 4"], finish: Finish) -> UInt8[np.ndarray, "h w c"]:
    """An image with premultiplied alpha on a background, or with straight alpha."""
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    if finish.transparent:
        return to_uint8(torch.cat([rgb / alpha.clamp_min(1e-4), alpha], -1).clamp(0, 1))
    return to_uint8((rgb + (1 - alpha) * rgb.new_tensor(finish.background) / 255).clamp(0, 1))


@torch.no_grad()
def still(gaussians: Gaussians, camera: Cameras, finish: Finish) -> UInt8[np.ndarray, "h w c"]:
    """One image."""
    return finished(_premultiplied(gaussians, camera), finish)


def pose_at(clip: Clip, frame: float) -> BodyPose:
    """The pose of a motion at a time in frames, between two by slerp; the last one after the end."""
    low = min(int(frame), len(clip) - 1)
    high, share = min(low + 1, len(clip) - 1), frame - int(frame)
    if share == 0 or high == low:
        return clip.poses[low]
    a, b = clip.poses[low], clip.poses[high]

    def turned(one: Tensor, two: Tensor) -> Tensor:
        qa, qb = quat_from_rotation(one), quat_from_rotation(two)
        return rotation_from_quat(slerp(qa, qb, torch.full((len(qa),), share)))

    fingers = None if a.fingers is None or b.fingers is None else turned(a.fingers, b.fingers)
    face = None if a.face is None or b.face is None else a.face.lerp(b.face, share)
    root = a.root_position.lerp(b.root_position, share)
    swing = None if a.swing is None or b.swing is None else turned(a.swing, b.swing)
    return BodyPose(root, turned(a.rotations, b.rotations), fingers, face, swing)


def write_video(path: Path, frames: Iterator[np.ndarray], fps: float | int, report: Callable[[int], None]) -> None:
    """Write frames as a video; `report` receives the number of frames written."""
    with VideoWriter(path, fps) as video:
        for index, frame in enumerate(frames):
            video.add(frame)
            report(index + 1)


def _state(state: ViewState, pose: BodyPose, clip: Clip, frame: float | int) -> PosedState:
    moment = Playing(state.clip, frame / clip.fps, state.springs)
    return PosedState(pose, state.colors, state.detail, state.opacity, state.light, state.scene, moment)


def _premultiplied(gaussians: Gaussians, camera: Cameras) -> Float[Tensor, "h w 4"]:
    out = render(gaussians, camera[0].to(gaussians.means.device))
    return torch.cat([out.rgb[0], out.alpha[0, ..., None]], -1).cpu()


def _box(means: list[Float[Tensor, "n 3"]]) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Bounding box of all but the outermost 0.2 % of the splats, which a few floaters must not widen, plus 3 cm."""
    lows, highs = [], []
    for points in means:
        count = len(points)
        ordered = points.cpu().sort(dim=0).values
        lows.append(ordered[count // 500])
        highs.append(ordered[count - 1 - count // 500])
    return torch.stack(lows).amin(0) - 0.03, torch.stack(highs).amax(0) + 0.03
