"""People and their motions in, a video out: which cameras, which background, which file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.body.skeleton import SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import UsageError
from avatar.io.camera_file import load_cameras
from avatar.io.files import require_file, require_writable
from avatar.io.images import to_uint8, write_image
from avatar.io.videos import VideoWriter
from avatar.model.avatar import Avatar
from avatar.model.world import World
from avatar.motion.smoothing import smooth_path
from avatar.rendering.camera_paths import follow, front, orbit
from avatar.rendering.renderer import render
from avatar.runtime.progress import progress
from avatar.types import BodyPose, BodyTrack, Cameras

# From the joints to the end of the body: hands, crown and toes reach beyond them.
BEYOND_JOINTS = 0.22
FOLLOW_SECONDS = 0.6  # the camera follows the person's path smoothed over this time
CAMERAS = ("orbit", "front", "follow")
VIDEOS = (".mp4", ".webm", ".gif", ".png", "")  # one image, or a folder for the frames
COLORS = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0), "gray": (0.5, 0.5, 0.5), "green": (0.0, 0.69, 0.25)}


@dataclass(frozen=True)
class VideoOptions:
    """How a video is rendered.

    Attributes:
        camera: "orbit", "front", "follow", or the path of a camera file.
        width, height: of the frames, pixels.
        background: a name in `COLORS`, "#rrggbb", or "alpha" for none.
    """

    camera: str = "follow"
    width: int = 540
    height: int = 960
    background: str = "white"


def cameras_of(options: VideoOptions, world: World, tracks: Sequence[BodyTrack]) -> Cameras:
    """The cameras for the motions of all people, one per frame of the longest, with every whole body in view.

    Raises:
        UsageError: `options.camera` is neither a name of a camera path nor a camera file.
    """
    frames = max(map(len, tracks))
    if options.camera not in CAMERAS:
        given = load_cameras(Path(options.camera)).resized(options.width, options.height)
        if len(given) not in (1, frames):
            raise UsageError(
                f"{options.camera} holds {len(given)} cameras for {frames} frames: give one, or one per frame."
            )
        return given if len(given) == frames else given[[0] * frames]
    pairs = zip(world.people, tracks, strict=True)
    joints = torch.cat([_joints_of(person, track, frames) for person, track in pairs], dim=1)
    pelvises = joints[:, :: len(SMPL_PARENTS)].mean(1)
    path = smooth_path(pelvises, FOLLOW_SECONDS * tracks[0].fps) * torch.tensor([1.0, 0.0, 1.0])
    about = joints - path[:, None] if options.camera == "follow" else joints
    low, high = about.amin((0, 1)) - BEYOND_JOINTS, about.amax((0, 1)) + BEYOND_JOINTS
    low[1] = min(float(low[1]) + BEYOND_JOINTS, 0.0)
    if options.camera == "follow":
        return follow(path, low, high, options.width, options.height, azimuth=20.0)
    make = front if options.camera == "front" else orbit
    return make(low, high, frames, options.width, options.height)


def _joints_of(person: Avatar, track: BodyTrack, frames: int) -> Float[Tensor, "frames 24 3"]:
    """World places of the joints; the last pose is held."""
    rest = person.rest.smpl_joints.detach().cpu()
    return joint_transforms(rest, SMPL_PARENTS, _held(track, frames))[..., :3, 3]


def _held(track: BodyTrack, frames: int) -> BodyPose:
    """The poses of a track, the last one repeated up to this number of frames."""
    return track.poses[[min(frame, len(track) - 1) for frame in range(frames)]]


@torch.no_grad()
def frames_of(
    world: World, tracks: Sequence[BodyTrack], options: VideoOptions, backend: str = "auto"
) -> Iterator[UInt8[np.ndarray, "h w c"]]:
    """The frames one after another: RGB on the background, or RGBA with straight alpha.

    Args:
        tracks: the motion of each person, at one rate; who stops earlier keeps the last pose.
    """
    cameras = cameras_of(options, world, tracks).to(world.device)
    color = background_color(options.background)
    motions = [_held(track, len(cameras)) for track in tracks]
    for frame in range(len(cameras)):
        splats = world.posed([poses[frame] for poses in motions], seen_from=cameras[frame])
        out = render(splats, cameras[frame], backend)
        if color is None:
            alpha = out.alpha[0, ..., None]
            image = torch.cat([out.rgb[0] / alpha.clamp_min(1e-4), alpha], -1)
        else:
            image = out.composite(color)[0]
        yield to_uint8(image)


def check_video(options: VideoOptions, out: Path) -> None:
    """Refuse what `animate` cannot write, and make the folder of the video, before the long work.

    Raises:
        UsageError: there is no such background or camera, or the file cannot hold the video. AvatarError: it cannot be
            written there.
    """
    background_color(options.background)
    if options.camera not in CAMERAS:
        require_file(Path(options.camera))
    if out.suffix not in VIDEOS:
        raise UsageError(f"--out takes .mp4, .webm, .gif, .png or a folder, not {out.name}.")
    if options.background == "alpha" and out.suffix in (".mp4", ".gif"):
        raise UsageError(f"{out.suffix} holds no alpha: use --out video.webm or a folder of images.")
    require_writable(out)


def animate(world: World, tracks: Sequence[BodyTrack], options: VideoOptions, out: Path, backend: str = "auto") -> Path:
    """Write a video (.mp4, .webm, .gif), a folder of images (a path without suffix), or the first frame (.png).

    Returns:
        The path as it was written.

    Raises:
        UsageError, AvatarError: see `check_video`.
    """
    check_video(options, out)
    if out.suffix == ".png" and "%" not in out.name:
        write_image(out, next(frames_of(world, tracks, options, backend)))
        return out
    target = out if out.suffix else out / "%04d.png"
    with VideoWriter(target, tracks[0].fps) as video:
        frames = frames_of(world, tracks, options, backend)
        for frame in progress(frames, "rendering", total=max(map(len, tracks))):
            video.add(frame)
    return out


def background_color(name: str) -> tuple[float, float, float] | None:
    """The colour of a background, None for "alpha".

    Raises:
        UsageError: there is no such colour.
    """
    if name == "alpha":
        return None
    if name in COLORS:
        return COLORS[name]
    if re.fullmatch(r"#[0-9a-fA-F]{6}", name):
        red, green, blue = bytes.fromhex(name[1:])
        return red / 255, green / 255, blue / 255
    raise UsageError(f"--background must be {', '.join(COLORS)}, #rrggbb or alpha, not {name!r}.")


def parse_size(text: str, option: str = "--size") -> tuple[int, int]:
    """Width and height from "540x960", the value of an option.

    Raises:
        UsageError: it is not a size of 16 to 8192 pixels.
    """
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (16 <= width <= 8192 and 16 <= height <= 8192):
        raise UsageError(f"{option} must be WIDTHxHEIGHT in pixels, such as 540x960, not {text!r}.")
    return width, height
