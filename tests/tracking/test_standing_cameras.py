"""Cameras and clocks of two videos of one person, where the truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from avatar.body import Body
from avatar.errors import AvatarError
from avatar.geometry import geodesic_angle
from avatar.tracking.problem import build_problem
from avatar.tracking.standing_cameras import CameraClip, OffsetHint, solve_cameras, triangulated
from avatar.tracking.synchronization import candidate_offsets, interpolated, normalized_correlation

from .several import R_SIDE, T_SIDE, filmed, from_the_side, moving
from .synthetic import FOCAL


def clip(body: Body, name: str, rate: float, begin: float, end: float, side: bool, repeats: bool = False) -> CameraClip:
    """A clip from `begin` to `end`, seconds of the motion, whose clock begins at 0."""
    times = torch.arange(begin, end, 1 / rate, dtype=torch.float64)
    state = moving(body, times, repeats=repeats)
    observations = filmed(body, from_the_side(state) if side else state, times - begin, name, seed=int(side))
    return CameraClip(name, observations.layout, build_problem(observations, body, FOCAL, 1.7), 0.02)


@pytest.mark.parametrize(("rate", "begin"), [(30.0, 0.517), (25.0, 0.803), (24.0, 0.0)])
def test_landmarks_tell_places_and_clocks(body: Body, rate: float, begin: float) -> None:
    first, second = clip(body, "a.mp4", 30.0, 0.0, 3.0, False), clip(body, "b.mp4", rate, begin, 3.4, True)
    found = solve_cameras([first, second], [None])
    camera = found.cameras[1]
    assert camera.offset == pytest.approx(begin, abs=0.005)
    assert float(geodesic_angle(torch.from_numpy(camera.R), R_SIDE)) < math.radians(1)
    assert np.linalg.norm(camera.t) == pytest.approx(float(T_SIDE.norm()), rel=0.15)
    assert found.error < 0.01 and found.offset_spread < 0.25 / rate


def test_the_second_video_may_begin_first(body: Body) -> None:
    first, second = clip(body, "a.mp4", 30.0, 0.9, 3.4, False), clip(body, "b.mp4", 25.0, 0.0, 3.0, True)
    assert solve_cameras([first, second], [None]).cameras[1].offset == pytest.approx(-0.9, abs=0.005)


def test_a_motion_that_repeats_needs_a_hint(body: Body) -> None:
    first = clip(body, "a.mp4", 24.0, 0.0, 4.0, False, repeats=True)
    second = clip(body, "b.mp4", 24.0, 1.02, 4.0, True, repeats=True)
    with pytest.raises(AvatarError, match=r"clocks of a\.mp4 and b\.mp4 could not be matched.*clap once"):
        solve_cameras([first, second], [None])
    for certain in (False, True):
        camera = solve_cameras([first, second], [OffsetHint(1.0, certain)]).cameras[1]
        assert camera.offset == pytest.approx(1.02, abs=0.01)


def test_a_wrong_sound_does_not_win(body: Body) -> None:
    first, second = clip(body, "a.mp4", 24.0, 0.0, 3.0, False), clip(body, "b.mp4", 24.0, 0.4, 3.4, True)
    camera = solve_cameras([first, second], [OffsetHint(1.1, certain=False)]).cameras[1]
    assert camera.offset == pytest.approx(0.4, abs=0.005)


def test_other_moments_are_refused(body: Body) -> None:
    first = clip(body, "a.mp4", 24.0, 0.0, 2.0, False)
    with pytest.raises(AvatarError, match=r"clocks of a\.mp4 and b\.mp4 could not be matched"):
        solve_cameras([first, clip(body, "b.mp4", 24.0, 40.3, 42.3, True)], [None])
    with pytest.raises(AvatarError, match=r"a\.mp4 and b\.mp4 do not show the same person moving at the same time"):
        solve_cameras([first, clip(body, "b.mp4", 24.0, 0.0, 0.4, True)], [None])


def test_the_correlation_is_the_usual_one_of_what_overlaps() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((40, 2)) + 3, rng.standard_normal((25, 2)) - 1
    lags, scores = normalized_correlation(a, b, 10)
    for lag, score in zip(lags, scores, strict=True):
        x, y = a[max(lag, 0) : lag + len(b)], b[max(-lag, 0) : len(a) - lag]
        assert len(x) >= 10
        x, y = (values - values.mean(0) for values in (x, y))
        assert score == pytest.approx((x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum()), abs=1e-6)
    assert len(lags) == 40 + 25 - 1 - 2 * 9


def test_who_stands_still_tells_no_time() -> None:
    times = np.arange(0, 3, 1 / 30)
    still = np.zeros((len(times), 12, 3))
    assert candidate_offsets(still, times, still, times) == []
    assert candidate_offsets(still[:9], times[:9], still, times) == []


def test_triangulation_needs_two_rays(body: Body) -> None:
    first, second = (clip(body, "a.mp4", 24.0, 0.0, 2.0, side) for side in (False, True))
    cameras = solve_cameras([first, second], [OffsetHint(0.0, True)]).cameras
    cameras = [cameras[0], replace(cameras[1], R=R_SIDE.numpy(), t=T_SIDE.numpy())]
    pixels = np.stack([first.pixels(first.times), second.pixels(first.times)])
    sure = np.ones(pixels.shape[:3], bool)
    sure[1, :, 3] = False
    points = triangulated(cameras, pixels, sure)
    assert np.isnan(points[:, 3]).all() and np.isfinite(points[:, 4]).all()
    # The spread of the detector's noise, at the truth; the hips stand 2.6 m away.
    assert np.linalg.norm(points[:, 9] - points[:, 9].mean(0), axis=-1).max() < 0.03
    assert points[:, 9, 2].mean() == pytest.approx(2.6, abs=0.05)


def test_interpolation_ends_with_the_frames() -> None:
    values, times = np.array([[0.0], [2.0], [2.0]]), np.array([0.0, 1.0, 2.0])
    between = interpolated(values, times, np.array([-0.6, 0.4, 0.6, 2.6]))[:, 0]
    assert between[1:3].tolist() == pytest.approx([0.8, 1.2]) and np.isnan(between[[0, 3]]).all()
