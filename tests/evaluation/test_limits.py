"""The sentence that says what limits an avatar."""

from __future__ import annotations

import pytest

from avatar.evaluation.limits import limits
from avatar.evaluation.targets import HELD_OUT_GROUP, TRAINING_GROUP


def rows(trained: float, held_out: float, shift: float, noise: float) -> dict[str, dict[str, float]]:
    key = "detail_correlation_0.7"
    return {
        HELD_OUT_GROUP: {key: held_out},
        TRAINING_GROUP: {key: trained, "local_shift_px": shift, "noise_share": noise},
    }


@pytest.mark.parametrize(
    ("trained", "held_out", "shift", "noise", "cause"),
    [
        (0.6, 0.55, 1.0, 0.05, "registration"),
        (0.6, 0.55, 0.1, 0.05, "splats and steps"),
        (0.95, 0.3, 0.1, 0.05, "poses between trained frames"),
        (0.7, 0.7, 0.05, 0.5, "noise of the video"),
    ],
)
def test_the_largest_share_is_named(trained: float, held_out: float, shift: float, noise: float, cause: str) -> None:
    answer = limits(rows(trained, held_out, shift, noise))
    assert answer is not None and answer.sentence().startswith(f"What limits this avatar is {cause}")
    assert sum(answer.shares.values()) == pytest.approx(answer.lacking)
    assert all(share >= 0 for share in answer.shares.values())


def test_an_avatar_with_all_detail_is_limited_by_nothing_and_no_frames_say_nothing() -> None:
    answer = limits(rows(0.97, 0.96, 0.1, 0.02))
    assert answer is not None and answer.sentence().startswith("Nothing much limits")
    assert limits({HELD_OUT_GROUP: {"psnr_white": 30.0}}) is None
