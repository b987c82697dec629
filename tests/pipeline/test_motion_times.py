"""A video as the motion keeps the times of its frames. Detection and fit are replaced by a body that turns evenly."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.geometry import geodesic_angle, rotation_from_rotvec
from avatar.motion.motion import uniform_track
from avatar.motion.retarget import Retargeting, resample, retarget
from avatar.observation.keyframes import evenly_in_time
from avatar.pipeline.motions import FPS, evenly_timed, motion_of_video
from avatar.types import BodyTrack

SPEED = np.pi / 2  # radians per second


def turning(times: np.ndarray) -> BodyTrack:
    """A body that turns by 90 degrees per second, seen at these times."""
    rotvecs = torch.zeros(len(times), 24, 3)
    rotvecs[:, 0, 1] = SPEED * torch.from_numpy(times)
    track = uniform_track(rotation_from_rotvec(rotvecs), torch.zeros(len(times), 3), 30.0)
    return replace(track, times=torch.from_numpy(times).float(), betas=torch.zeros(10))


def worst_seconds(track: BodyTrack, fps: float) -> float:
    """How far a motion is from the time at which the body stood so, at worst."""
    played = resample(track, Retargeting(fps=fps))
    R = played.poses.rotations[:, 0]
    angle = np.unwrap(np.arctan2(R[:, 0, 2].numpy(), R[:, 2, 2].numpy()))
    return float(np.abs(angle - SPEED * played.times.numpy()).max() / SPEED)


TIMES = {
    "even": np.arange(60) / 30,
    "screen recording with a gap": np.concatenate([np.arange(15) / 30, 1.4 + np.arange(15, 30) / 30]),
    "phone in fading light": np.cumsum(np.where(np.arange(90) < 45, 1 / 30, 1 / 20)) - 1 / 30,
}


@pytest.mark.parametrize("name", TIMES)
def test_the_times_of_a_driving_video_are_kept(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr("avatar.observation.video.observe", lambda *_, **options: asked.update(options))
    monkeypatch.setattr("avatar.pipeline.camera.camera_motion", lambda *_: None)
    monkeypatch.setattr("avatar.pipeline.video_fit.fit_video", lambda *_, **__: (turning(5 + TIMES[name]), None))
    track = motion_of_video(Path("dance.mp4")).track
    assert asked["thinning"] == "even"
    assert float(track.times[0]) == 0
    first = rotation_from_rotvec(torch.tensor([0.0, -5 * SPEED, 0.0]))
    turned = replace(track, poses=replace(track.poses, rotations=first @ track.poses.rotations))
    # A turn of more than half a circle within a gap has no unique way; the gap here is below that.
    assert worst_seconds(turned, 30.0) < 1 / 30


def test_a_filmed_motion_is_brought_to_even_times_for_players() -> None:
    even = turning(TIMES["even"])
    assert evenly_timed(even) is even
    for name in ("screen recording with a gap", "phone in fading light"):
        track = evenly_timed(turning(TIMES[name]))
        assert track.fps == pytest.approx(FPS)
        assert worst_seconds(track, FPS) < 1 / FPS


def test_frames_are_thinned_evenly_in_time_whatever_their_number_per_second() -> None:
    times = np.concatenate([np.arange(100) / 100, 1 + np.arange(100) / 10])
    chosen = times[evenly_in_time(times, 23)]
    assert np.abs(np.diff(chosen) - 0.5).max() < 0.11  # the later frames lie 0.1 s apart


def test_a_driving_video_moves_fingers_and_face(monkeypatch: pytest.MonkeyPatch) -> None:
    def followed(*_: object, **__: object) -> tuple[BodyTrack, None]:
        track = turning(TIMES["even"])
        closing = torch.linspace(0, 1, len(track))
        turns = torch.tensor([0.0, 0.0, -1.0]) * closing[:, None, None].expand(-1, 30, 1)
        face = closing[:, None].expand(-1, 52).clone()
        return replace(track, poses=replace(track.poses, fingers=rotation_from_rotvec(turns), face=face)), None

    monkeypatch.setattr("avatar.observation.video.observe", lambda *_, **options: None)
    monkeypatch.setattr("avatar.pipeline.camera.camera_motion", lambda *_: None)
    monkeypatch.setattr("avatar.pipeline.video_fit.fit_video", followed)
    played = retarget(
        motion_of_video(Path("hands.mp4")), load_body("open").rest(torch.zeros(10)), Retargeting(fps=10.0)
    )
    poses = played.poses
    assert poses.fingers is not None and poses.face is not None
    assert (poses.face[:, 24].diff() > 0).all()
    assert (geodesic_angle(poses.fingers[:, 0], poses.fingers[:1, 0].expand(len(poses), 3, 3)).diff() > 0).all()
