"""The detectors that `--detector` can name. A detector is one file and one registration here, or in your own code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


DetectorFactory = Callable[[str, int], LandmarkDetector]
"""Makes a detector from the argument after the colon ("" without one) and the most people per image."""


@dataclass(frozen=True)
class _Registration:
    usage: str
    factory: DetectorFactory
    description: str
    refine_hands_face: bool


_registrations: dict[str, _Registration] = {}


def register_detector(
    usage: str, factory: DetectorFactory, description: str = "", refine_hands_face: bool = False
) -> None:
    """Make a detector available by name, to `choose_detector` and to `--detector`.

    Args:
        usage: "NAME", or "NAME:WHAT" for a detector that needs an argument, such as "onnx:FILE".
        factory: called once per run; raises UsageError or AvatarError where the detector cannot work.
        description: what it does, for the user, with "{argument}" for the argument; NAME where it is empty.
        refine_hands_face: also refine hands and face by MediaPipe's models where their files are present.

    Raises:
        ValueError: the name is taken.
    """
    name = usage.partition(":")[0]
    if name in _registrations:
        raise ValueError(f"A detector named {name!r} is registered already.")
    _registrations[name] = _Registration(usage, factory, description or f"landmarks by {name}", refine_hands_face)


def choose_detector(requested: str = "auto", most_people: int = MOST_PEOPLE) -> tuple[LandmarkDetector, str]:
    """The detector that `requested` names, averaged over each image and its mirror image (see `flip_test`).

    Args:
        requested: "mediapipe" is MediaPipe's pose model alone; "auto" also refines hands and face where their models
            are present; "onnx:FILE" takes the landmarks of a user's model (see `simcc`), refined likewise; or the
            name of a registered detector.
        most_people: per image.

    Returns:
        The detector, and a sentence that describes it.

    Raises:
        UsageError: no such detector or file exists, or onnxruntime is missing.
        AvatarError: the file is not a usable model.
    """
    registration, argument = _registration_of(requested)
    detector = registration.factory(argument, most_people)
    sentence = registration.description.format(argument=argument)
    if registration.refine_hands_face:
        parts, models = _part_detectors()
        if parts:
            detector = HandsFaceDetector(detector, parts)
            sentence += f", refined by {' and '.join(models)}"
    return FlipTestDetector(detector), sentence


def check_detector(requested: str) -> None:
    """Raise UsageError unless `requested` names a registered detector; nothing is loaded."""
    _registration_of(requested)


def _registration_of(requested: str) -> tuple[_Registration, str]:
    """The registration that `requested` names, and the argument after its colon."""
    name, _, argument = requested.partition(":")
    registration = _registrations.get(name)
    if registration is None or (":" in registration.usage) != bool(argument):
        raise UsageError(f"--detector takes {_usages()}, not {requested!r}.")
    return registration, argument


def _usages() -> str:
    *most, last = (registration.usage for registration in _registrations.values())
    return f"{', '.join(most)} or {last}"


def _mediapipe(_argument: str, most_people: int) -> LandmarkDetector:
    return MediaPipeDetector(asset_path("models", POSE_MODEL), most_people)


def _onnx(argument: str, most_people: int) -> LandmarkDetector:
    return SimCCDetector(Path(argument), _mediapipe("", most_people))


def _part_detectors() -> tuple[dict[str, PartDetector], list[str]]:
    """The detectors of hands and face whose model files are present, and the names of these files."""
    parts: dict[str, PartDetector] = {}
    hand, face = model_path(HAND_MODEL), model_path(FACE_MODEL)
    if hand is not None:
        hands = MediaPipeHands(hand)
        parts |= {"left_hand": hands, "right_hand": hands}
    if face is not None:
        parts["face"] = MediaPipeFace(face)
    return parts, [path.name for path in (hand, face) if path is not None]


register_detector("auto", _mediapipe, "landmarks by MediaPipe's pose model", refine_hands_face=True)
register_detector("mediapipe", _mediapipe, "landmarks by MediaPipe's pose model")
register_detector(
    "onnx:FILE", _onnx, "landmarks by {argument}, people and masks by MediaPipe's pose model", refine_hands_face=True
)
