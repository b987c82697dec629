"""From the camera's frame to a world that stands upright on the floor."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import invert_rigid, rigid, transform
from avatar.tracking.kinematics import State
from avatar.tracking.residuals import up_of
from avatar.types import BodyPose


def to_world_frame(state: State) -> tuple[BodyPose, Float[Tensor, "n 4 4"]]:
    """Poses in the world and `T_camera_world` of each instant.

    The world's Y points up from the floor at y = 0, its Z towards the camera (of the first instant, if it moves), so
    that a person who faces the camera faces +Z; the person starts above the origin.
    """
    up = up_of(state.camera)
    toward = up.new_tensor([0.0, 0.0, -1.0])
    if state.path is not None:
        toward = state.path.rotations[0].mT @ toward
    right = torch.linalg.cross(up, toward)
    right = right / right.norm()
    R_camera_world = torch.stack([right, up, torch.linalg.cross(right, up)], dim=1)
    ground = R_camera_world.T @ state.position[0]
    shift = torch.stack([-ground[0], state.camera[3], -ground[2]])
    T_camera_world = invert_rigid(rigid(R_camera_world.T, shift))
    rotations = state.rotations.clone()
    rotations[:, 0] = R_camera_world.T @ rotations[:, 0]
    position = transform(invert_rigid(T_camera_world), state.position)
    T_cameras = T_camera_world.expand(len(state), 4, 4)
    if state.path is not None:
        T_cameras = rigid(state.path.rotations, state.path_translations) @ T_camera_world
    return BodyPose(position.float(), rotations.float()), T_cameras.float()
