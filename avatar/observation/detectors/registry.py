"""Which detectors look at a video: the user's choice, and the models that are there."""

from __future__ import annotations

from pathlib import Path

from avatar.errors import UsageError
from avatar.io.assets import asset_path, model_path
from avatar.observation.detectors.flip_test import FlipTestDetector
from avatar.observation.detectors.hands_face import HandsFaceDetector, PartDetector
from avatar.observation.detectors.mediapipe import MediaPipeDetector, MediaPipeFace, MediaPipeHands
from avatar.observation.detectors.simcc import SimCCDetector
from avatar.types import LandmarkDetector

POSE_MODEL, HAND_MODEL, FACE_MODEL = "pose_landmarker_heavy.task", "hand_landmarker.task", "face_landmarker.task"
MOST_PEOPLE = 4


def choose_detector(wanted: str = "auto", most_people: int = MOST_PEOPLE) -> tuple[LandmarkDetector, str]:
    """The detector that `wanted` names, asked twice (see `mirrored`), and a sentence that says what was chosen.

    Args:
        wanted: "mediapipe" is MediaPipe's pose model alone; "auto" also refines hands and face where their bundles are
            there; "onnx:FILE" takes the landmarks of a model of the user's (see `simcc`), refined likewise.
        most_people: in one picture.

    Raises:
        UsageError: there is no such detector or file, or onnxruntime is missing.
        AvatarError: the file is not a model that can be used.
    """
    kind, _, file = wanted.partition(":")
    if wanted not in ("auto", "mediapipe") and (kind != "onnx" or not file):
        raise UsageError(f"--detector takes auto, mediapipe or onnx:FILE, not {wanted!r}.")
    detector: LandmarkDetector = MediaPipeDetector(asset_path("models", POSE_MODEL), most_people)
    sentence = "landmarks by MediaPipe's pose model"
    if kind == "onnx":
        detector = SimCCDetector(Path(file), detector)
        sentence = f"landmarks by {file}, people and masks by MediaPipe's pose model"
    if wanted != "mediapipe":
        parts, models = _part_detectors()
        if parts:
            detector = HandsFaceDetector(detector, parts)
            sentence += f", refined by {' and '.join(models)}"
    return FlipTestDetector(detector), sentence


def _part_detectors() -> tuple[dict[str, PartDetector], list[str]]:
    """The detectors of parts whose models are there, and the names of these."""
    parts: dict[str, PartDetector] = {}
    hand, face = model_path(HAND_MODEL), model_path(FACE_MODEL)
    if hand is not None:
        hands = MediaPipeHands(hand)
        parts |= {"left_hand": hands, "right_hand": hands}
    if face is not None:
        parts["face"] = MediaPipeFace(face)
    return parts, [path.name for path in (hand, face) if path is not None]
