"""What a person holds is cut from the mask, and clothes and hair stay: drawn onto the mask of a real person."""

import cv2
import numpy as np
import pytest

from avatar.io.assets import asset_path
from avatar.io.videos import open_video
from avatar.landmark_layouts import LAYOUTS
from avatar.observation.detectors.mediapipe import MediaPipeDetector
from avatar.observation.held_things import held_things, note_on_held_things, without_things
from avatar.types import Detection

LAYOUT = LAYOUTS["blazepose33"]
MARGIN = 300  # pixels of free space on both sides


@pytest.fixture(scope="module")
def person() -> Detection:
    """A man with his arms away from the body, without anything in his hands."""
    _, image = next(iter(open_video(asset_path("clips", "turn.mp4")).frames()))
    detection = MediaPipeDetector(asset_path("models", "pose_landmarker_heavy.task")).detect(image)[0]
    wide = np.pad(detection.mask, ((0, 0), (MARGIN, MARGIN)))
    shifted = detection.keypoints + np.array([MARGIN, 0, 0], np.float32)
    return Detection(shifted, detection.keypoints_3d, wide)


def landmark(person: Detection, name: str) -> np.ndarray:
    return person.keypoints[LAYOUT.names.index(name), :2]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a > 127, b > 127
    return float((a & b).sum() / (a | b).sum())


def drawn(person: Detection, thing: str) -> np.ndarray:
    """The person's mask with a thing added to it."""
    mask = person.mask.copy()
    elbow, wrist = landmark(person, "left_elbow"), landmark(person, "left_wrist")
    along = (wrist - elbow) / np.linalg.norm(wrist - elbow)
    hip, ankle, foot = (landmark(person, f"left_{name}") for name in ("hip", "ankle", "foot_index"))

    def point(place: np.ndarray) -> tuple[int, int]:
        x, y = np.rint(place).astype(int).tolist()
        return x, y

    if thing == "racket":
        cv2.line(mask, point(wrist), point(wrist + 150 * along), 255, 9)
        cv2.circle(mask, point(wrist + 190 * along), 45, 255, -1)
    elif thing == "ball in the hand":
        cv2.circle(mask, point(wrist + 85 * along), 50, 255, -1)
    elif thing == "ball at the foot":
        cv2.circle(mask, point(foot + [90, 0]), 60, 255, -1)
        cv2.line(mask, point(foot), point(foot + [90, 0]), 255, 20)
    elif thing == "skirt":
        right, knee = landmark(person, "right_hip"), landmark(person, "left_knee")
        corners = np.array([right, hip, [hip[0] + 60, knee[1]], [right[0] - 60, knee[1]]])
        cv2.fillConvexPoly(mask, np.rint(corners).astype(np.int32), 255)
    elif thing == "hair":
        nose = landmark(person, "nose")
        cv2.ellipse(mask, point(nose + [0, 60]), (75, 150), 0, 0, 360, 255, -1)
    elif thing == "wide trousers":
        knee = landmark(person, "left_knee")
        cv2.line(mask, point(knee), point(ankle), 255, 110)
    return mask


@pytest.mark.parametrize("thing", ["racket", "ball in the hand", "ball at the foot"])
def test_things_are_cut(person: Detection, thing: str) -> None:
    mask = drawn(person, thing)
    assert overlap(mask, person.mask) < 0.95
    cut = without_things(mask, held_things(mask, person.keypoints, LAYOUT))
    assert overlap(cut, person.mask) > overlap(mask, person.mask)
    added = (mask > 127) & (person.mask <= 127)
    assert (cut[added] > 127).mean() < 0.3, "most of the thing is gone"
    assert (cut[person.mask > 127] > 127).mean() > 0.995, "and none of the person"


@pytest.mark.parametrize("clothes", ["none", "skirt", "hair", "wide trousers"])
def test_clothes_and_hair_stay(person: Detection, clothes: str) -> None:
    mask = drawn(person, clothes)
    things = held_things(mask, person.keypoints, LAYOUT)
    assert not things.any() and without_things(mask, things) is mask


def test_landmarks_that_are_missing_cut_nothing(person: Detection) -> None:
    keypoints = person.keypoints.copy()
    keypoints[LAYOUT.names.index("left_hip")] = np.nan
    assert not held_things(drawn(person, "racket"), keypoints, LAYOUT).any()


def test_a_note_reports_things_in_many_frames() -> None:
    assert note_on_held_things(3, 100) == [] and note_on_held_things(1, 4) == []
    assert "in 30 of 100 frames" in note_on_held_things(30, 100)[0]
