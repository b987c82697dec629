"""A mouth that opens now and then is not averaged open and shut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from avatar.body import load_body
from avatar.body.face import FACE_UNITS
from avatar.io.images import to_uint8
from avatar.metrics.images import psnr
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.rendering.camera_paths import intrinsics, look_at
from avatar.rendering.renderer import render
from avatar.training.config import TrainConfig
from avatar.training.result import TrainResult
from avatar.training.trainer import Trainer
from avatar.types import BodyPose, BodyTrack, Cameras, Observations

FRAMES, SIDE = 24, 96
CONFIG = TrainConfig(
    steps=90, gaussians=4000, max_gaussians=5000, coarse=0.0, hold_out=6, registrations=0, deform="none",
    resample_unobserved=False,
)  # fmt: skip


def speaking() -> tuple[BodyTrack, Observations]:
    """The head of a patterned person who opens the mouth, from several sides."""
    body = load_body("open")
    betas = torch.zeros(body.shape_dirs.shape[-1])
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    head = body.weights[:, body.joint_names.index("head")][body.faces].mean(1)
    gaussians = sample_on_surface(frames, head, 6000, torch.Generator().manual_seed(0))
    pattern = torch.sin(400 * gaussians.anchors(frames)) * 0.4 + 0.5
    with torch.no_grad():
        gaussians.raw_colors.copy_(torch.logit(pattern))
    person = Avatar(body, betas, gaussians, deform=False)
    face = torch.zeros(FRAMES, len(FACE_UNITS))
    face[:, FACE_UNITS.index("jawOpen")] = 0.5 - 0.5 * torch.cos(torch.arange(FRAMES) * 1.1)
    poses = BodyPose(torch.zeros(FRAMES, 3), torch.eye(3).repeat(FRAMES, 24, 1, 1), face=face)
    middle = person.rest.joints[body.joint_names.index("head")] - person.rest.joints[0] + torch.tensor([0, 0.05, 0.08])
    angles = 0.5 * torch.sin(torch.arange(FRAMES) * 0.7)
    away = torch.stack([angles.sin(), torch.zeros(FRAMES), angles.cos()], dim=1)
    views = torch.stack([look_at(middle + direction, middle) for direction in away])
    cameras = Cameras(intrinsics(SIDE, SIDE, 16.0).repeat(FRAMES, 1, 1), views, SIDE, SIDE)
    images, masks = [], []
    for frame in range(FRAMES):
        with torch.no_grad():
            out = render(person.pose(poses[frame]), cameras[frame])
        alpha = out.alpha[0]
        images.append(to_uint8((out.rgb[0] / alpha[..., None].clamp_min(0.02)).clamp(0, 1)))
        masks.append((alpha.numpy() * 255).round().astype(np.uint8))
    order, none = torch.arange(FRAMES), torch.zeros(FRAMES, 33, 3)
    track = BodyTrack("open", betas, poses, order / 12, torch.ones(FRAMES, 24), order, cameras)
    observations = Observations(
        images=images, masks=masks, keypoints=none, keypoints_3d=none, layout="blazepose33", instant=order,
        times=order / 12, width=SIDE, height=SIDE,
    )  # fmt: skip
    return track, observations


@torch.no_grad()
def score(result: TrainResult, track: BodyTrack, observations: Observations) -> float:
    """PSNR on white of the held-out frames with the face that the person makes."""
    assert track.cameras is not None and track.poses.face is not None
    values = []
    for frame in result.held_out:
        pose = replace(result.track.poses[frame], face=track.poses.face[frame])
        image = render(result.avatar.pose(pose), track.cameras[frame]).on_white()[0].clamp(0, 1)
        mask = torch.from_numpy(np.asarray(observations.masks[frame]) / 255.0).float()[..., None]
        truth = torch.from_numpy(np.asarray(observations.images[frame]) / 255.0).float() * mask + 1 - mask
        values.append(psnr(image, truth))
    return sum(values) / len(values)


def test_training_that_follows_the_face_is_sharper() -> None:
    track, observations = speaking()
    still = replace(track, poses=replace(track.poses, face=None))
    follows, averages = (
        score(Trainer(observations, each, load_body("open"), CONFIG).run(), track, observations)
        for each in (track, still)
    )
    assert follows > averages + 0.5
