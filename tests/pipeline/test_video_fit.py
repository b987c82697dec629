"""What a fit of a video takes from the frames in which nothing hides the person."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.io.camera_motion_file import CameraMotion
from avatar.pipeline import video_fit
from avatar.pipeline.video_fit import fit_video
from avatar.tracking.occlusion import HiddenPart
from avatar.tracking.options import TrackOptions
from avatar.tracking.report import TrackReport
from avatar.types import BodyTrack, ImageList, Observations

from .test_people import cameras, track_seen_by

FRAMES = 20


def observations() -> Observations:
    images = ImageList(FRAMES, lambda index: np.full((8, 6, 3), index, np.uint8))
    return Observations(
        images=images,
        masks=ImageList(FRAMES, lambda index: np.full((8, 6), index, np.uint8)),
        keypoints=torch.arange(FRAMES).float()[:, None, None].expand(FRAMES, 33, 3),
        keypoints_3d=torch.zeros(FRAMES, 33, 3),
        layout="blazepose33",
        instant=torch.arange(FRAMES),
        times=torch.arange(FRAMES) / 30,
        width=6,
        height=8,
        hands=torch.zeros(FRAMES, 2, 21, 3),
    )


@pytest.mark.parametrize(
    ("regime", "given", "clear", "turns", "expected"),
    [
        ("still", None, range(12), True, 6.0),
        ("still", None, range(12), False, None),
        ("still", 3.0, range(12), True, 3.0),
        ("still", None, range(4), True, None),
        ("turning", None, range(12), True, None),
    ],
)
def test_the_pitch_is_that_of_the_frames_without_anything_before_the_person(
    monkeypatch: pytest.MonkeyPatch, regime: Any, given: float | None, clear: range, turns: bool, expected: float | None
) -> None:
    part = HiddenPart(np.ones((8, 6), bool), np.zeros(33, bool))
    hidden = [None if index in clear else part for index in range(FRAMES)]
    fits: list[tuple[int, float | None]] = []

    def track(one: Observations, _body: Any, options: TrackOptions, *_: Any) -> tuple[BodyTrack, TrackReport]:
        fits.append((len(one), options.pitch))
        pitch = math.radians(6.0) if turns and len(one) == len(clear) else None
        return track_seen_by(view), TrackReport(focal=1.0, reprojection=0.0, turn_pitch=pitch)

    view = cameras(0.1, 1.4, frames=FRAMES)
    motion = CameraMotion(regime, view, True)
    monkeypatch.setattr(video_fit, "track", track)
    monkeypatch.setattr(video_fit, "hidden_pixels", lambda *_: hidden)
    monkeypatch.setattr(video_fit, "through_pinhole", lambda one, _motion: one)
    monkeypatch.setattr(video_fit, "motion_of_frames", lambda one, _rows: one)
    fit_video(observations(), load_body("open"), TrackOptions(pitch=given), motion)
    assert fits[0] == (FRAMES, given) and fits[-1][0] == FRAMES
    assert fits[-1][1] == (None if expected is None else pytest.approx(expected))


def test_a_part_of_observations_has_instants_of_its_own() -> None:
    whole = replace(observations(), frame_weight=torch.arange(FRAMES) / FRAMES)
    part = whole.part([3, 7])
    assert len(part) == 2 and part.instant.tolist() == [0, 1]
    assert torch.equal(part.times, whole.times[[3, 7]]) and part.frame_weight is not None
    assert part.frame_weight.tolist() == pytest.approx([3 / FRAMES, 7 / FRAMES])
    assert part.masks[1].max() == 7 and part.images[0].max() == 3 and part.keypoints[1, 0, 0] == 7
    assert part.hands is not None and len(part.hands) == 2 and part.trust is None
