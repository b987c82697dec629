"""The face of a photo on an avatar, with a detector that knows where the landmarks are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from avatar.errors import AvatarError, UsageError
from avatar.io.colors import lab_of_rgb
from avatar.landmark_layouts import LAYOUTS
from avatar.model.garments import FACE
from avatar.model.recoloring import garment_color
from avatar.pipeline import edit_face
from avatar.pipeline.edit_face import LANDMARKS, WHOLE, transfer_face
from avatar.types import Detection
from tests.model.painted_people import Look, painted

NAMES = LAYOUTS["blazepose33"].names
# A face from the front, in distances of the outer corners of the eyes from the nose: x to the right of the image.
FRONT = np.array(
    [[0, 0], [0.2, -0.35], [0.35, -0.35], [0.5, -0.35], [-0.2, -0.35], [-0.35, -0.35], [-0.5, -0.35], [0.3, 0.35],
     [-0.3, 0.35]]
)  # fmt: skip
SIDE = FRONT * [0.3, 1.0] + np.array([[-0.5, 0], *[[0, 0]] * 8])


class Finds:
    """Finds one face: in images as large as the avatar's at the avatar's nose, elsewhere as the test says."""

    layout = "blazepose33"

    def __init__(self, photo: np.ndarray, confidence: float = 0.9) -> None:
        self.photo, self.confidence = photo, confidence

    def detect(self, image: np.ndarray) -> list[Detection]:
        own = image.shape[:2] == (WHOLE[1], WHOLE[0])
        points = self._on_avatar(image) if own else self.photo
        keypoints = np.zeros((len(NAMES), 3), np.float32)
        for name, point in zip(LANDMARKS, points, strict=True):
            keypoints[NAMES.index(name)] = (*point, self.confidence)
        return [Detection(keypoints, np.zeros((len(NAMES), 3), np.float32), np.full(image.shape[:2], 255, np.uint8))]

    def _on_avatar(self, image: np.ndarray) -> np.ndarray:
        rows = np.flatnonzero((image < 250).any((1, 2)))
        tall = rows[-1] - rows[0]
        points: np.ndarray = FRONT * 0.055 * tall + [WHOLE[0] / 2, rows[0] + 0.085 * tall]
        return points


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Pale, with a wide dark mouth."""
    pixels = np.full((300, 300, 3), (230, 200, 190), np.uint8)
    pixels[190:215, 110:190] = (60, 10, 10)
    Image.fromarray(pixels).save(tmp_path / "face.png")
    return tmp_path / "face.png"


def test_the_face_takes_the_features_and_keeps_its_tone(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edit_face, "ROUNDS", 3)
    person = painted(Look(), count=40_000)
    before, own = person.avatar.gaussians.colors.detach().clone(), garment_color(person.avatar, person.has(FACE))
    transfer_face(person, photo, detector=Finds(FRONT * 150 + [150, 150]))
    after = person.avatar.gaussians.colors.detach()
    face = person.has(FACE)
    assert torch.equal(after[~face], before[~face])
    tone = lab_of_rgb(garment_color(person.avatar, face)[None]) - lab_of_rgb(own[None])
    assert tone.norm() < 6
    dark = face & (lab_of_rgb(after)[:, 0] < lab_of_rgb(before)[:, 0] - 20)
    mouth = person.avatar.rest_means()[dark]
    assert dark.sum() > 10 and mouth[:, 0].mean().abs() < 0.01 and mouth[:, 0].std() < 0.03


@pytest.mark.parametrize(
    ("points", "confidence", "message"),
    [
        (FRONT * 150 + 150, 0.2, "No face is recognised"),
        (FRONT * 15 + 150, 0.9, "too small"),
        (SIDE * 150 + 150, 0.9, "turned to the side"),
    ],
)
def test_faces_that_cannot_be_taken_are_refused(
    points: np.ndarray, confidence: float, message: str, photo: Path
) -> None:
    with pytest.raises(AvatarError, match=message):
        transfer_face(painted(Look(), count=3000), photo, detector=Finds(points, confidence))


def test_what_is_no_photo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes a photo"):
        transfer_face(painted(Look(), count=300), tmp_path / "nowhere.jpg")
