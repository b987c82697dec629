"""All points of hands and face in the frames of one person, by networks of their own on crops at full resolution."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from avatar.body.face import FACE_UNITS
from avatar.io.assets import asset_path, model_path
from avatar.landmark_layouts import LAYOUTS
from avatar.observation.detectors.flip_test import person_size
from avatar.observation.detectors.hands_face import CROP, FACE, HAND, LEAST_CROP, SAME_PART, crop_around
from avatar.observation.detectors.mediapipe import HAND_POINTS, MediaPipeFace, MediaPipeHands
from avatar.observation.detectors.registry import FACE_MODEL, HAND_MODEL
from avatar.runtime.progress import Progress
from avatar.runtime.thread_map import map_in_threads
from avatar.types import Images

SIDES = ("left", "right")
SURE_SIDE = 0.5  # the network's score below which its hand is the other one


class HandsAndFace(NamedTuple):
    """The entries of `Observations` of the same names."""

    hands: Float[Tensor, "frames 2 21 3"] | None = None
    hands_3d: Float[Tensor, "frames 2 21 3"] | None = None
    face: Float[Tensor, "frames 478 3"] | None = None
    face_units: Float[Tensor, "frames 52"] | None = None


def observe_hands_face(images: Images, keypoints: Float32[np.ndarray, "frames joints 3"], layout: str) -> HandsAndFace:
    """Hands by the network that ships, the face by that of `face_landmarker.task` where it is installed.

    Args:
        images: the frames; keypoints: of the person in them, in the layout `layout`. A layout without knuckles gives
            no hands: they say which hand a crop shows.
    """
    names = LAYOUTS[layout].names
    hands = MediaPipeHands(asset_path("models", "hands", HAND_MODEL)) if f"left_{HAND[-1]}" in names else None
    face_model = model_path(FACE_MODEL)
    face = MediaPipeFace(face_model) if face_model is not None and "nose" in names else None
    if hands is None and face is None:
        return HandsAndFace()
    places = {name: column for column, name in enumerate(names)}

    def look(frame: int) -> dict[str, Any]:
        image, points = images[frame], keypoints[frame]
        size = float(person_size(points))
        result: dict[str, Any] = {}
        for side in SIDES if hands is not None else ():
            own = points[[places[f"{side}_{name}"] for name in HAND], :2]
            crop, corner = crop_around(image, own.mean(0), CROP * size)
            hand = hands.hand(crop, f"{side}_hand") if hands and min(crop.shape[:2]) >= LEAST_CROP else None
            if hand is None or hand.points[0, 2] < SURE_SIDE:
                continue
            shown = hand.points + np.array([*corner, 0], np.float32)
            if np.linalg.norm(shown[list(HAND_POINTS), :2] - own, axis=1).mean() < SAME_PART * size:
                result[side] = shown, hand.points_3d
        if face is not None:
            own = points[[places[name] for name in FACE if name in places], :2]
            crop, corner = crop_around(image, own.mean(0), CROP * size)
            shown_face = face.face(crop) if min(crop.shape[:2]) >= LEAST_CROP else None
            if shown_face is not None:
                shown = shown_face.points + np.array([*corner, 0], np.float32)
                result["face"] = shown, [shown_face.units.get(unit, 0.0) for unit in FACE_UNITS]
        return result

    with Progress("looking at hands and face", len(images)) as bar:
        looks = []
        for result in map_in_threads(look, range(len(images))):
            looks.append(result)
            bar.step()
    two = [_stacked([one.get(side) for one in looks], (21, 3), (21, 3)) for side in SIDES] if hands else []
    faces = _stacked([one.get("face") for one in looks], (478, 3), (len(FACE_UNITS),)) if face else (None, None)
    return HandsAndFace(
        torch.stack([points for points, _ in two], dim=1) if two else None,
        torch.stack([points_3d for _, points_3d in two], dim=1) if two else None,
        *faces,
    )


def _stacked(looks: list[Any], points: tuple[int, ...], others: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Points with their confidences, zeros where nothing was detected, and what goes with them, NaN there."""
    shown = [np.zeros(points) if look is None else look[0] for look in looks]
    beside = [np.full(others, np.nan) if look is None else look[1] for look in looks]
    return tuple(torch.from_numpy(np.array(rows, np.float32)) for rows in (shown, beside))  # type: ignore[return-value]
