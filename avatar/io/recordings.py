"""What `avatar create` takes as a video: a video file, also with depth images beside it, or a recording with depth."""

from __future__ import annotations

from pathlib import Path

from avatar.errors import AvatarError, UsageError
from avatar.io.depth_beside_video import read_depth_beside_video
from avatar.io.depth_images import DepthFiles
from avatar.io.depth_recording import DepthVideo, upright
from avatar.io.record3d import SUFFIX, read_record3d
from avatar.io.scan_folder import is_scan_folder, read_scan_folder


def is_depth_recording(path: Path) -> bool:
    """Whether `path` is a recording with depth: a folder of Stray Scanner or the like, or a file of Record3D."""
    return path.suffix.lower() == SUFFIX or (path.is_dir() and is_scan_folder(path))


def open_depth_recording(path: Path, files: DepthFiles | None, work: Path, longest: int) -> DepthVideo:
    """Open a recording with depth, upright; frames with a side above `longest` pixels are scaled down.

    Args:
        files: depth images beside the video `path`; None: `path` is a recording that holds its own.
        work: a folder for what must be unpacked.

    Raises:
        UsageError: a part of the recording is missing, or what unpacks it is not installed.
        AvatarError: it is broken.
    """
    if files is not None:
        recording = read_depth_beside_video(path, files, work)
    else:
        recording = read_scan_folder(path) if path.is_dir() else read_record3d(path, work)
    video = upright(recording, longest)
    if files is not None:
        _require_some(video, files.path)
    return video


def check_depth_files(source: Path, files: DepthFiles | None, camera_file: Path | None) -> None:
    """Refuse depth images and a camera file that do not go with a source.

    Raises:
        UsageError: they do not.
    """
    if is_depth_recording(source):
        for flag, given in (("--depth", files), ("--camera with a file", camera_file)):
            if given is not None:
                raise UsageError(f"{source} brings its own depth and cameras: leave out {flag}.")
    if files is not None and not files.path.exists():
        raise UsageError(f"There is no file or folder {files.path}.")


def _require_some(video: DepthVideo, path: Path) -> None:
    """Raise AvatarError unless the depth of some frame can be used: before the long work on the images begins."""
    first: AvatarError | None = None
    for index in range(video.video.expected_frames or 1):
        try:
            video.depth(index)
            return
        except AvatarError as error:
            first = first or error
    raise AvatarError(f"{path}: none of its depth images can be used: {first}")
