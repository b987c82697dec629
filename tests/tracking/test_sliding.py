"""The pose of each image as it comes."""

from dataclasses import replace

import numpy as np
import torch

from avatar.body import load_body
from avatar.metrics.poses import pa_mpjpe
from avatar.tracking.kinematics import pose_chain
from avatar.tracking.sliding import SlidingTracker
from avatar.types import BodyPose, Detection
from tests.tracking.synthetic import HEIGHT, RATE, WIDTH, observed, truth

FRAMES = 10
NO_MASK = np.zeros((1, 1), np.uint8)


def test_each_image_gives_a_pose_in_one_world() -> None:
    body = load_body("open")
    state = truth(body, FRAMES, turn=0.6)
    clip = observed(body, state, noise=1.0)
    template = body.template + (body.shape_dirs @ state.betas.float())
    tracker = SlidingTracker(replace(body, template=template), "blazepose33")
    poses = [
        tracker.follow(
            Detection(clip.keypoints[i].numpy(), clip.keypoints_3d[i].numpy(), NO_MASK), (WIDTH, HEIGHT), i / RATE
        )
        for i in range(FRAMES)
    ]
    assert poses[0] is None, "one image says nothing of what moves"
    tracked = [pose for pose in poses if pose is not None]
    assert len(tracked) == FRAMES - 1
    rotations = torch.stack([pose.rotations for pose in tracked]).double()
    fitted = pose_chain(body, replace(state, rotations=rotations, position=state.position[1:])).position
    limbs = [i for i, name in enumerate(body.joint_names) if any(part in name for part in ("knee", "elbow", "wrist"))]
    limbs += [body.joint_names.index(name) for name in ("left_hip", "right_hip", "left_shoulder", "right_shoulder")]
    actual = pose_chain(body, state).position[1:]
    assert float(pa_mpjpe(fitted[2:, limbs], actual[2:, limbs]).mean()) < 0.05
    roots = torch.stack([pose.root_position for pose in tracked])
    steps = (roots.diff(dim=0)).norm(dim=1)
    assert float(steps.max()) < 0.12 and (roots[:, 1] > 0.7).all()
    assert (rotations[:, 0, 1, 1] > 0.95).all(), "the person stands upright"


def test_a_person_who_comes_back_starts_anew() -> None:
    body = load_body("open")
    clip = observed(body, truth(body, 4, turn=0.2), noise=1.0)
    tracker = SlidingTracker(body, "blazepose33")

    def pose_at(index: int, time: float) -> BodyPose | None:
        tracked = Detection(clip.keypoints[index].numpy(), clip.keypoints_3d[index].numpy(), NO_MASK)
        return tracker.follow(tracked, (WIDTH, HEIGHT), time)

    assert [pose_at(0, 0.0) is None, pose_at(1, 0.1) is None] == [True, False]
    assert [pose_at(2, 9.0) is None, pose_at(3, 9.1) is None] == [True, False]
