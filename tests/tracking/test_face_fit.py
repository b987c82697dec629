"""Faces of a video: what goes beyond the usual face is followed, the rest stays."""

from dataclasses import replace

import torch

from avatar.body.face import FACE_UNITS
from avatar.observation.keypoints import NO_IMAGES
from avatar.tracking.face import with_face
from avatar.types import BodyPose, BodyTrack, Observations

FRAMES = 40
JAW, BLINK, BROW = (FACE_UNITS.index(name) for name in ("jawOpen", "eyeBlinkLeft", "browDownLeft"))


def clip(units: torch.Tensor | None) -> tuple[BodyTrack, Observations]:
    keypoints, times = torch.zeros(FRAMES, 33, 3), torch.arange(FRAMES) / 30
    pose = BodyPose(torch.zeros(FRAMES, 3), torch.eye(3).repeat(FRAMES, 24, 1, 1))
    track = BodyTrack("open", torch.zeros(10), pose, times, torch.ones(FRAMES, 24), torch.arange(FRAMES))
    observations = Observations(
        images=NO_IMAGES, masks=NO_IMAGES, keypoints=keypoints, keypoints_3d=keypoints, layout="blazepose33",
        instant=torch.arange(FRAMES), times=times, width=64, height=96, face_units=units,
    )  # fmt: skip
    return track, observations


def talking() -> torch.Tensor:
    """A face with a lasting frown that opens the mouth for a third of the clip and blinks once."""
    units = torch.zeros(FRAMES, 52)
    units[:, BROW] = 0.4
    units[20:32, JAW] = torch.linspace(0, 1, 12)
    units[10:13, BLINK] = 1.0
    return units


def test_what_the_network_sees_is_followed() -> None:
    track, observations = clip(talking())
    face = with_face(track, observations).poses.face
    assert face is not None
    for unit in (JAW, BLINK):
        together = torch.corrcoef(torch.stack([face[:, unit], talking()[:, unit]]))[0, 1]
        assert together > 0.95 and face[:, unit].max() > 0.7
    assert face[:, BROW].max() == 0  # the person's usual face


def test_a_face_turned_away_is_the_usual_one_and_no_network_changes_nothing() -> None:
    units = talking()
    units[25:35] = torch.nan
    track, observations = clip(units)
    face = with_face(track, observations).poses.face
    assert face is not None and face.isfinite().all() and face[27:34].max() == 0
    assert with_face(track, replace(observations, face_units=None)) is track
    assert with_face(track, replace(observations, face_units=torch.full((FRAMES, 52), torch.nan))) is track
