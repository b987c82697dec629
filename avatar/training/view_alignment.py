"""Generated views never agree exactly: each learns where it was really taken from, and how it was exposed."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from avatar.geometry import quat_from_rotation, quat_multiply, rigid, rotation_from_rotvec
from avatar.types import Cameras, Gaussians, RenderOutput

# Deviations that are believed of a generator: radians, metres for a person, logarithm of brightness.
TURN, SHIFT, GAIN = 0.1, 0.1, 0.15
RATES = {"turns": 3e-3, "shifts": 3e-3, "gains": 5e-3}
TURN_STEPS = 1  # rounds over all frames before it is the other's turn
SILHOUETTE_ROUNDS = 6  # rounds at the start in which only coverage counts: the body's silhouette holds the views


class ViewAlignment(nn.Module):
    """A small rigid motion of the person before each view's camera, and a gain of each colour.

    Moving the person is the same as moving the camera the other way, turns about the person are far better
    conditioned than about the camera, and any renderer is differentiable in the Gaussians.

    Args:
        centre: middle of the person in the world; fixed: frames whose camera is known (the photo's).

    Attributes:
        turns: rotation vectors; shifts: metres; gains: logarithms.
    """

    centre: Tensor
    free: Tensor

    def __init__(self, centre: Float[Tensor, " 3"], fixed: Bool[Tensor, " frames"]) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("free", (~fixed).float()[:, None])
        self.turns = nn.Parameter(torch.zeros(len(fixed), 3))
        self.shifts = nn.Parameter(torch.zeros(len(fixed), 3))
        self.gains = nn.Parameter(torch.zeros(len(fixed), 3))
        self.optimizer = torch.optim.Adam([{"params": [getattr(self, name)], "lr": r} for name, r in RATES.items()])

    def __len__(self) -> int:
        return len(self.free)

    def is_due(self, step: int) -> bool:
        """Whether this step moves the views, or else the Gaussians: they take turns."""
        return self.by_silhouette(step) or step // (TURN_STEPS * len(self)) % 2 == 1

    def by_silhouette(self, step: int) -> bool:
        """Whether only the coverage counts at this step, before the Gaussians have learned any colour."""
        return step < SILHOUETTE_ROUNDS * len(self)

    def motions(self) -> Float[Tensor, "frames 4 4"]:
        """The motion of the person before each camera, in the world."""
        R = rotation_from_rotvec(self.turns * self.free)
        return rigid(R, self.centre + self.shifts * self.free - (R @ self.centre))

    def seen(self, gaussians: Gaussians, frame: int) -> Gaussians:
        """The Gaussians as the camera of a frame really has them before it."""
        T = self.motions()[frame]
        turn = quat_from_rotation(T[:3, :3]).expand_as(gaussians.quats)
        means = gaussians.means @ T[:3, :3].mT + T[:3, 3]
        return replace(gaussians, means=means, quats=quat_multiply(turn, gaussians.quats))

    def exposed(self, picture: RenderOutput, frame: int) -> RenderOutput:
        """The picture as brightly as the frame was exposed."""
        return replace(picture, rgb=picture.rgb * (self.gains[frame] * self.free[frame]).exp())

    def prior(self) -> Float[Tensor, ""]:
        """Half the squared deviations from a perfect generator, a mean over the frames."""
        squares = (self.turns / TURN).square() + (self.shifts / SHIFT).square() + (self.gains / GAIN).square()
        return 0.5 * (squares * self.free).sum(1).mean()

    @torch.no_grad()
    def aligned(self, cameras: Cameras) -> Cameras:
        """The cameras where they really were, for the frames in the same order."""
        return replace(cameras, T_camera_world=cameras.T_camera_world @ self.motions().to(cameras.T_camera_world))

    @torch.no_grad()
    def moved(self, camera: Cameras, frame: int) -> Cameras:
        """One frame's camera where it really was."""
        return replace(camera, T_camera_world=camera.T_camera_world @ self.motions()[frame])

    @torch.no_grad()
    def developed(self, image: Float[Tensor, "h w 3"], frame: int) -> Float[Tensor, "h w 3"]:
        """A frame's picture as if it had been exposed like the photo."""
        gain = (self.gains[frame] * self.free[frame]).exp().to(image)
        return (image / gain).clamp(0, 1)
