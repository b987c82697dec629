"""How people stand: priors in the direction that one camera does not see."""

import math

import pytest
import torch

from avatar.body import Body
from avatar.tracking.fit import track
from avatar.tracking.options import TrackOptions
from avatar.tracking.posture import USUAL_LEAN, lean_in_depth, overhang_in_depth
from avatar.tracking.report import guess_warnings
from avatar.types import BodyTrack

from .synthetic import FOCAL, observed, truth


def pitch_of(result: BodyTrack) -> float:
    assert result.cameras is not None
    return -math.degrees(math.asin(float(result.cameras.T_camera_world[0, 2, 1])))


def test_only_a_lean_along_the_view_counts() -> None:
    camera = torch.tensor([6.0, 0.2, 0.05, 1.2], dtype=torch.float64)
    up = torch.tensor([0.0, -math.cos(0.2), -math.sin(0.2)], dtype=torch.float64)
    R = torch.tensor([[math.cos(0.05), -math.sin(0.05), 0], [math.sin(0.05), math.cos(0.05), 0], [0, 0, 1]]).double()
    up, side = R @ up, R @ torch.tensor([1.0, 0, 0]).double()
    away = torch.linalg.cross(up, side)
    one = torch.ones(1, dtype=torch.float64)
    origin = torch.zeros(3, dtype=torch.float64)
    for lean, expected in ((0.3 * side, 0.0), (0.3 * away, 0.3)):
        line = torch.stack([origin, up + lean])
        for left, forward in ((side, -1.0), (-side, 1.0), (away, 0.0)):
            measured = float(lean_in_depth(torch.stack([*line, left, -left]), camera, one)) + USUAL_LEAN * forward
            assert measured * float(line[1].norm()) == pytest.approx(expected, abs=1e-6)
        assert float(overhang_in_depth(line.flip(0), camera, one)) == pytest.approx(expected, abs=1e-6)


def test_a_given_pitch_is_kept(body: Body) -> None:
    observations = observed(body, truth(body, 16, 0.3, pitch=0.3), 0.5)
    result, _ = track(observations, body, TrackOptions(focal=FOCAL, pitch=math.degrees(0.3)))
    assert abs(pitch_of(result) - math.degrees(0.3)) < 1


def test_the_report_says_what_one_side_does_not_show(body: Body) -> None:
    _, report = track(observed(body, truth(body, 12, 0.3), 0.5), body, TrackOptions(focal=FOCAL))
    text = " ".join(report.warnings)
    assert "only one side was filmed" in text and "a slow full turn at the start" in text
    assert "nothing but the person shows where down is" in text and report.failure is None
    _, report = track(observed(body, truth(body, 12, 0.3), 0.5), body, TrackOptions(focal=FOCAL, pitch=6.0))
    assert "where down is" not in " ".join(report.warnings)


def test_a_full_turn_leaves_nothing_to_guess(body: Body) -> None:
    turned = observed(body, truth(body, 24, 2 * math.pi, moving=0.05), 0.5)
    result, report = track(turned, body, TrackOptions(focal=FOCAL))
    text = " ".join(report.warnings)
    assert "only one side" not in text and "where down is" not in text
    # Nothing takes from the landmarks' own confidence.
    assert result.confidence.min() > 0.8 * turned.keypoints[..., 2].min()


def test_a_dancer_seen_from_both_sides_is_not_called_one_sided(body: Body) -> None:
    joints, ankle = ("pelvis", "left_wrist", "right_wrist", "left_ankle", "right_ankle"), 0.01
    spread = torch.tensor([[0.0, 0.2, 0.2, ankle, ankle]]).repeat(12, 1)
    sentences = {}
    for turn in (0.3, 2.8):
        sentences[turn] = guess_warnings(truth(body, 12, turn), spread, joints)[0]
    assert sentences[0.3].startswith("only one side was filmed") and "the arms" in sentences[0.3]
    assert sentences[2.8].startswith("the depth of the arms is a guess in most frames")
