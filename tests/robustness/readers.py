"""Every reader of foreign files, from a path to its content, by the folders of the corpus."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from avatar.body import load_body
from avatar.datasets.capture import read_capture_cameras, read_capture_skeleton
from avatar.io.camera_file import load_cameras
from avatar.io.files import read_json
from avatar.io.images import read_image
from avatar.io.observations_file import load_observations
from avatar.io.track_file import load_track
from avatar.io.videos import open_video
from avatar.model.avatar import Avatar
from avatar.motion import load_motion
from avatar.pipeline.settings import Settings, build
from avatar.types import Observations


def read_video(path: Path) -> int:
    return sum(1 for _ in open_video(path).frames())


def read_observations(path: Path) -> Observations:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, Path(folder) / "observations.npz")
        return load_observations(Path(folder))


def read_capture(path: Path) -> tuple[Any, Any]:
    return read_capture_cameras(path), read_capture_skeleton(path)


def read_settings(path: Path) -> Settings:
    return build(Settings, read_json(path), str(path))


READERS = {
    "video": read_video,
    "track": load_track,
    "motion": load_motion,
    "observations": read_observations,
    "body": load_body,
    "capture": read_capture,
    "avatar": Avatar.load,
    "cameras": load_cameras,
    "settings": read_settings,
    "image": read_image,
}
