"""A fit that is no result says so."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from avatar.body import Body
from avatar.errors import AvatarError
from avatar.tracking.fit import track
from avatar.tracking.options import TrackOptions
from avatar.tracking.problem import build_problem
from avatar.tracking.verdict import depth_spread, failure, silhouette_overlap

from .synthetic import FOCAL, Stack, observed, truth


def test_a_body_beside_its_mask_is_refused_unless_asked_for(body: Body) -> None:
    observations = observed(body, truth(body, 8, 0.2), 0.5)
    masks = np.stack([np.roll(observations.masks[index], 60, axis=1) for index in range(8)])
    elsewhere = replace(observations, masks=Stack(masks))
    with pytest.raises(AvatarError, match=r"the body could not be fitted: .* --keep-going"):
        track(elsewhere, body, TrackOptions(focal=FOCAL))
    _, report = track(elsewhere, body, TrackOptions(focal=FOCAL, keep_going=True))
    assert report.failure is not None and report.warnings[0] == report.failure


def test_limits() -> None:
    assert failure(0.76, 0.01) is None and failure(None, 0.01) is None
    assert failure(0.5, 0.01) is not None and failure(0.9, 0.05) is not None


def test_depth_is_surer_of_a_limb_that_points_away_from_the_image(body: Body) -> None:
    state = truth(body, 8, 0.0, moving=0.0)
    observations = observed(body, state, 0.0)
    problem = build_problem(observations, body, FOCAL, 1.7)
    overlap = silhouette_overlap(problem, state, observations)
    assert overlap is not None and overlap > 0.95
    flat = depth_spread(problem, state)
    name = body.joint_names.index
    assert flat[:, 0].max() < 1e-6
    assert (flat[:, name("left_wrist")] > flat[:, name("left_shoulder")]).all()
    turned = state.rotations.clone()
    bent = torch.tensor([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    turned[:, name("left_shoulder")] = bent
    state = replace(state, rotations=turned)
    pointing = depth_spread(build_problem(observed(body, state, 0.0), body, FOCAL, 1.7), state)

    def beyond_the_shoulder(spread: torch.Tensor) -> torch.Tensor:
        return spread[:, name("left_wrist")].square() - spread[:, name("left_shoulder")].square()

    assert (beyond_the_shoulder(pointing) < beyond_the_shoulder(flat)).all()
