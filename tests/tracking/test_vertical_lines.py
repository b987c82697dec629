"""The camera's tilt from lines that are vertical in the scene."""

import math

import numpy as np
import pytest

from avatar.tracking.vertical_lines import steep_segments, tilt_from_segments

FOCAL = 900.0


def vertical_segments(pitch: float, roll: float, count: int = 12, noise: float = 0.0) -> np.ndarray:
    """Images of vertical posts around a camera, relative to the principal point in focal lengths."""
    random = np.random.default_rng(0)
    down = np.array([-math.sin(roll) * math.cos(pitch), math.cos(roll) * math.cos(pitch), math.sin(pitch)])
    middle = np.stack([random.uniform(-1.5, 1.5, count), random.uniform(-1, 1, count), random.uniform(3, 5, count)], 1)
    ends = [middle + sign * 0.4 * down for sign in (-1, 1)]
    lines = np.concatenate([end[:, :2] / end[:, 2:] for end in ends], 1)
    return np.asarray(lines + random.normal(0, noise, lines.shape))


@pytest.mark.parametrize("pitch", [-15.0, 0.0, 10.0, 30.0])
def test_posts_give_pitch_and_roll_among_other_lines(pitch: float) -> None:
    random = np.random.default_rng(1)
    lines = vertical_segments(math.radians(pitch), 0.03, noise=0.5 / FOCAL)
    start = random.uniform(-0.3, 0.3, (10, 2))
    slant = np.radians(random.uniform(-35, 35, 10))
    others = np.concatenate([start, start + 0.15 * np.stack([np.sin(slant), np.cos(slant)], 1)], 1)
    segments = np.concatenate([lines, others])
    tilt = tilt_from_segments([(segments, np.ones(len(segments)))])
    assert tilt is not None
    assert abs(math.degrees(tilt.pitch) - pitch) < 2 * math.degrees(tilt.pitch_spread)
    assert math.degrees(tilt.pitch_spread) < 3 and abs(tilt.roll - 0.03) < 0.02


@pytest.mark.parametrize("roll", [13.0, -26.0])
def test_a_turned_camera_is_recognized(roll: float) -> None:
    segments = vertical_segments(math.radians(20), math.radians(roll), noise=0.5 / FOCAL)
    tilt = tilt_from_segments([(segments, np.ones(len(segments)))])
    assert tilt is not None
    assert abs(math.degrees(tilt.pitch) - 20) < 3 and abs(math.degrees(tilt.roll) - roll) < 1


def test_frames_whose_lines_are_hidden_do_not_disagree() -> None:
    segments = vertical_segments(math.radians(20), 0.0, noise=0.5 / FOCAL)
    full, hidden = (segments, np.ones(len(segments))), (segments[:1], np.ones(1))
    alone, mixed = tilt_from_segments([full]), tilt_from_segments([full, hidden, hidden])
    assert alone is not None and mixed is not None
    assert abs(math.degrees(mixed.pitch - alone.pitch)) < 1 and mixed.pitch_spread < 1.5 * alone.pitch_spread
    other = (vertical_segments(math.radians(-5), 0.0, noise=0.5 / FOCAL), full[1])
    assert tilt_from_segments([full, other]) is None


def test_few_or_slanted_lines_tell_nothing() -> None:
    random = np.random.default_rng(2)
    assert tilt_from_segments([(vertical_segments(0.1, 0.0, count=1), np.ones(1))]) is None
    start, slant = random.uniform(-0.3, 0.3, (8, 2)), np.radians(random.uniform(-35, 35, 8))
    lines = np.concatenate([start, start + 0.1 * np.stack([np.sin(slant), np.cos(slant)], 1)], 1)
    assert tilt_from_segments([(lines, np.full(8, 0.5))]) is None


def test_lines_of_the_person_and_of_the_floor_do_not_count() -> None:
    image = np.full((480, 320, 3), 200, np.uint8)
    for column in (40, 120, 280):
        image[60:300, column : column + 6] = 30
    image[400:470, 200:206] = 30
    mask = np.zeros((480, 320), np.uint8)
    mask[40:360, 100:160] = 255
    columns = steep_segments(image, mask)[:, 0]
    assert len(columns) and all(min(abs(column - x) for x in (40, 280)) < 8 for column in columns)
