"""Fitting a test pose to its own test image, as some publications do before scoring. Off by default."""

from __future__ import annotations

from dataclasses import replace

import torch

from avatar.evaluation.targets import EvaluationTarget
from avatar.pipeline.finished_run import FinishedRun
from avatar.rendering.renderer import render
from avatar.training import losses
from avatar.training.pose_refinement import PoseRefinement
from avatar.types import BodyPose, BodyTrack

STEPS = 50  # per image, as in GART
# Radians and metres per step of Adam. Training moves poses more slowly: there registration places them.
ROTATION_RATE, TRANSLATION_RATE = 1.5e-3, 1e-3


def fit_pose(opened: FinishedRun, target: EvaluationTarget, backend: str, steps: int = STEPS) -> EvaluationTarget:
    """The target with its pose moved by Adam to fit its image and mask; the avatar and the camera stay as they are.

    Raises:
        AvatarError: the image cannot be read.
    """
    device = opened.avatar.device
    rgb, mask = (part.to(device) for part in target.truth())
    black, camera = rgb.new_zeros(3), target.camera.to(device)
    alone = BodyTrack(
        body=opened.track.body,
        betas=opened.track.betas,
        poses=BodyPose(target.pose.root_position[None], target.pose.rotations[None]).to(device),
        times=torch.zeros(1),
        confidence=torch.ones(1, target.pose.rotations.shape[-3]),
        instant=torch.zeros(1, dtype=torch.int64),
    )
    refinement = PoseRefinement(alone, torch.ones(1, dtype=torch.bool))
    refinement.to(device)
    opened.avatar.requires_grad_(False)
    optimizer = torch.optim.Adam(
        [
            {"params": [refinement.delta_rotvec], "lr": ROTATION_RATE},
            {"params": [refinement.delta_translation], "lr": TRANSLATION_RATE},
        ]
    )
    for _ in range(steps):
        out = render(opened.avatar.pose(refinement.pose(0)), camera, backend)
        loss = losses.photometric_loss(out, rgb, mask, black)
        optimizer.zero_grad(set_to_none=True)
        (loss.l1 + loss.mask).backward()
        optimizer.step()
    return replace(target, pose=refinement.refined().poses[0].to("cpu"))
