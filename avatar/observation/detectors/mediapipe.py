"""MediaPipe's task API on single images, offline: BlazePose with its 3D estimate and mask, hands and faces."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from avatar.errors import AvatarError, short_message
from avatar.types import Detection

# Which of a hand's 21 landmarks are the names of `parts.HAND`: wrist, knuckles of the little and of the index finger.
HAND_POINTS = (0, 17, 5)
# Which of the face mesh's 478 are the names of `parts.FACE`; an eye is the middle of its corners.
FACE_POINTS = ((1,), (362,), (362, 263), (263,), (133,), (133, 33), (33,), (291,), (61,))
FACE_TRUST = 0.9  # the landmarker has no score; it reports a face from a presence of one half


class MediaPipeDetector:
    """MediaPipe's pose landmarker (heavy BlazePose). Holds one network for each thread that calls `detect`."""

    layout = "blazepose33"

    def __init__(self, model: Path, most_people: int = 1) -> None:
        if not model.is_file():
            raise AvatarError(f"The pose model {model} is missing: reinstall, or run scripts/build_pose_models.py.")
        self._network = _Network("Pose", model, num_poses=most_people, output_segmentation_masks=True)

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Detection]:
        """All persons, the most certain first. Confidence is visibility times presence."""
        result = self._network.run(image)
        height, width = image.shape[:2]
        scale = np.array([width, height, 1], np.float32)
        detections = []
        for flat, world, mask in zip(
            result.pose_landmarks, result.pose_world_landmarks, result.segmentation_masks or (), strict=True
        ):
            keypoints = np.array([[p.x, p.y, p.visibility * p.presence] for p in flat], np.float32) * scale
            keypoints_3d = np.array([[p.x, p.y, p.z] for p in world], np.float32)
            soft = np.rint(np.clip(mask.numpy_view().reshape(height, width), 0, 1) * 255).astype(np.uint8)
            detections.append(Detection(keypoints, keypoints_3d, soft))
        return detections


class HandPoints(NamedTuple):
    """One hand: pixels and confidence of its 21 points, and the network's estimate of them in metres, camera axes."""

    points: Float32[np.ndarray, "21 3"]
    points_3d: Float32[np.ndarray, "21 3"]


class FacePoints(NamedTuple):
    """One face: pixels and confidence of its 478 points, and the network's coefficients of the face units."""

    points: Float32[np.ndarray, "478 3"]
    units: dict[str, float]


class MediaPipeHands:
    """MediaPipe's hand landmarker, for crops around one hand."""

    def __init__(self, model: Path) -> None:
        self._network = _Network("Hand", model, num_hands=2)

    def detect(self, crop: UInt8[np.ndarray, "h w 3"], part: str) -> Float32[np.ndarray, "points 3"] | None:
        """The hand of the side that `part` names; its confidence is the network's score of that side."""
        hand = self.hand(crop, part)
        return None if hand is None else hand.points[list(HAND_POINTS)]

    def hand(self, crop: UInt8[np.ndarray, "h w 3"], part: str) -> HandPoints | None:
        """All points of the hand that `detect` finds."""
        result = self._network.run(crop)
        side, best = part.removesuffix("_hand"), None
        every = tuple((index,) for index in range(21))
        for points, world, sides in zip(
            result.hand_landmarks, result.hand_world_landmarks, result.handedness, strict=True
        ):
            right = sides[0].score if sides[0].category_name == "Right" else 1 - sides[0].score
            trust = right if side == "right" else 1 - right
            if best is None or trust > best.points[0, 2]:
                points_3d = np.array([[p.x, p.y, p.z] for p in world], np.float32)
                best = HandPoints(_in_pixels(points, every, crop, trust), points_3d)
        return best


