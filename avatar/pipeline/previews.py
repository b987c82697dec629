"""The images and videos that `create` writes to judge an avatar by: turntable, overlay and contact sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.geometry import quat_from_rotation
from avatar.io.files import atomic_write
from avatar.io.images import to_float, to_uint8
from avatar.io.videos import VideoWriter
from avatar.metrics.images import person_box
from avatar.model.avatar import Avatar
from avatar.model.gaussians import FLATNESS, triangle_frames
from avatar.model.world import cut_open
from avatar.pipeline.run_folder import RunFolder
from avatar.rendering.camera_paths import orbit
from avatar.rendering.renderer import render
from avatar.runtime.progress import progress
from avatar.types import BodyPose, BodyTrack, Cameras, Gaussians, Observations

PANEL = 640  # px, longer side of one panel of the overlay
CONTACT_PANEL = 400  # px, longer side of one image of the contact sheet
WINDOW_MARGIN = 0.06  # around the person on the contact sheet, as a share of the larger side
CONTACT_BYTES = 1_000_000
CONTACT_ROWS = ("source", "fitted body", "avatar", "difference x3", "avatar from all sides")
LABEL_HEIGHT = 24  # px
TURN_SECONDS = 4
TURN_FPS = 24.0
TURNTABLE_SIZE = (540, 960)
WEBP_QUALITY = 80


class Window(NamedTuple):
    """A part of an image, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def of(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        """This part of the image."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


@torch.no_grad()
def image_on_white(
    avatar: Avatar, pose: BodyPose, camera: Cameras, backend: str, lit: bool = True
) -> Float[Tensor, "h w 3"]:
    """The avatar in one pose, from the first of `camera`, on white."""
    return render(avatar.pose(pose.to(avatar.device), lit), camera[0].to(avatar.device), backend).on_white()[0]


def write_previews(run: RunFolder, avatar: Avatar, track: BodyTrack, observations: Observations, backend: str) -> None:
    """Write turntable, overlay and contact sheet into the run folder."""
    # Of several cameras, whose frames follow one another, the times add up.
    seconds = float(observations.times.double().diff().clamp_min(0).sum())
    fps = len(observations) / max(seconds, 1e-3)
    write_turntable(avatar, track.poses[len(track) // 2], run.turntable, *TURNTABLE_SIZE, backend)
    write_overlay(run.overlay, avatar, track, observations, backend, min(fps, 30.0))
    write_contact_sheet(run.contact, avatar, track, observations, backend)


def body_splats(avatar: Avatar, pose: BodyPose) -> Gaussians:
    """The fitted body itself as flat grey splats, shaded from above and the front, to be drawn like an avatar."""
    vertices = avatar.body.vertices(avatar.rest, avatar.body.complete(pose.to(avatar.device)))
    frames = triangle_frames(vertices, avatar.body.faces)
    normal = frames.rotation[..., 2]
    shade = 0.55 + 0.25 * normal[:, 1] + 0.2 * normal[:, 2]
    size = frames.area.sqrt()[:, None] * torch.tensor([0.6, 0.6, 0.6 * FLATNESS]).to(vertices)
    tint = torch.tensor([0.75, 0.85, 1.0]).to(vertices)
    return Gaussians(
        means=frames.vertices.mean(1),
        quats=quat_from_rotation(frames.rotation),
        scales=size.clamp_min(1e-4),
        opacities=torch.full_like(shade, 0.95),
        colors=shade.clamp(0, 1)[:, None] * tint,
    )


def write_turntable(
    avatar: Avatar,
    pose: BodyPose,
    path: Path,
    width: int,
    height: int,
    backend: str = "auto",
    scene: Gaussians | None = None,
) -> None:
    """Write one full rotation around the avatar, on white: `.mp4`, `.webm`, `.gif` or `.webp` by the suffix.

    Args:
        scene: what stands still around the person, world, metres.

    Raises:
        AvatarError: the suffix is another one, or the file cannot be written.
    """
    frames = turntable_frames(avatar, pose, width, height, backend, scene)
    if path.suffix.lower() == ".webp":
        _write_webp(frames, path)
        return
    with VideoWriter(path, TURN_FPS) as video:
        for frame in frames:
            video.add(frame)


def _write_webp(frames: Iterator[UInt8[np.ndarray, "h w 3"]], path: Path) -> None:
    from PIL import Image

    first, *others = [Image.fromarray(frame) for frame in frames]
    with atomic_write(path) as temporary:
        first.save(
            temporary, save_all=True, append_images=others, duration=1000 / TURN_FPS, loop=0, quality=WEBP_QUALITY
        )


def turntable_frames(
    avatar: Avatar, pose: BodyPose, width: int, height: int, backend: str, scene: Gaussians | None = None
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Images of one pose over a full rotation of the camera, at `TURN_FPS` per second, on white."""
    low, high = bounding_box(avatar, pose)
    cameras = orbit(low, high, round(TURN_SECONDS * TURN_FPS), width, height).to(avatar.device)
    with torch.no_grad():
        posed = avatar.pose(pose.to(avatar.device))
    for index in progress(range(len(cameras)), "turntable"):
        around = [] if scene is None else [cut_open(scene.to(avatar.device), posed, cameras[index])]
        yield to_uint8(render(Gaussians.cat([posed, *around]), cameras[index], backend).on_white()[0])


@torch.no_grad()
def bounding_box(avatar: Avatar, pose: BodyPose) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Opposite corners, in the world, of the box that holds the avatar in one pose."""
    means = avatar.pose(pose.to(avatar.device)).means.cpu()
    return means.amin(0), means.amax(0)


def facing(pose: BodyPose) -> float:
    """The azimuth, in degrees, of a camera in front of the person (see `avatar.rendering.camera_paths`)."""
    x, _, z = pose.rotations[0, :, 2].tolist()
    return math.degrees(math.atan2(x, z))


def write_overlay(
    path: Path, avatar: Avatar, track: BodyTrack, observations: Observations, backend: str, fps: float
) -> None:
    """A video of each frame four times: the source, the fitted body over it, the avatar over it, the difference."""
    with VideoWriter(path, fps) as video:
        for index in progress(range(len(observations)), "overlay"):
            video.add(np.concatenate(overlay_panels(avatar, track, observations, index, backend), axis=1))


@torch.no_grad()
def overlay_panels(
    avatar: Avatar,
    track: BodyTrack,
    observations: Observations,
    index: int,
    backend: str,
    side: int = PANEL,
    window: Window | None = None,
) -> list[UInt8[np.ndarray, "h w 3"]]:
    """Source, body over source, avatar over source, and their difference, for one frame; `side` pixels long.

    Args:
        window: the part of the frame to show; None: all of it.
    """
    import cv2

    assert track.cameras is not None
    window = window or Window(0, 0, observations.width, observations.height)
    scale = side / max(window.width, window.height)
    # Even sizes, which H.264 needs.
    width, height = (max(round(side * scale / 2), 1) * 2 for side in (window.width, window.height))
    source = cv2.resize(window.of(observations.images[index]), (width, height), interpolation=cv2.INTER_AREA)
    background = torch.from_numpy(source).to(avatar.device).float() / 255
    camera = track.cameras[index].cropped(*window).resized(width, height).to(avatar.device)
    pose = track.poses[int(track.instant[index])].to(avatar.device)
    panels = [source]
    for gaussians, strength in ((body_splats(avatar, pose), 0.7), (avatar.pose(pose), 1.0)):
        out = render(gaussians, camera, backend)
        overlay = strength * out.rgb[0] + (1 - strength * out.alpha[0, ..., None]) * background
        panels.append(to_uint8(overlay))
    # Channel by channel: NumPy's maximum along an axis of three takes ten times as long.
    red, green, blue = cv2.split(cv2.absdiff(panels[-1], source))
    difference = cv2.max(cv2.max(red, green), blue).astype(np.uint16)
    panels.append(cv2.merge([(255 - np.minimum(difference * 3, 255)).astype(np.uint8)] * 3))
    return panels


def write_contact_sheet(
    path: Path, avatar: Avatar, track: BodyTrack, observations: Observations, backend: str, frames: int = 8
) -> None:
    """Frames spread over the clip, each above its body, avatar and difference, then the avatar from all sides."""
    chosen = np.linspace(0, len(observations) - 1, frames).round().astype(int)
    windows = person_windows(observations, chosen.tolist())
    columns = [
        overlay_panels(avatar, track, observations, int(i), backend, CONTACT_PANEL, window)
        for i, window in zip(chosen, windows, strict=True)
    ]
    height, width = columns[0][0].shape[:2]
    pose = track.poses[len(track) // 2]
    around = orbit(*bounding_box(avatar, pose), frames, width, height, azimuth=facing(pose))
    turned = [to_uint8(image_on_white(avatar, pose, around[i], backend)) for i in range(frames)]
    rows = [*(list(row) for row in zip(*columns, strict=True)), turned]
    _write_small_png(labelled_sheet(rows, CONTACT_ROWS), path)


def person_windows(observations: Observations, frames: Sequence[int]) -> list[Window]:
    """Parts of these frames, all of one size, that hold the person and a margin; the whole frames without masks."""
    width, height = observations.width, observations.height
    if not len(observations.masks):
        return [Window(0, 0, width, height)] * len(frames)
    nobody = slice(0, height), slice(0, width)
    boxes = [person_box(to_float(observations.masks[frame]), 0) or nobody for frame in frames]
    sizes = [max(box[axis].stop - box[axis].start for box in boxes) for axis in (1, 0)]
    margin = round(WINDOW_MARGIN * max(sizes))
    across, down = (min(size + 2 * margin, whole) for size, whole in zip(sizes, (width, height), strict=True))
    return [Window(_start(box[1], across, width), _start(box[0], down, height), across, down) for box in boxes]


def _start(interval: slice, length: int, whole: int) -> int:
    """Where a window of this length begins that has the interval in its middle, as far as the image reaches."""
    start: int = (interval.start + interval.stop - length) // 2
    return min(max(start, 0), whole - length)


def sheet(columns: Sequence[UInt8[np.ndarray, "h w 3"]]) -> UInt8[np.ndarray, "h w2 3"]:
    """Images of one height side by side."""
    return np.concatenate(list(columns), axis=1)


def labelled_sheet(
    rows: Sequence[Sequence[UInt8[np.ndarray, "h w 3"]]], labels: Sequence[str]
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Rows of images of one size, each below its label."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(LABEL_HEIGHT * 0.7)
    strips = []
    for label, row in zip(labels, rows, strict=True):
        images = sheet(row)
        strip = Image.new("RGB", (images.shape[1], LABEL_HEIGHT), "white")
        ImageDraw.Draw(strip).text((6, LABEL_HEIGHT / 2), label, fill="black", anchor="lm", font=font)
        strips += [np.asarray(strip), images]
    return np.concatenate(strips)


def _write_small_png(image: UInt8[np.ndarray, "h w 3"], path: Path) -> None:
    """Write a PNG of at most `CONTACT_BYTES`: 256 colours, and smaller if that is not enough."""
    from PIL import Image

    whole = Image.fromarray(image)
    with atomic_write(path) as temporary:
        while True:
            few = whole.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
            few.save(temporary, format="png", optimize=True)
            if temporary.stat().st_size <= CONTACT_BYTES:
                return
            whole = whole.resize((round(whole.width * 0.85), round(whole.height * 0.85)), Image.Resampling.LANCZOS)
