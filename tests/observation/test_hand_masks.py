"""Masks of hands get their thumbs back and the gaps between their fingers."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Float32, UInt8

from avatar.landmark_layouts import LAYOUTS
from avatar.observation.background_plate import Plate
from avatar.observation.hand_masks import FINGERS, refine_hands

WIDTH, HEIGHT, SIZE = 240, 700, 600.0
LAYOUT = LAYOUTS["blazepose33"]
SKIN = (200, 150, 120)


def hand_points() -> Float32[np.ndarray, "21 3"]:
    """A spread left hand, 60 pixels long: wrist, then four points of each finger from root to tip."""
    wrist, points = np.array([120.0, 350.0]), [np.array([120.0, 350.0])]
    for angle, root, length in ((-70, 12, 30), (-20, 28, 30), (-4, 29, 33), (12, 28, 30), (28, 26, 24)):
        along = np.array([np.sin(np.radians(angle)), np.cos(np.radians(angle))])
        points += [wrist + along * (root + length * share) for share in (0, 0.45, 0.75, 1)]
    return np.column_stack([np.array(points), np.ones(21)]).astype(np.float32)


def drawn(points: np.ndarray, thumb: bool, width: int) -> UInt8[np.ndarray, "h w"]:
    """The hand, or without a thumb, and the forearm."""
    import cv2

    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.rectangle(mask, (108, 0), (132, 352), 255, -1)
    cv2.fillPoly(mask, [points[[0, 5, 9, 13, 17], :2].astype(np.int32)[None]], 255)
    for start, end in FINGERS if thumb else FINGERS[3:]:
        places = np.rint(points[[start, end], :2]).astype(int).tolist()
        cv2.line(mask, places[0], places[1], 255, width)
    return mask


def keypoints(points: np.ndarray) -> Float32[np.ndarray, "33 3"]:
    """A body of the right size, with its left hand where the points are."""
    body = np.full((33, 3), (120.0, 100.0, 1.0), np.float32)
    body[0, :2], body[32, :2] = (120, 20), (120, 20 + SIZE)
    for name, row in (("left_wrist", 0), ("left_index", 5), ("left_pinky", 17)):
        body[LAYOUT.names.index(name), :2] = points[row, :2]
    return body


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    hand = slice(340, 430)
    mine, true = mask[hand] > 127, truth[hand] > 127
    return float((mine & true).sum() / (mine | true).sum())


@pytest.fixture(scope="module")
def scene() -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"], Plate]:
    """The image, the true mask and the background behind it, all with noise."""
    rng = np.random.default_rng(0)
    room = np.full((HEIGHT, WIDTH, 3), (150, 165, 150), np.float32) + rng.normal(0, 3, (HEIGHT, WIDTH, 3))
    truth = drawn(hand_points(), thumb=True, width=7)
    skin = np.array(SKIN) + rng.normal(0, 4, (HEIGHT, WIDTH, 3))
    image = np.where(truth[..., None] > 0, skin, room).clip(0, 255).astype(np.uint8)
    plate = Plate(
        np.full((HEIGHT, WIDTH, 3), (150, 165, 150), np.float32),
        np.ones((HEIGHT, WIDTH), bool),
        np.full((HEIGHT, WIDTH), 30, np.float32),
    )
    return image, truth, plate


@pytest.mark.parametrize(("bones", "least"), [(True, 0.93), (False, 0.84)])
def test_a_coarse_hand_gets_its_thumb_and_gaps(
    scene: tuple[np.ndarray, np.ndarray, Plate], bones: bool, least: float
) -> None:
    """By the background of a still camera, better with the bones of a hand network."""
    image, truth, plate = scene
    points = hand_points()
    coarse = drawn(points, thumb=False, width=15)
    hands = np.zeros((2, 21, 3), np.float32)
    if bones:
        hands[0] = points
    refined = refine_hands(image, coarse, plate, keypoints(points), LAYOUT, hands)
    assert overlap(coarse, truth) < 0.75
    assert overlap(refined, truth) > least
    assert np.array_equal(refined[:280], coarse[:280])  # the arm is none of its affair


def test_a_thing_in_the_hand_stays_outside(scene: tuple[np.ndarray, np.ndarray, Plate]) -> None:
    image, truth, plate = scene
    points, hands = hand_points(), np.zeros((2, 21, 3), np.float32)
    hands[0] = points
    with_thing = image.copy()
    with_thing[400:440, 100:140][truth[400:440, 100:140] == 0] = (20, 30, 160)
    refined = refine_hands(with_thing, drawn(points, True, 9), plate, keypoints(points), LAYOUT, hands)
    thing = np.zeros(truth.shape, bool)
    thing[425:440, 100:140] = True
    assert (refined[thing & (truth == 0)] > 127).mean() < 0.1


def test_a_moving_camera_and_small_hands_change_nothing(scene: tuple[np.ndarray, np.ndarray, Plate]) -> None:
    image, _, plate = scene
    points = hand_points()
    coarse, own, none = drawn(points, False, 15), keypoints(points), np.zeros((2, 21, 3), np.float32)
    hands = np.stack([points, points])
    assert refine_hands(image, coarse, None, own, LAYOUT, hands) is coarse
    small = own.copy()
    small[:, :2] = 120 + (own[:, :2] - 120) / 10
    assert refine_hands(image, coarse, plate, small, LAYOUT, none) is coarse
