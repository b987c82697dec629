"""The steps after the detector, each on data whose answer is known."""

import numpy as np
import pytest

from avatar.landmark_layouts import DETECTOR_LAYOUTS, LAYOUTS
from avatar.observation.background_plate import background_plate
from avatar.observation.confidence import frame_weights, reweight_confidence
from avatar.observation.detectors.flip_test import FlipTestDetector, person_size
from avatar.observation.keyframes import select_keyframes, sharpest_per_segment, sharpness
from avatar.observation.left_right import fix_left_right_swaps
from avatar.observation.mask_shapes import largest_region
from avatar.observation.matting import refine_mask
from avatar.observation.person_tracks import PersonTracker
from avatar.types import Detection

LAYOUT = LAYOUTS["blazepose33"]


def turning_person(frames: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks of a stiff person who turns once: pixels with confidence, and metres."""
    random = np.random.default_rng(0)
    body = random.uniform([-0.1, -0.9, -0.1], [0.1, 0.9, 0.1], (33, 3))
    side = np.array([name.startswith("left") or name.endswith("left") for name in LAYOUT.names])
    twin = np.array(LAYOUT.mirror)
    body[side, 0] += 0.25
    body[twin[side]] = body[side] * [-1, 1, 1]
    angle = np.linspace(0, 2 * np.pi, frames)[:, None]
    x = body[:, 0] * np.cos(angle) + body[:, 2] * np.sin(angle)
    z = -body[:, 0] * np.sin(angle) + body[:, 2] * np.cos(angle)
    y = np.broadcast_to(body[:, 1], x.shape)
    world = np.stack([x, y, z], -1).astype(np.float32)
    flat = np.stack([270 + 300 * x, 480 + 300 * y, np.full_like(x, 0.9)], -1).astype(np.float32)
    return flat, world


@pytest.mark.parametrize("name", DETECTOR_LAYOUTS)
def test_mirroring_twice_changes_nothing(name: str) -> None:
    layout = LAYOUTS[name]
    mirror = np.array(layout.mirror)
    assert np.array_equal(mirror[mirror], np.arange(len(layout.names)))
    assert layout.names[mirror[layout.names.index("left_knee")]] == "right_knee"
    assert mirror[layout.names.index("nose")] == layout.names.index("nose")


@pytest.mark.parametrize("wrong", [[], [7], [10, 11, 12, 13], [0, 1], [38, 39]])
def test_a_flipped_body_is_put_right(wrong: list[int]) -> None:
    flat, world = turning_person()
    swapped_pixels, swapped_world = flat.copy(), world.copy()
    swapped_pixels[wrong], swapped_world[wrong] = (
        flat[wrong][:, list(LAYOUT.mirror)],
        world[wrong][:, list(LAYOUT.mirror)],
    )
    mended, mended_world, swapped = fix_left_right_swaps(swapped_pixels, swapped_world, LAYOUT)
    assert np.array_equal(mended, flat) and np.array_equal(mended_world, world)
    assert np.flatnonzero(swapped.any(1)).tolist() == wrong


def test_flipped_legs_are_put_right_alone() -> None:
    flat, world = turning_person()
    legs = [i for i, name in enumerate(LAYOUT.names) if name.split("_")[-1] in ("knee", "ankle", "heel")]
    swapped_pixels, swapped_world = flat.copy(), world.copy()
    for points, truth in ((swapped_pixels, flat), (swapped_world, world)):
        points[20:23, legs] = truth[20:23, [LAYOUT.mirror[i] for i in legs]]
    mended, _, _ = fix_left_right_swaps(swapped_pixels, swapped_world, LAYOUT)
    wrists = LAYOUT.indices("left_wrist", "right_wrist")
    assert np.array_equal(mended[:, wrists], flat[:, wrists])
    knees = LAYOUT.indices("left_knee", "right_knee")
    assert np.array_equal(mended[:, knees], flat[:, knees])


def test_a_jumping_landmark_loses_confidence() -> None:
    flat, _ = turning_person()
    flat[20, 16, 0] += 120
    tempered = reweight_confidence(flat, np.zeros(flat.shape[:2], bool), np.arange(len(flat)) / 30, LAYOUT)
    assert tempered[20, 16, 2] < 0.3
    assert tempered[5:15, :, 2].min() > 0.85
    assert np.array_equal(tempered[..., :2], flat[..., :2])


def test_blurred_frames_weigh_less() -> None:
    sharp = np.full(20, 50.0)
    sharp[7] = 20
    weights = frame_weights(sharp)
    assert weights[7] == pytest.approx(0.4) and (np.delete(weights, 7) == 1).all()


def test_blur_lowers_sharpness() -> None:
    import cv2

    image = np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)
    assert sharpness(cv2.GaussianBlur(image, (0, 0), 2)) < sharpness(image) / 4


def test_selection_prefers_sharp_and_different_frames() -> None:
    assert sharpest_per_segment(np.array([1.0, 5, 2, 0, 3, 9]), 2).tolist() == [1, 5]
    views = np.array([[0.0], [0.01], [1.0], [1.01], [2.0]])
    assert select_keyframes(views, np.array([1.0, 2, 1, 2, 1]), 3).tolist() == [1, 3, 4]
    assert select_keyframes(views, np.ones(5), 9).tolist() == [0, 1, 2, 3, 4]


class OneSided:
    """A detector that is always five pixels too far to the right, and unsure of nothing."""

    layout = "blazepose33"

    def detect(self, image: np.ndarray) -> list[Detection]:
        rows, columns = np.nonzero(image[..., 0] > 128)
        keypoints = np.full((33, 3), 0.8, np.float32)
        keypoints[:, 0], keypoints[:, 1] = columns.mean() + 0.5 + 5, np.linspace(rows.min(), rows.max(), 33)
        return [Detection(keypoints, np.zeros((33, 3), np.float32), image[..., 0])]


def test_the_mirror_image_cancels_a_detectors_bias() -> None:
    image = np.zeros((200, 100, 3), np.uint8)
    image[20:180, 30:50] = 255
    (detection,) = FlipTestDetector(OneSided()).detect(image)
    assert detection.keypoints[:, 0] == pytest.approx(np.full(33, 40.0))
    assert (detection.keypoints[:, 2] < 0.8).all() and np.array_equal(detection.mask, image[..., 0])


def detection(x: float, size: float = 100) -> Detection:
    keypoints = np.full((33, 3), 0.9, np.float32)
    keypoints[:, 0], keypoints[:, 1] = x, np.linspace(0, size, 33)
    return Detection(keypoints, np.zeros((33, 3), np.float32), np.zeros((8, 8), np.uint8))


def test_people_keep_their_identity_whatever_the_order() -> None:
    people = PersonTracker()
    for frame in range(12):
        pair = [detection(50 + frame), detection(300 - frame)]
        people.add(frame, frame / 10, pair if frame % 2 else pair[::-1], [1.0, 1.0])
    assert len(people.tracks) == 2
    for person in people.tracks:
        assert np.abs(np.diff([keypoints[0, 0] for keypoints in person.keypoints])).max() == 1


def test_one_person_reported_twice_in_a_frame_stays_one_person() -> None:
    people = PersonTracker()
    for frame in range(30):
        twice = [detection(53 + frame)] if frame in (0, 12, 13) else []
        people.add(frame, frame / 10, [*twice, detection(50 + frame), detection(300)], [1.0] * 3)
    assert [len(person.frames) for person in people.tracks] == [30, 30]


@pytest.mark.parametrize("minutes", [1, 5, 20])
def test_a_person_of_a_long_clip_stays_one_person(minutes: int) -> None:
    """The frames that are looked at lie up to seconds apart, and the person moves and is missed now and then."""
    random = np.random.default_rng(minutes)
    people, times = PersonTracker(), np.linspace(0, 60 * minutes, 180)
    for frame, time in enumerate(times):
        place = 200 + 40 * np.sin(time) + random.normal(0, 3)
        missed = minutes > 1 and frame % 20 in (7, 8)
        people.add(frame, time, [] if missed else [detection(place, size=150)], [1.0])
    assert len(people.tracks) == 1
    assert people.choose(None, "long.mp4", len(times)) == (0, "")


def test_landmarks_of_frames_far_apart_may_move() -> None:
    random = np.random.default_rng(0)
    flat, _ = turning_person()
    flat[..., :2] += random.normal(0, 60, (len(flat), 1, 2)).astype(np.float32)
    swapped = np.zeros(flat.shape[:2], bool)
    near, far = (
        reweight_confidence(flat, swapped, seconds * np.arange(len(flat)), LAYOUT)[..., 2] for seconds in (0.03, 2.0)
    )
    assert np.median(near) < 0.5 and np.median(far) > 0.85


def test_an_arm_may_be_raised_between_two_frames_of_a_thinned_video() -> None:
    """In a fifth of a second; a shoulder may not, nor an arm in a thirtieth."""
    flat, _ = turning_person()
    (wrist,), (shoulder,) = LAYOUT.indices("left_wrist"), LAYOUT.indices("left_shoulder")
    flat[..., :2] = flat[:1, :, :2]
    flat[20, [wrist, shoulder], 1] -= 0.25 * person_size(flat)[0]
    swapped = np.zeros(flat.shape[:2], bool)
    slow, fast = (
        reweight_confidence(flat, swapped, seconds * np.arange(len(flat)), LAYOUT)[20, :, 2] for seconds in (0.2, 0.033)
    )
    assert slow[wrist] > 0.6 and slow[shoulder] < 0.3 and fast[wrist] < 0.1


def test_presence_is_size_times_time() -> None:
    people = PersonTracker()
    for frame in range(30):
        passing = [detection(400, size=150)] if frame < 12 else []
        people.add(frame, frame / 10, [*passing, detection(50)], [1.0] * (1 + len(passing)))
    who, note = people.choose(None, "a.mp4", 30)
    assert people.tracks[who].keypoints[0][0, 0] == 50 and "2 persons" in note


def test_who_is_seen_more_surely_wins_over_a_slightly_larger_reflection() -> None:
    people = PersonTracker()
    for frame in range(30):
        reflection, person = detection(400, size=105), detection(50, size=100)
        reflection.keypoints[:, 2] = 0.6
        people.add(frame, frame / 10, [reflection, person], [1.0, 1.0])
    who, _ = people.choose(None, "a.mp4", 30)
    assert people.tracks[who].keypoints[0][0, 0] == 50


def scene(moving: bool) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """A dark disc before a textured wall: images, coarse masks (blurred and shifted), and the truth."""
    import cv2

    random = np.random.default_rng(0)
    wall = cv2.GaussianBlur(random.integers(90, 255, (300, 300, 3), np.uint8), (0, 0), 2)
    images, coarse, truth = [], [], []
    for index in range(9):
        mask = np.zeros((300, 300), np.uint8)
        cv2.ellipse(mask, (100 + 10 * index, 150), (40, 110), 0, 0, 360, 255, -1)
        place = np.roll(wall, 9 * index, axis=0) if moving else wall
        noise = random.normal(0, 2, wall.shape)
        image = np.where(mask[..., None] > 0, np.array([60, 40, 90]), place) + noise
        images.append(np.clip(image, 0, 255).astype(np.uint8))
        wrong = cv2.GaussianBlur(np.roll(mask, (2, -2), (0, 1)), (0, 0), 3)
        cv2.circle(wrong, (20, 20), 8, 255, -1)
        coarse.append(wrong)
        truth.append(mask)
    return images, coarse, truth


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a > 127) & (b > 127)).sum() / ((a > 127) | (b > 127)).sum())


@pytest.mark.parametrize("moving", [False, True])
def test_masks_move_onto_the_edge_in_the_image(moving: bool) -> None:
    images, coarse, truth = scene(moving)
    plate = background_plate(images, coarse)
    assert (plate is None) == moving
    for image, rough, exact in zip(images, coarse, truth, strict=True):
        assert overlap(rough, exact) < 0.95
        assert overlap(refine_mask(image, rough, plate), exact) > (0.98 if not moving else 0.965)


def test_islands_and_pinholes_go_and_gaps_between_limbs_stay() -> None:
    mask = np.zeros((200, 200), np.uint8)
    mask[20:180, 40:120] = 255
    mask[100:102, 60:61] = 0  # a pinhole
    mask[60:160, 70:90] = 0  # the gap between arm and trunk
    mask[5:10, 180:185] = 255  # an island
    clean = largest_region(mask)
    assert clean[101, 60] == 255 and clean[100, 80] == 0 and clean[7, 182] == 0


def test_an_empty_mask_stays_empty() -> None:
    empty = np.zeros((50, 60), np.uint8)
    assert not refine_mask(np.zeros((50, 60, 3), np.uint8), empty, None).any()
