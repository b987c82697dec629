"""What hides the person is not trained against."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from avatar.body import Body
from avatar.landmark_layouts import LAYOUTS
from avatar.tracking.fit import to_body_track
from avatar.tracking.occlusion import (
    hidden_pixels,
    note_on_hidden,
    past_what_hides,
    without_hidden_landmarks,
)
from avatar.tracking.problem import build_problem
from avatar.types import BodyTrack, Observations

from .synthetic import FOCAL, HEIGHT, Stack, observed, truth

FRAMES, TABLE = 10, 235  # the row of the image at which the table begins, below the knees
BEHIND = range(4, 9)  # frames in which the person stands behind it


@pytest.fixture(scope="module")
def clip(body: Body) -> tuple[Observations, BodyTrack]:
    state = truth(body, FRAMES, 0.3)
    observations = observed(body, state, 0.0)
    return observations, to_body_track(build_problem(observations, body, FOCAL, 1.7), state, observations)


def behind_a_table(observations: Observations, noticed: bool = True, shown: bool = True) -> Observations:
    """The legs cut from the masks of some frames, and their landmarks hidden, if the detector noticed.

    Without the table itself in the images (`shown`) the fit has missed the legs.
    """
    images = np.stack([observations.images[index] for index in range(FRAMES)])
    masks, keypoints = np.stack([observations.masks[index] for index in range(FRAMES)]), observations.keypoints.clone()
    legs = LAYOUTS[observations.layout].indices(
        *(f"{side}_{part}" for side in ("left", "right") for part in ("knee", "ankle", "heel", "foot_index"))
    )
    for index in BEHIND:
        masks[index, TABLE:] = 0
        images[index, TABLE:] = 120 if shown else images[index, TABLE:]
        keypoints[index, legs, 2] = 0.1 if noticed else 0.9
    return replace(observations, images=Stack(images), masks=Stack(masks), keypoints=keypoints)


def test_legs_behind_a_table_are_not_trusted(body: Body, clip: tuple[Observations, BodyTrack]) -> None:
    whole, track = clip
    observations = behind_a_table(whole)
    trusted = past_what_hides(observations, track, body).trust
    assert trusted is not None
    for index in range(FRAMES):
        trust, mask = trusted[index], whole.masks[index] > 127
        if index not in BEHIND:
            assert (trust == 255).all()
            continue
        assert (trust[TABLE + 3 :][mask[TABLE + 3 :]] == 0).all(), "the legs"
        assert (trust[: TABLE - 10] == 255).all(), "the rest of the person"
        assert (trust == 255).mean() > 0.9, "the background"


def test_the_note_says_when(body: Body, clip: tuple[Observations, BodyTrack]) -> None:
    whole, track = clip
    (note,) = note_on_hidden(hidden_pixels(behind_a_table(whole), track, body), whole)
    assert note.startswith("something hides a part of the person in 5 of 10 frames, from 0.5 s to 1.0 s")


@pytest.mark.parametrize("case", ["nothing there", "missed legs", "visible landmarks", "one frame", "no masks"])
def test_observations_stay_as_they_are(body: Body, clip: tuple[Observations, BodyTrack], case: str) -> None:
    observations, track = clip
    if case == "missed legs":
        observations = behind_a_table(observations, shown=False)
    elif case == "visible landmarks":
        observations = behind_a_table(observations, noticed=False)
    elif case == "one frame":  # of many
        table, instants = behind_a_table(observations), torch.tensor([BEHIND[0], *[0] * 20])
        observations = replace(
            table,
            keypoints=table.keypoints[instants],
            keypoints_3d=table.keypoints_3d[instants],
            images=Stack(np.stack([table.images[int(index)] for index in instants])),
            masks=Stack(np.stack([table.masks[int(index)] for index in instants])),
            instant=instants,
            times=torch.arange(21) / 8,
        )
        track = replace(track, cameras=None if track.cameras is None else track.cameras[instants], instant=instants)
    elif case == "no masks":
        observations = replace(observations, masks=Stack(np.zeros((0, HEIGHT, 1), np.uint8)))
    assert past_what_hides(observations, track, body) is observations


def test_hidden_landmarks_lose_their_confidence(body: Body, clip: tuple[Observations, BodyTrack]) -> None:
    whole, track = clip
    observations = behind_a_table(whole)
    visible = without_hidden_landmarks(observations, hidden_pixels(observations, track, body))
    confidence = visible.keypoints[..., 2]
    feet = LAYOUTS[whole.layout].indices("left_ankle", "right_ankle", "left_heel", "right_heel")
    shoulders = LAYOUTS[whole.layout].indices("left_shoulder", "right_shoulder")
    inside = torch.tensor([index in BEHIND for index in range(FRAMES)])
    assert not confidence[inside][:, feet].any()
    assert (confidence[~inside] == 1).all() and (confidence[:, shoulders] == 1).all()
    weight = build_problem(visible, body, FOCAL, 1.7).frame_weight
    assert (weight[~inside] == 1).all() and (weight[inside] < 0.5).all()