class MediaPipeFace:
    """MediaPipe's face landmarker, for crops around one face."""

    def __init__(self, model: Path) -> None:
        self._network = _Network("Face", model, num_faces=1, output_face_blendshapes=True)

    def detect(self, crop: UInt8[np.ndarray, "h w 3"], part: str) -> Float32[np.ndarray, "points 3"] | None:
        """The face in the crop, or None."""
        faces = self._network.run(crop).face_landmarks
        return _in_pixels(faces[0], FACE_POINTS, crop, FACE_TRUST) if faces else None

    def face(self, crop: UInt8[np.ndarray, "h w 3"]) -> FacePoints | None:
        """All points and units of the face in the crop, or None."""
        result = self._network.run(crop)
        if not result.face_landmarks or len(result.face_landmarks[0]) != 478:
            return None
        points = _in_pixels(result.face_landmarks[0], tuple((index,) for index in range(478)), crop, FACE_TRUST)
        units = {unit.category_name: float(unit.score) for unit in (result.face_blendshapes or [[]])[0]}
        return FacePoints(points, units)


def _in_pixels(
    points: Any, chosen: tuple[tuple[int, ...], ...], image: UInt8[np.ndarray, "h w 3"], trust: float
) -> Float32[np.ndarray, "points 3"]:
    """Mean pixels of groups of a network's normalised points, all with one confidence."""
    height, width = image.shape[:2]
    places = [np.mean([(points[i].x * width, points[i].y * height) for i in group], axis=0) for group in chosen]
    return np.column_stack([places, np.full(len(places), trust)]).astype(np.float32)


class _Network:
    """One of MediaPipe's landmarkers, with one instance per thread."""

    def __init__(self, kind: Literal["Pose", "Hand", "Face"], model: Path, **options: Any) -> None:
        self._kind, self._model, self._options = kind, model, options
        self._threads = threading.local()

    def run(self, image: UInt8[np.ndarray, "h w 3"]) -> Any:
        """MediaPipe's own result for one image.

        Raises:
            AvatarError: the bundle is broken or of another kind.
        """
        try:
            if getattr(self._threads, "warm", False):
                return self._run(image)
            with _quiet_stderr():  # the network prints when it starts and again at its first detection
                result = self._run(image)
            self._threads.warm = bool(getattr(result, f"{self._kind.lower()}_landmarks"))
            return result
        except (RuntimeError, ValueError) as error:
            raise AvatarError(
                f"{self._model} does not work as a bundle for MediaPipe's {self._kind.lower()} landmarker: "
                f"{short_message(error)}."
            ) from error

    def _run(self, image: UInt8[np.ndarray, "h w 3"]) -> Any:
        import mediapipe

        if not hasattr(self._threads, "instance"):
            self._threads.instance = _Instance(self._landmarker())
        frame = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        return self._threads.instance.landmarker.detect(frame)

    def _landmarker(self) -> Any:
        from mediapipe.tasks.python import BaseOptions, vision

        options = getattr(vision, f"{self._kind}LandmarkerOptions")(
            base_options=BaseOptions(model_asset_path=str(self._model)),
            running_mode=vision.RunningMode.IMAGE,
            **self._options,
        )
        landmarker = getattr(vision, f"{self._kind}Landmarker").create_from_options(options)
        atexit.register(_abandon, weakref.ref(landmarker))
        return landmarker


class _Instance:
    """A landmarker of one thread, which ends with it, without the lines that MediaPipe then prints."""

    def __init__(self, landmarker: Any) -> None:
        self.landmarker = landmarker

    def __del__(self) -> None:
        if self.landmarker._handle is not None:  # see `_abandon`
            with _quiet_stderr():
                self.landmarker.close()


def _abandon(landmarker: weakref.ref[Any]) -> None:
    """Leave a landmarker to the end of the process: its destructor needs threads that are gone by then, and fails."""
    alive = landmarker()
    if alive is not None:
        alive._handle = None


_stderr_lock = threading.RLock()  # a landmarker may be collected while its thread starts another


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Discard output of native code on stderr: MediaPipe prints messages at start and end and has no switch."""
    with _stderr_lock:  # two threads that saved and restored in turns would lose the stream for good
        saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(nowhere)
