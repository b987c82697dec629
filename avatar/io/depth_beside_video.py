"""A video with depth images beside it, and perhaps a file that tells its camera: a recording of a depth camera."""

from __future__ import annotations

from pathlib import Path

from avatar.errors import AvatarError, UsageError
from avatar.io.camera_motion_file import Y_UP, load_camera_motion
from avatar.io.depth_images import DepthFiles, open_depth_images
from avatar.io.depth_recording import MOST_ASPECT, DepthRecording, for_all_frames
from avatar.io.intrinsics_file import load_intrinsics
from avatar.io.videos import Video, open_video
from avatar.types import Cameras


def read_depth_beside_video(video: Path, files: DepthFiles, work: Path) -> DepthRecording:
    """The recording that a video and its depth images make.

    Its cameras are those of a file in metres whose y axis points up, or a level one with the intrinsics of a file that
    holds nothing else; None where the camera must be estimated.

    Args:
        work: a folder for what must be unpacked.

    Raises:
        UsageError: a file is missing or of another kind. AvatarError: one is broken, or belongs to another video.
    """
    source = open_video(video)
    depth = open_depth_images(files, source, work)
    cameras = None if files.camera is None else _cameras(files.camera, source)
    return DepthRecording(video, video, cameras, depth)


def _cameras(path: Path, video: Video) -> Cameras | None:
    """The cameras of a file, for the images of a video; None if they are in no known unit."""
    intrinsics = load_intrinsics(path)
    if intrinsics is not None:
        cameras = intrinsics.camera
    else:
        motion = load_camera_motion(path)
        metric = motion.metric or motion.regime != "moving"
        if not (metric and motion.focal_given and motion.vertical == Y_UP):
            return None
        if motion.distortion is not None:
            raise UsageError(
                f"{path} places a camera whose lens has distortion, which depth images beside a video must not have: "
                "rectify both."
            )
        cameras = motion.cameras
    if abs(cameras.width / cameras.height * video.height / video.width - 1) > MOST_ASPECT:
        raise AvatarError(
            f"{path} is for images of {cameras.width}x{cameras.height} pixels, but {video.path.name} has "
            f"{video.width}x{video.height}."
        )
    return for_all_frames(cameras.resized(video.width, video.height), video)
