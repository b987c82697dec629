"""A made-up run to look at: the open body, painted by its parts, turning and raising its arms before a camera."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from avatar.body import load_body
from avatar.body.skeleton import SMPL_JOINTS
from avatar.geometry import rotation_from_rotvec
from avatar.io.observations_file import save_observations
from avatar.io.track_file import save_track
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.rendering.camera_paths import front
from avatar.rendering.renderer import render
from avatar.types import BodyPose, BodyTrack, Observations

SHIRT, TROUSERS, SKIN = (0.75, 0.2, 0.2), (0.2, 0.3, 0.6), (0.85, 0.65, 0.5)


def sample_avatar(splats: int) -> Avatar:
    """An avatar of the open body in a red shirt and blue trousers."""
    body = load_body("open")
    betas = torch.zeros(body.shape_dirs.shape[-1])
    rest = body.rest(betas)
    frames = triangle_frames(rest.vertices, body.faces)
    gaussians = sample_on_surface(frames, torch.ones(len(body.faces)), splats, torch.Generator().manual_seed(0))
    avatar = Avatar(body, betas, gaussians, deform=False)
    with torch.no_grad():
        means = avatar.rest_means()
        joints = dict(zip(body.joint_names, rest.joints, strict=True))
        bare = (means[:, 1] > joints["neck"][1]) | (means[:, 0].abs() > joints["left_wrist"][0])
        legs = means[:, 1] < joints["pelvis"][1]
        colors = torch.tensor(SHIRT).repeat(splats, 1)
        colors[legs], colors[bare] = torch.tensor(TROUSERS), torch.tensor(SKIN)
        gaussians.raw_colors.copy_(torch.logit(colors))
        gaussians.observed.copy_((means[:, 2] > means[:, 2].mean()).float())
    return avatar


def sample_track(avatar: Avatar, frames: int, height: int = 240) -> BodyTrack:
    """Turning half round while both arms go up from hanging to level, filmed from the front in images 3:4."""
    phase = torch.arange(frames) / max(frames - 1, 1)
    rotvecs = torch.zeros(frames, 24, 3)
    rotvecs[:, 0, 1] = math.pi * phase
    for side, sign in (("left", -1.0), ("right", 1.0)):
        rotvecs[:, SMPL_JOINTS.index(f"{side}_shoulder"), 2] = sign * 1.2 * (1 - phase)
    pelvis = avatar.rest.joints[0] - torch.tensor([0.0, 1.0, 0.0]) * avatar.rest.vertices[:, 1].min()
    low, high = torch.tensor([-0.95, 0.0, -0.5]), torch.tensor([0.95, 1.85, 0.5])
    return BodyTrack(
        body="open",
        betas=avatar.betas,
        poses=BodyPose(pelvis.expand(frames, 3).clone(), rotation_from_rotvec(rotvecs)),
        times=torch.arange(frames) / 15,
        confidence=(0.55 + 0.45 * torch.cos(6 * phase))[:, None].expand(frames, 24).clone(),
        instant=torch.arange(frames),
        cameras=front(low, high, frames, 3 * height // 4, height),
    )


def sample_run(folder: Path, splats: int = 2000, frames: int = 20, height: int = 240) -> Path:
    """Write the sample as a run folder, with rendered images of this height as the video's frames."""
    avatar = sample_avatar(splats)
    track = sample_track(avatar, frames, height)
    assert track.cameras is not None
    images, masks = [], []
    with torch.no_grad():
        for index in range(frames):
            out = render(avatar.pose(track.poses[index]).detach(), track.cameras[index])
            images.append((out.composite((0.6, 0.65, 0.6))[0].clamp(0, 1) * 255).byte().numpy())
            masks.append((out.alpha[0] * 255).byte().numpy())
    observations = Observations(
        images=images, masks=masks, keypoints=torch.zeros(frames, 33, 3), keypoints_3d=torch.zeros(frames, 33, 3),
        layout="blazepose33", instant=track.instant, times=track.times, width=track.cameras.width, height=height,
    )  # fmt: skip
    save_observations(observations, folder / "observations")
    save_track(track, folder / "track.npz")
    avatar.save(folder / "avatar.safetensors")
    return folder
