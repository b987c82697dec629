"""A clip whose truth is known: the open body moved on purpose, seen by a camera on purpose."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from avatar.body import Body
from avatar.geometry import rotation_from_rotvec
from avatar.landmark_layouts import LAYOUTS
from avatar.tracking.kinematics import State, move_points, pose_chain
from avatar.tracking.landmarks import landmark_points
from avatar.tracking.silhouette import filled_mesh, posed_vertices
from avatar.types import Observations

WIDTH, HEIGHT, FOCAL, RATE = 180, 320, 300.0, 8.0


@dataclass(frozen=True)
class Stack:
    """Images in memory."""

    images: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int, /) -> np.ndarray:
        image: np.ndarray = self.images[index]
        return image


def truth(body: Body, frames: int, turn: float, pitch: float = 0.1, moving: float = 0.25) -> State:
    """A person in an A-pose who turns by `turn` on the spot, swinging the arms and stepping by `moving`, 2.6 m away."""
    phase = torch.linspace(0, 1, frames, dtype=torch.float64)
    rotvec = torch.zeros(frames, len(body.parents), 3, dtype=torch.float64)
    swing = moving * torch.sin(2 * math.pi * phase)
    name = body.joint_names.index
    rotvec[:, name("left_shoulder"), 2] = -0.9 + swing
    rotvec[:, name("right_shoulder"), 2] = 0.9 + swing
    rotvec[:, name("left_elbow"), 1] = -0.5 + swing
    rotvec[:, name("right_elbow"), 1] = 0.5 + swing
    rotvec[:, name("left_knee"), 0] = 0.3 + swing
    rotvec[:, name("left_hip"), 0] = -0.15 - swing / 2
    rotations = rotation_from_rotvec(rotvec)
    yaw = torch.zeros(frames, 3, dtype=torch.float64)
    yaw[:, 1] = turn * phase
    pitched = torch.tensor([pitch, 0, 0], dtype=torch.float64)
    # The body's Y axis points up and its Z axis to the camera, which looks along its own +Z with Y down.
    upright = torch.diag(torch.tensor([1.0, -1, -1], dtype=torch.float64))
    rotations[:, 0] = rotation_from_rotvec(pitched) @ upright @ rotation_from_rotvec(yaw)
    betas = torch.zeros(body.shape_dirs.shape[-1], dtype=torch.float64)
    betas[0], betas[1] = 0.3, 0.8
    position = torch.stack([0.05 * torch.sin(6 * phase), 0.0 * phase, 2.6 + 0.03 * torch.cos(5 * phase)], 1)
    points, _ = landmark_points(body, "blazepose33")
    view = torch.tensor([math.log(FOCAL), pitch, 0.0, 1.2], dtype=torch.float64)
    return State(position, rotations, betas, torch.zeros_like(points.rest), view)


def observed(
    body: Body,
    state: State,
    noise: float,
    seed: int = 0,
    layout: str = "blazepose33",
    several_cameras: bool = False,
) -> Observations:
    """What a detector of this layout with `noise` pixels of error would see of it; see `detector_places`."""
    generator = torch.Generator().manual_seed(seed)
    points, _ = landmark_points(body, layout, several_cameras)
    x = move_points(pose_chain(body, state), state, points).x
    centre = torch.tensor([WIDTH / 2, HEIGHT / 2], dtype=torch.float64)
    pixels = FOCAL * x[..., :2] / x[..., 2:] + centre
    pixels = pixels + noise * torch.randn(pixels.shape, generator=generator, dtype=torch.float64)
    names = LAYOUTS[layout].names
    hips = x[:, [names.index("left_hip"), names.index("right_hip")]].mean(1, keepdim=True)
    guess = x - hips
    guess = guess + 0.02 * torch.randn(guess.shape, generator=generator, dtype=torch.float64)
    masks = [
        filled_mesh(FOCAL * mesh[:, :2] / mesh[:, 2:] + centre.numpy(), body.faces.numpy(), (WIDTH, HEIGHT))
        for mesh in posed_vertices(body, state)
    ]
    frames = len(state)
    return Observations(
        images=Stack(np.zeros((frames, HEIGHT, WIDTH, 3), np.uint8)),
        masks=Stack(np.stack(masks)),
        keypoints=torch.cat([pixels, torch.ones_like(pixels[..., :1])], -1).float(),
        keypoints_3d=guess.float(),
        layout=layout,
        instant=torch.arange(frames),
        times=torch.arange(frames) / RATE,
        width=WIDTH,
        height=HEIGHT,
    )
