"""An avatar and a motion in, a video out: which cameras, which background, which file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from avatar.body.skeleton import SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import UsageError
from avatar.io.camera_file import load_cameras
from avatar.io.images import to_uint8, write_image
from avatar.io.videos import VideoWriter
from avatar.model.avatar import Avatar
from avatar.motion.smoothing import smooth_path
from avatar.rendering.camera_paths import follow, front, orbit
from avatar.rendering.renderer import render
from avatar.runtime.progress import progress
from avatar.types import BodyTrack, Cameras

# From the joints to the end of the body: hands, crown and toes reach beyond them.
BEYOND_JOINTS = 0.22
FOLLOW_SECONDS = 0.6  # the camera follows the person's path smoothed over this time
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


def cameras_of(options: VideoOptions, avatar: Avatar, track: BodyTrack) -> Cameras:
    """The cameras for a motion, one per frame, with the whole body in view.

    Raises:
        UsageError: `options.camera` is neither a name of a camera path nor a camera file.
    """
    if options.camera not in ("orbit", "front", "follow"):
        given = load_cameras(Path(options.camera)).resized(options.width, options.height)
        if len(given) not in (1, len(track)):
            raise UsageError(
                f"{options.camera} holds {len(given)} cameras for {len(track)} frames: give one, or one per frame."
            )
        return given if len(given) == len(track) else given[[0] * len(track)]
    rest = avatar.rest.smpl_joints.detach().cpu()
    joints = joint_transforms(rest, SMPL_PARENTS, track.poses)[..., :3, 3]
    path = smooth_path(track.poses.root_position, FOLLOW_SECONDS * track.fps) * torch.tensor([1.0, 0.0, 1.0])
    about = joints - path[:, None] if options.camera == "follow" else joints
    low, high = about.amin((0, 1)) - BEYOND_JOINTS, about.amax((0, 1)) + BEYOND_JOINTS
    low[1] = min(float(low[1]) + BEYOND_JOINTS, 0.0)
    if options.camera == "follow":
        return follow(path, low, high, options.width, options.height, azimuth=20.0)
    make = front if options.camera == "front" else orbit
    return make(low, high, len(track), options.width, options.height)


@torch.no_grad()
def frames_of(
    avatar: Avatar, track: BodyTrack, options: VideoOptions, backend: str = "auto"
) -> Iterator[UInt8[np.ndarray, "h w c"]]:
    """The frames one after another: RGB on the background, or RGBA with straight alpha."""
    cameras = cameras_of(options, avatar, track).to(avatar.device)
    color = background_color(options.background)
    for frame in range(len(track)):
        out = render(avatar.pose(track.poses[frame].to(avatar.device)), cameras[frame], backend)
        if color is None:
            alpha = out.alpha[0, ..., None]
            image = torch.cat([out.rgb[0] / alpha.clamp_min(1e-4), alpha], -1)
        else:
            image = out.composite(color)[0]
        yield to_uint8(image)


def animate(avatar: Avatar, track: BodyTrack, options: VideoOptions, out: Path, backend: str = "auto") -> Path:
    """Write a video (.mp4, .webm, .gif), a folder of images (a path without suffix), or the first frame (.png).

    Returns:
        The path as it was written.

    Raises:
        UsageError: the background does not fit the format. AvatarError: the file cannot be written.
    """
    if options.background == "alpha" and out.suffix in (".mp4", ".gif"):
        raise UsageError(f"{out.suffix} holds no alpha: use --out video.webm or a folder of images.")
    if out.suffix == ".png" and "%" not in out.name:
        write_image(out, next(frames_of(avatar, track, options, backend)))
        return out
    target = out if out.suffix else out / "%04d.png"
    with VideoWriter(target, track.fps) as video:
        for frame in progress(frames_of(avatar, track, options, backend), "rendering", total=len(track)):
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
