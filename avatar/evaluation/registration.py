"""One shift for a whole clip: what the unknown optical axis and camera pitch leave open of where a person stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.datasets.capture import CaptureClip
from avatar.evaluation.alignment import EstimatedPerson, Placement
from avatar.io.images import to_float
from avatar.metrics.detail import blurred
from avatar.pipeline.finished_run import FinishedRun
from avatar.rendering.renderer import render
from avatar.types import BodyPose, Cameras

FRAMES = 8  # of the clip, evenly spread, whose silhouettes are compared
# Silhouettes are blurred this far, px, in each step: first to reach the other one, then to be precise.
SIGMAS = (8.0, 4.0, 2.0, 2.0)
# A direction about which the silhouettes say less than this share of what they say about the clearest one stays.
LEAST_INFORMATION = 0.05


@torch.no_grad()
def registered(
    opened: FinishedRun, person: EstimatedPerson, clip: CaptureClip, placement: Placement, backend: str
) -> Placement:
    """The placement with the shift across the view that brings the avatar's silhouettes onto the true ones.

    Compared are frames of the training clip alone, as the true training camera sees them. A video determines neither
    the principal point nor, independently of the pose, the pitch of its camera; an error of them moves the estimated
    person across the view, by the same distance in all frames. Size and depth along the view stay as the limb joints
    give them (`avatar.evaluation.alignment.align`). No held-out image is used, and none gets a shift of its own.

    The shift is found by Gauss-Newton on the blurred silhouettes: their difference is the gradient of the silhouette
    times the shift in the image, which is the shift in metres times the focal length over the depth. Where the
    training camera goes round, the silhouettes determine the third direction too; where they do not, it stays.
    """
    pairs = person.frames_of(clip)
    frames = list(pairs)
    chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int)]
    poses = [person.frame_poses[pairs[frame]] for frame in chosen]
    splats = [opened.avatar.pose(pose.to(opened.avatar.device)) for pose in poses]
    masks = [to_float(clip.masks[frame]) for frame in chosen]
    for sigma in SIGMAS:
        hessian, gradient = torch.zeros(3, 3), torch.zeros(3)
        for frame, pose, posed, mask in zip(chosen, poses, splats, masks, strict=True):
            camera = placement.camera(clip.cameras[frame])
            alpha = render(posed, camera.to(posed.means.device), backend).alpha[0].cpu()
            J, residual = _linearized(alpha, mask, sigma, _pixels_per_metre(pose, camera, placement.scale))
            J = J @ (clip.cameras.T_camera_world[frame, :2, :3] @ placement.T_true_camera[:3, :3].mT)
            hessian += J.mT @ J
            gradient += J.mT @ residual
        placement = replace(placement, shift=placement.shift + _determined(hessian) @ gradient)
    return placement


def _determined(hessian: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
    """The inverse along the directions that the silhouettes determine, and zero along the others."""
    values, vectors = torch.linalg.eigh(hessian)
    inverse = torch.where(values > LEAST_INFORMATION * values.max(), 1 / values.clamp_min(1e-6), 0.0)
    result: Tensor = vectors @ torch.diag(inverse) @ vectors.mT
    return result


def _linearized(
    alpha: Float[Tensor, "h w"], mask: Float[Tensor, "h w"], sigma: float, pixels_per_metre: Float[Tensor, " 2"]
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, " n"]]:
    """Change of the silhouette with the shift, per true metre, and what it lacks of the true one."""
    soft = blurred(alpha, sigma)
    down, right = torch.gradient(soft)
    # Moving an image along an axis changes it by minus its slope.
    J = -torch.stack([right.flatten(), down.flatten()], -1) * pixels_per_metre
    return J, (blurred(mask, sigma) - soft).flatten()


def _pixels_per_metre(pose: BodyPose, camera: Cameras, scale: float) -> Float[Tensor, " 2"]:
    T = camera.T_camera_world[0]
    depth = (T[2, :3] @ pose.root_position + T[2, 3]) * scale
    return camera.K[0, [0, 1], [0, 1]] / depth


def shift_in_pixels(placement: Placement, person: EstimatedPerson, camera: Cameras) -> Float[Tensor, " 2"]:
    """The placement's shift in pixels of the true training camera, at the person's mean depth."""
    T = placement.T_run_camera
    depth = (person.track.poses.root_position @ T[2, :3] + T[2, 3]).mean() * placement.scale
    pixels: Tensor = placement.shift[:2] * camera.K[0, [0, 1], [0, 1]] / depth
    return pixels
