"""What `avatar create` takes as a video: a video file, or a recording with depth."""

from __future__ import annotations

from pathlib import Path

from avatar.io.depth_recording import DepthVideo, upright
from avatar.io.record3d import SUFFIX, read_record3d
from avatar.io.scan_folder import is_scan_folder, read_scan_folder


def is_depth_recording(path: Path) -> bool:
    """Whether `path` is a recording with depth: a folder of Stray Scanner or the like, or a file of Record3D."""
    return path.suffix.lower() == SUFFIX or (path.is_dir() and is_scan_folder(path))


def open_depth_recording(path: Path, work: Path, longest: int) -> DepthVideo:
    """Open a recording with depth, upright; frames with a side above `longest` pixels are scaled down.

    Args:
        work: a folder for what must be unpacked.

    Raises:
        UsageError: a part of the recording is missing, or what unpacks it is not installed.
        AvatarError: it is broken.
    """
    read = read_scan_folder(path) if path.is_dir() else read_record3d(path, work)
    return upright(read, longest)
