"""The viewer's avatar follows a camera of this machine, or a video as if it were one, frame by frame."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from avatar.errors import AvatarError
from avatar.io.assets import asset_path
from avatar.io.videos import Video, open_video
from avatar.motion.formats.player_json import write_player_motion
from avatar.motion.motion import uniform_track
from avatar.observation.detectors.mediapipe import MediaPipeDetector
from avatar.observation.detectors.registry import POSE_MODEL
from avatar.pipeline.motions import evenly_timed
from avatar.tracking.sliding import SlidingTracker
from avatar.types import BodyPose
from avatar.viewer.app import Viewer

logger = logging.getLogger("avatar")
LONGEST_SIDE = 960  # pixels; the network sees less
GESTURE = "camera"
Frame = tuple[float, UInt8[np.ndarray, "h w 3"]]


def camera_frames(camera: str) -> Iterator[Frame]:
    """Times in seconds and images of a camera by its number, or of a video file at its own pace.

    Raises:
        UsageError: there is no such file.
        AvatarError: there is no such camera, or the file is no video; while reading: the camera gives no image.
    """
    if not camera.isdigit():
        return _paced(open_video(Path(camera), longest=LONGEST_SIDE))
    import cv2

    device = cv2.VideoCapture(int(camera))
    if not device.isOpened():
        raise AvatarError(f"There is no camera {camera} on this machine, or another program uses it.")
    device.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest image, though some were missed
    return _device_frames(device)


def _paced(video: Video) -> Iterator[Frame]:
    start = time.monotonic()
    for moment, image in video.frames():
        time.sleep(max(start + moment - time.monotonic(), 0.0))
        yield moment, image


def _device_frames(device: Any) -> Iterator[Frame]:
    try:
        while True:
            delivered, image = device.read()
            if not delivered:
                raise AvatarError("The camera gives no images any more.")
            yield time.monotonic(), np.ascontiguousarray(image[..., ::-1])
    finally:
        device.release()


class CameraFeed:
    """Shows in a viewer what the person in some frames does, from a thread of its own.

    Args:
        viewer: what shows it.
        frames: times in seconds, and images.

    Attributes:
        poses: the time and the pose of each image in which the person was tracked.
        failure: why it ended, if it did not end well.
    """

    def __init__(self, viewer: Viewer, frames: Iterable[Frame]) -> None:
        self.viewer, self.frames = viewer, frames
        avatar = viewer.session.avatar
        self._detector = MediaPipeDetector(asset_path("models", POSE_MODEL))
        shaped = replace(avatar.body, template=avatar.rest.vertices.detach().cpu())
        self._tracker = SlidingTracker(shaped, self._detector.layout)
        self.poses: list[tuple[float, BodyPose]] = []
        self.failure: AvatarError | None = None
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._run, name="camera", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self.thread.start()

    def stop(self) -> None:
        """Follow no longer."""
        self._stop.set()
        self.thread.join(timeout=5)

    def _run(self) -> None:
        try:
            for moment, image in self.frames:
                if self._stop.is_set():
                    return
                self._follow(moment, image)
        except AvatarError as error:
            self.failure = error
            self.viewer.store.set(message=str(error))
            logger.warning("%s", error)

    def _follow(self, moment: float, image: UInt8[np.ndarray, "h w 3"]) -> None:
        people = self._detector.detect(image)
        if not people:
            self.viewer.store.set(message="Step into the image, best as a whole.")
            return
        pose = self._tracker.follow(people[0], (image.shape[1], image.shape[0]), moment)
        if pose is None:
            return
        self.poses.append((moment, pose))
        self.viewer.store.change(lambda state: replace(state, edited=pose, playing=False, message=""), GESTURE)

    def write(self, path: Path) -> int:
        """Write what was followed as a motion of this program; returns the number of its frames.

        Raises:
            AvatarError: the person was tracked in fewer than two images.
        """
        if len(self.poses) < 2:
            raise AvatarError("Nothing was recorded: the camera has not shown a person for long enough.")
        times = torch.tensor([moment - self.poses[0][0] for moment, _ in self.poses])
        rotations, roots = (torch.stack([getattr(pose, name) for _, pose in self.poses])
                            for name in ("rotations", "root_position"))  # fmt: skip
        track = uniform_track(rotations, roots, (len(times) - 1) / float(times[-1]))
        even = evenly_timed(replace(track, times=times))
        write_player_motion(path, even.poses, even.fps)
        return len(even)
