"""A body with fingers in place of SMPL's hand joints is tracked as one without."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from avatar.body import Body, load_body
from avatar.body.skeleton import SMPLH_JOINTS, SMPLX_JOINTS
from avatar.landmark_layouts import DETECTOR_LAYOUTS
from avatar.tracking.landmarks import landmark_points


def with_more_joints(body: Body, names: tuple[str, ...]) -> Body:
    """The body with the joints of a richer skeleton, each at the hand or the head, which carry the skin as before."""
    at = [body.joint_names.index(name) for name in names[:22]]
    for name in names[22:]:
        side, _, kind = name.partition("_")
        at.append(body.joint_names.index("head" if kind in ("", "eye") else f"{side}_hand"))
    weights = torch.zeros(len(body.weights), len(names))
    weights[:, :22] = body.weights[:, :22]
    for side, hand in (("left", 22), ("right", 23)):
        weights[:, names.index(f"{side}_middle1")] = body.weights[:, hand]
    parents = [*body.parents[:22], *(20 if name.startswith("left") else 21 for name in names[22:])]
    return replace(
        body, joint_names=names, parents=tuple(parents), joint_regressor=body.joint_regressor[at], weights=weights,
        pose_dirs=None, rest_rotations=torch.eye(3).repeat(len(names), 1, 1),
    )  # fmt: skip


@pytest.mark.parametrize("names", [SMPLH_JOINTS, SMPLX_JOINTS])
@pytest.mark.parametrize("layout", DETECTOR_LAYOUTS)
def test_landmarks_lie_where_they_lie_without_fingers(names: tuple[str, ...], layout: str) -> None:
    body = load_body("open")
    rich = with_more_joints(body, names)
    plain, spread = landmark_points(body, layout)
    points, same_spread = landmark_points(rich, layout)
    assert torch.allclose(points.rest, plain.rest) and torch.allclose(points.shape_dirs, plain.shape_dirs)
    assert torch.equal(spread, same_spread)
    carried = [rich.joint_names[joint] for joint in points.weights.argmax(1)]
    assert carried == [body.joint_names[joint] for joint in plain.weights.argmax(1)]
