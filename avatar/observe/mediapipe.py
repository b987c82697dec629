"""BlazePose (heavy) through MediaPipe's task API: landmarks, their 3D guess and a mask, with no network."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from avatar.errors import AvatarError
from avatar.observe.detector import Detection


class MediaPipeDetector:
    """MediaPipe's pose landmarker on single pictures. Holds one network for each thread that calls `detect`."""

    layout = "blazepose33"

    def __init__(self, model: Path, most_people: int = 1) -> None:
        self._model, self._most_people = model, most_people
        self._threads = threading.local()
        if not model.is_file():
            raise AvatarError(f"The pose model {model} is missing: reinstall, or run scripts/build_pose_models.py.")

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Detection]:
        """Everyone found, the most certain first. Confidence is visibility times presence."""
        if getattr(self._threads, "warm", False):
            return self._detect(image)
        with _quiet_stderr():  # the network greets when it starts and again when it first finds a person
            return self._detect(image)

    def _detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Detection]:
        import mediapipe

        if not hasattr(self._threads, "landmarker"):
            self._threads.landmarker = self._landmarker()
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        result = self._threads.landmarker.detect(picture)
        self._threads.warm = bool(result.pose_landmarks)
        height, width = image.shape[:2]
        scale = np.array([width, height, 1], np.float32)
        found = []
        for flat, world, mask in zip(
            result.pose_landmarks, result.pose_world_landmarks, result.segmentation_masks or (), strict=True
        ):
            keypoints = np.array([[p.x, p.y, p.visibility * p.presence] for p in flat], np.float32) * scale
            keypoints_3d = np.array([[p.x, p.y, p.z] for p in world], np.float32)
            soft = np.rint(np.clip(mask.numpy_view().reshape(height, width), 0, 1) * 255).astype(np.uint8)
            found.append(Detection(keypoints, keypoints_3d, soft))
        return found

    def _landmarker(self):
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.PoseLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(self._model)),
            running_mode=vision.RunningMode.IMAGE,
            num_poses=self._most_people,
            output_segmentation_masks=True,
        )
        return vision.PoseLandmarker.create_from_options(options)


_stderr_lock = threading.Lock()


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Drop what native code writes to the error stream: MediaPipe greets at start-up and offers no switch."""
    with _stderr_lock:  # two threads that saved and restored in turns would lose the stream for good
        saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(nowhere)
