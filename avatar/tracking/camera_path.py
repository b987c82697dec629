"""A camera that moves: the cameras of the frames relative to one reference camera, and what the fit needs of them.

The fit works in the frame of the reference camera, which stands still in the world. A point x there is at
`R x + scale * t` before the camera of a frame; the one scale of a reconstruction is an unknown of the fit.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import invert_rigid
from avatar.io.camera_motion_file import CameraMotion
from avatar.tracking.kinematics import CameraPath, State
from avatar.tracking.vertical_lines import CameraTilt

# Scale of a path at the start, in metres: how far the camera's places lie apart, root mean square.
USUAL_SPREAD_M = 0.3
SCALES = torch.logspace(-2.5, 1.5, 161, dtype=torch.float64)  # of the path, metres; tried at the start
STRIDE_S = 0.3  # between the instants whose feet are compared
SLIP_ACROSS, SLIP_ALONG = 0.03, 0.15  # metres; error of a foot across and along the view at the start
# A person who stands still while the camera goes round: the feet stay in a box of this size, and they keep facing.
STANDING_M, STANDING_RADIANS = 0.3, math.radians(25.0)
ALL_ROUND = 0.5  # largest length of the mean unit direction to the camera; 0: evenly from all round, 1: one direction
CAMERA_PITCH, PITCH_SPREAD = 0.07, 0.08  # of phones, radians: they look down a little
GRAVITY_SPREAD = math.radians(0.5)  # of the direction that the sensors of a phone measure
LEVEL_SPREAD = 0.02  # of the mean of all cameras' upward directions, radians


def path_of(motion: CameraMotion | None) -> CameraPath | None:
    """The path of a camera that moved, or None for one that stood still; its places are 1 apart (root mean square).

    The reference camera is the one that is the most like all others, so that its tilt is the usual one.
    """
    if motion is None or motion.regime == "still":
        return None
    T = motion.cameras.T_camera_world.double()
    up = -F.normalize(T[:, 1, :3].mean(0), dim=0)
    reference = int((-T[:, 1, :3] @ up).argmax())
    relative = T @ invert_rigid(T[reference])
    centres = invert_rigid(relative)[:, :3, 3]
    spread = float((centres - centres.mean(0)).norm(dim=-1).square().mean().sqrt())
    moving = motion.regime == "moving" and spread > 1e-9
    t = relative[:, :3, 3] / spread if moving else torch.zeros_like(centres)
    scale = math.log(spread) if moving and motion.metric else None
    return CameraPath(relative[:, :3, :3].contiguous(), t.contiguous(), moving, scale)


def from_cameras(state: State, path: CameraPath, feet: Float[Tensor, "n f 3"], times: Float[Tensor, " n"]) -> State:
    """A state whose every instant is in the frame of its own camera, in the frame of the reference camera.

    The scale is the one at which the feet slide least, since one of them stands at most instants.

    Args:
        feet: of that state, in the cameras' frames.
    """
    log_scale = state.camera.new_zeros(0)
    if path.moves:
        log_scale = state.camera.new_tensor(
            [least_sliding(path, feet, times) if path.log_scale is None else path.log_scale]
        )
    scale = log_scale.exp() if path.moves else state.camera.new_ones(1)
    R = path.rotations.mT
    position = (R @ (state.position - scale * path.translations)[..., None]).squeeze(-1)
    rotations = state.rotations.clone()
    rotations[:, 0] = R @ rotations[:, 0]
    return replace(state, position=position, rotations=rotations, path=path, log_scale=log_scale)


def least_sliding(path: CameraPath, feet: Float[Tensor, "n f 3"], times: Float[Tensor, " n"]) -> float:
    """The logarithm of the scale of the path at which the feet slide least."""
    later = torch.searchsorted(times, times + STRIDE_S).clamp(max=len(times) - 1)
    now = (later > torch.arange(len(times))).nonzero()[:, 0]
    later = later[now]
    slip = feet.new_tensor([SLIP_ACROSS, SLIP_ACROSS, SLIP_ALONG])

    def cost(scale: Tensor) -> Tensor:
        world = (feet - scale * path.translations[:, None]) @ path.rotations  # rows: R^T x
        moved = (world[later] - world[now]) @ path.rotations[now].mT / slip
        square = moved.square().sum(-1).amin(-1)
        return (square / (1 + square)).sum() + 0.02 * (scale / USUAL_SPREAD_M).log().square()

    return float(SCALES[torch.stack([cost(scale) for scale in SCALES]).argmin()].log())


def tilt_of_motion(motion: CameraMotion | None, path: CameraPath | None) -> CameraTilt | None:
    """The reference camera's tilt, as measured gravity or the path itself tells it; None where neither does."""
    if motion is not None and motion.vertical is not None:
        R_camera_world = motion.cameras.T_camera_world[0, :3, :3].double()
        if path is not None:
            R_camera_world = path.rotations[0].mT @ R_camera_world
        return _tilt_of(R_camera_world @ R_camera_world.new_tensor(motion.vertical), GRAVITY_SPREAD, GRAVITY_SPREAD)
    return None if path is None else tilt_of_path(path)


def tilt_of_path(path: CameraPath) -> CameraTilt:
    """The reference camera's tilt, if all cameras together are level but for the usual look down.

    A camera that goes round looks down in all directions, so that its mean upward direction is up.
    """
    usual = path.rotations.new_tensor([0.0, -math.cos(CAMERA_PITCH), -math.sin(CAMERA_PITCH)])
    up = F.normalize((path.rotations.mT @ usual).mean(0), dim=0)
    one_sided = float(path.rotations[:, 2].mean(0).norm())
    return _tilt_of(up, math.hypot(LEVEL_SPREAD, PITCH_SPREAD * one_sided), LEVEL_SPREAD)


def _tilt_of(up: Float[Tensor, "3"], pitch_spread: float, roll_spread: float) -> CameraTilt:
    """The tilt of a camera in whose frame this direction points up."""
    pitch, roll = float(-torch.asin(up[2])), float(torch.atan2(up[0], -up[1]))
    return CameraTilt(pitch, pitch_spread, roll, roll_spread)


def holds_pose(state: State) -> bool:
    """Whether a person stands still, facing one way, while the camera goes round."""
    if state.path is None:
        return False
    centres = (state.path.rotations.mT @ -state.path_translations[..., None]).squeeze(-1)
    toward = F.normalize(centres - state.position, dim=-1)
    facing = F.normalize(state.rotations[:, 0, :, 2], dim=-1)
    mean = F.normalize(facing.mean(0), dim=0)
    turned = torch.acos((facing @ mean).clamp(-1, 1))
    middle = state.position.median(0).values
    near = (state.position - middle).norm(dim=-1).quantile(0.9) < STANDING_M
    still = turned.quantile(0.9) < STANDING_RADIANS
    return bool(near and still and toward.mean(0).norm() < ALL_ROUND)
