"""An avatar and a motion in, a film out: which motion, which cameras, which background."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.body import smpl_pose
from avatar.body.skeleton import SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import AvatarError, UsageError
from avatar.io.camera_file import load_cameras
from avatar.io.images import write_image
from avatar.io.videos import VideoWriter
from avatar.model.avatar import Avatar
from avatar.motion import load_motion
from avatar.motion.motion import Motion, ReadOptions, uniform_track
from avatar.motion.procedural import builtin_motion
from avatar.motion.skeletons import leg_length, model_rest
from avatar.motion.smoothing import smooth_path
from avatar.rendering.camera_paths import follow, front, orbit
from avatar.rendering.renderer import render
from avatar.runtime.progress import progress
from avatar.types import BodyTrack, Cameras

# From the joints to the end of the body: hands, crown and toes reach beyond them.
BEYOND_JOINTS = 0.22
FOLLOW_SECONDS = 0.6  # the camera follows the person's path smoothed over this time
POSE_SECONDS = 4.0
COLORS = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0), "gray": (0.5, 0.5, 0.5), "green": (0.0, 0.69, 0.25)}


@dataclass(frozen=True)
class Shot:
    """How a film is taken.

    Attributes:
        camera: "orbit", "front", "follow", or the path of a camera file.
        width, height: of the frames, pixels.
        background: a name in `COLORS`, "#rrggbb", or "alpha" for none.
    """

    camera: str = "follow"
    width: int = 540
    height: int = 960
    background: str = "white"


def find_motion(name: str, options: ReadOptions | None = None, format: str | None = None) -> Motion:
    """A motion by the name of a built-in one, or from a motion file, a run folder or a video.

    Raises:
        UsageError: there is no such motion or file. AvatarError: the file is broken.
    """
    path = Path(name)
    if path.is_dir() and (path / "track.npz").is_file():
        path = path / "track.npz"
    if not path.is_file():
        if "/" in name or "." in name:
            raise UsageError(f"There is no file {name}.")
        return builtin_motion(name)
    if format is None and _is_video(path):
        return motion_of_video(path)
    return load_motion(path, options, format)


def motion_of_video(path: Path) -> Motion:
    """How the person in a video moves; the tracking takes a while."""
    import tempfile

    from avatar.body import load_body
    from avatar.observation.video import observe
    from avatar.tracking.fit import track
    from avatar.tracking.options import TrackOptions

    body = load_body("open")
    with tempfile.TemporaryDirectory() as folder:
        found, _ = track(observe(path, Path(folder)), body, TrackOptions())
    rotations = smpl_pose(found.poses).rotations.detach().cpu()
    level = uniform_track(rotations, found.poses.root_position.detach().cpu(), found.fps, found.confidence.cpu())
    return Motion("video", level, leg_length(body.rest(found.betas).joints))


def motion_of_pose(rotations: Float[Tensor, "24 3 3"], seconds: float = POSE_SECONDS, fps: float = 30.0) -> Motion:
    """One pose, held."""
    frames = max(1, round(seconds * fps))
    rest = model_rest().float()
    return Motion(
        "pose", uniform_track(rotations.expand(frames, 24, 3, 3), rest[:1].expand(frames, 3), fps), leg_length(rest)
    )


def cameras_of(shot: Shot, avatar: Avatar, track: BodyTrack) -> Cameras:
    """The cameras for a motion, one a frame, with the whole body in view.

    Raises:
        UsageError: `shot.camera` is neither a known name nor a camera file.
    """
    if shot.camera not in ("orbit", "front", "follow"):
        given = load_cameras(Path(shot.camera)).resized(shot.width, shot.height)
        if len(given) not in (1, len(track)):
            raise UsageError(
                f"{shot.camera} holds {len(given)} cameras for {len(track)} frames: give one, or one a frame."
            )
        return given if len(given) == len(track) else given[[0] * len(track)]
    rest = avatar.rest.smpl_joints.detach().cpu()
    joints = joint_transforms(rest, SMPL_PARENTS, track.poses)[..., :3, 3]
    path = smooth_path(track.poses.root_position, FOLLOW_SECONDS * track.fps) * torch.tensor([1.0, 0.0, 1.0])
    about = joints - path[:, None] if shot.camera == "follow" else joints
    low, high = about.amin((0, 1)) - BEYOND_JOINTS, about.amax((0, 1)) + BEYOND_JOINTS
    low[1] = min(float(low[1]) + BEYOND_JOINTS, 0.0)
    if shot.camera == "follow":
        return follow(path, low, high, shot.width, shot.height, azimuth=20.0)
    make = front if shot.camera == "front" else orbit
    return make(low, high, len(track), shot.width, shot.height)


@torch.no_grad()
def frames_of(
    avatar: Avatar, track: BodyTrack, shot: Shot, backend: str = "auto"
) -> Iterator[UInt8[np.ndarray, "h w c"]]:
    """The frames one after another: RGB on the background, or RGBA with straight alpha."""
    cameras = cameras_of(shot, avatar, track).to(avatar.device)
    color = background_color(shot.background)
    for frame in range(len(track)):
        seen = render(avatar.pose(track.poses[frame].to(avatar.device)), cameras[frame], backend)
        if color is None:
            alpha = seen.alpha[0, ..., None]
            picture = torch.cat([seen.rgb[0] / alpha.clamp_min(1e-4), alpha], -1)
        else:
            picture = seen.composite(color)[0]
        yield (picture.clamp(0, 1) * 255).round().byte().cpu().numpy()


def animate(avatar: Avatar, track: BodyTrack, shot: Shot, out: Path, backend: str = "auto") -> Path:
    """Write a film (.mp4, .webm, .gif), a folder of pictures (a path without suffix), or the first frame (.png).

    Returns:
        The path as it was written.

    Raises:
        UsageError: the background does not fit the format. AvatarError: the file cannot be written.
    """
    if shot.background == "alpha" and out.suffix in (".mp4", ".gif"):
        raise UsageError(f"{out.suffix} holds no alpha: use --out film.webm or a folder of pictures.")
    if out.suffix == ".png" and "%" not in out.name:
        write_image(out, next(frames_of(avatar, track, shot, backend)))
        return out
    target = out if out.suffix else out / "%04d.png"
    with VideoWriter(target, track.fps) as film:
        for frame in progress(frames_of(avatar, track, shot, backend), "rendering", total=len(track)):
            film.add(frame)
    return out


def background_color(name: str) -> tuple[float, float, float] | None:
    """The colour of a background, None for "alpha".

    Raises:
        UsageError: it is no colour.
    """
    if name == "alpha":
        return None
    if name in COLORS:
        return COLORS[name]
    if re.fullmatch(r"#[0-9a-fA-F]{6}", name):
        red, green, blue = bytes.fromhex(name[1:])
        return red / 255, green / 255, blue / 255
    raise UsageError(f"--background must be {', '.join(COLORS)}, #rrggbb or alpha, not {name!r}.")


def parse_size(text: str) -> tuple[int, int]:
    """Width and height from "540x960".

    Raises:
        UsageError: it is no size, or one beyond reason.
    """
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (16 <= width <= 8192 and 16 <= height <= 8192):
        raise UsageError(f"--size must be WIDTHxHEIGHT in pixels, such as 540x960, not {text!r}.")
    return width, height


def _is_video(path: Path) -> bool:
    """Told from the first bytes: MP4 and MOV, Matroska and WebM, AVI."""
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError as error:
        raise AvatarError(f"{path} cannot be read: {error.strerror}.") from error
    return (
        start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
        or start[:4] == b"\x1aE\xdf\xa3"
        or start[8:12] == b"AVI "
    )
