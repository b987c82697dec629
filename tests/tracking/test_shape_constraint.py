"""What the user says of the person's shape holds in the fit; the images tell the rest."""

from __future__ import annotations

import pytest

from avatar.body import Body
from avatar.body.shape_attributes import load_shape_attributes, reported_attributes
from avatar.errors import UsageError
from avatar.tracking.fit import track
from avatar.tracking.options import TrackOptions
from avatar.tracking.prior_knowledge import resolve_shape

from .synthetic import FOCAL, observed, truth


def test_the_words_hold(body: Body) -> None:
    observations = observed(body, truth(body, 6, 1.0), 0.5)
    words = "height=1.9,weight=0.8"
    result, report = track(observations, body, TrackOptions(focal=FOCAL, shape=words))
    described = load_shape_attributes().describe(result.betas)
    assert described["height"][0] == pytest.approx(1.9, abs=0.02) and described["weight"][0] == pytest.approx(
        0.8, abs=0.05
    )
    assert not [warning for warning in report.warnings if "height" in warning]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (TrackOptions(height=1.8, shape="height=1.8"), "give a height; use one"),
        (TrackOptions(height=182.0), "--height is in metres, from 0.5 to 2.6, not 182"),
    ],
)
def test_impossible_heights_are_refused(body: Body, options: TrackOptions, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        resolve_shape(body, options)


def test_age_and_gender_are_reported_only_if_given() -> None:
    described = {"height": (1.7, 0.01), "age": (80.0, 5.0), "gender": (1.0, 0.1), "weight": (0.5, 0.1)}
    assert set(reported_attributes(described, {})) == {"height", "weight"}
    assert set(reported_attributes(described, {"gender": 0.0})) == {"height", "weight", "gender"}
