"""What the background plate and the landmarks do for the edges of masks."""

import numpy as np
import pytest

from avatar.landmark_layouts import LAYOUTS
from avatar.observation.background_plate import NOWHERE, Plate, median_shown
from avatar.observation.limbs import limb_core
from avatar.observation.matting import refine_mask

LAYOUT = LAYOUTS["blazepose33"]
SIZE = 400
SKIN, WALL = np.array([200.0, 155, 150]), np.array([250.0, 230, 10])


def plate_of(color: np.ndarray) -> Plate:
    return Plate(np.broadcast_to(color, (SIZE, SIZE, 3)).astype(np.float32),
                 np.ones((SIZE, SIZE), bool), np.full((SIZE, SIZE), 12.0, np.float32))  # fmt: skip


def two_legs() -> np.ndarray:
    """A trunk with two legs and a narrow gap between them."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[40:200, 160:240] = mask[200:370, 162:192] = mask[200:370, 208:238] = 255
    return mask


def core_of(mask: np.ndarray) -> np.ndarray:
    import cv2

    return np.asarray(cv2.erode(mask, np.ones((19, 19), np.uint8))) > 0


def image_of(alpha: np.ndarray, person: np.ndarray = SKIN, wall: np.ndarray = WALL) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 2, (SIZE, SIZE, 3))
    image: np.ndarray = alpha[..., None] * person + (1 - alpha[..., None]) * wall + noise
    return image.clip(0, 255).astype(np.uint8)


def test_the_gap_between_two_legs_is_cut_out() -> None:
    """A segmentation network at low resolution fills it."""
    truth = two_legs()
    coarse = truth.copy()
    coarse[200:370, 162:238] = 255
    image = image_of(truth / 255.0)
    gap = np.s_[230:360, 197:203]
    assert (refine_mask(image, coarse, plate_of(WALL))[gap] > 127).all()
    refined = refine_mask(image, coarse, plate_of(WALL), core_of(truth))
    assert (refined[gap] < 64).all()
    assert (refined[core_of(truth)] > 192).all()


def test_clothes_of_the_wall_s_color_stay() -> None:
    """Where person and background look alike the plate tells nothing: no holes."""
    truth = two_legs()
    refined = refine_mask(image_of(truth / 255.0, WALL - 4, WALL), truth, plate_of(WALL), core_of(truth))
    assert (refined[truth > 0] > 127).mean() > 0.99


def test_a_wide_skirt_of_the_wall_s_color_stays() -> None:
    """Far from the middle of the limbs only its own colours tell of the person."""
    import cv2

    mask, core, colors = two_legs(), core_of(two_legs()), np.broadcast_to(SKIN, (SIZE, SIZE, 3)).copy()
    cv2.fillConvexPoly(mask, np.array([[170, 160], [230, 160], [290, 300], [110, 300]]), 255)
    colors[160:300] = WALL - 4
    refined = refine_mask(image_of(mask / 255.0, colors), mask, plate_of(WALL), core)
    assert (refined[mask > 0] > 127).mean() > 0.98


@pytest.mark.parametrize("blur", [0.7, 2.0])
def test_a_blurred_edge_is_a_mixture(blur: float) -> None:
    """The true share of the person runs from 0 to 1 over the width of the blur."""
    import cv2

    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[40:370, 140:260] = 255
    truth = cv2.GaussianBlur(mask / 255.0, (0, 0), blur)
    coarse = cv2.dilate(mask, np.ones((7, 7), np.uint8))
    refined = refine_mask(image_of(truth), coarse, plate_of(WALL), core_of(mask)) / 255.0
    assert np.abs(refined - truth)[60:350].mean() < 0.012


def test_the_core_lies_within_the_limbs() -> None:
    places = {"shoulder": (150, 80), "elbow": (110, 140), "wrist": (100, 200), "hip": (170, 210), "knee": (170, 290),
              "ankle": (170, 370), "heel": (172, 380), "foot_index": (160, 388)}  # fmt: skip
    keypoints = np.full((len(LAYOUT.names), 3), np.nan, np.float32)
    for name, (x, y) in places.items():
        keypoints[LAYOUT.names.index(f"right_{name}")] = x, y, 1
        keypoints[LAYOUT.names.index(f"left_{name}")] = SIZE - x, y, 1
    core = limb_core((SIZE, SIZE), keypoints, LAYOUT)
    assert core[140, 110] and core[150, 200] and core[330, 170] and core[330, 230]
    assert not core[330, 200] and not core[140, 90]
    keypoints[LAYOUT.names.index("right_wrist"), 2] = 0.1
    assert not limb_core((SIZE, SIZE), keypoints, LAYOUT)[195, 101]
    keypoints[LAYOUT.names.index("right_knee")] = np.nan
    assert not limb_core((SIZE, SIZE), keypoints, LAYOUT).any()


def test_a_bright_wall_is_not_darkened_by_those_who_hide_it() -> None:
    colors = np.full((7, 4, 5, 3), 250, np.uint8)
    shown = np.zeros((7, 4, 5), bool)
    shown[:3] = True
    colors[3:] = 10
    shown[:, 0, 0] = False
    median = median_shown(colors, shown)
    assert (median[0, 0] == NOWHERE).all() and (median[1:] == 250).all()
