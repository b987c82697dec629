"""Corrections of each frame's camera and exposure.

The cameras of a video are known; views made by a generator never agree exactly, so theirs are learned.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from avatar.geometry import quat_from_rotation, quat_multiply, rigid, rotation_from_rotvec
from avatar.types import Cameras, Gaussians, RenderOutput

# Usual deviations of a generator: radians, metres for a person, logarithm of brightness.
ROTATION_SIGMA, TRANSLATION_SIGMA, GAIN_SIGMA = 0.1, 0.1, 0.15
RATES = {"delta_rotvec": 3e-3, "delta_translation": 3e-3, "log_gains": 5e-3}
ALTERNATION_ROUNDS = 1  # rounds over all frames before Gaussians and views change places
SILHOUETTE_ROUNDS = 6  # rounds at the start in which only coverage counts: the body's silhouette aligns the views


class KnownViews:
    """The alignment of frames whose cameras and exposures are right as they are: it changes nothing.

    `LearnedViews` overrides every method.
    """

    def updates_views(self, step: int) -> bool:
        """Whether this step moves the views instead of the Gaussians."""
        return False

    def mask_only(self, step: int) -> bool:
        """Whether only the coverage counts at this step."""
        return False

    def select_optimizer(self, step: int, avatar_optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """The optimiser that makes this step."""
        return avatar_optimizer

    def apply_pose(self, gaussians: Gaussians, frame: int) -> Gaussians:
        """The Gaussians as they stand before the real camera of a frame."""
        return gaussians

    def apply_exposure(self, out: RenderOutput, frame: int) -> RenderOutput:
        """A rendered image with the exposure of a frame."""
        return out

    def undo_exposure(self, image: Float[Tensor, "h w 3"], frame: int) -> Float[Tensor, "h w 3"]:
        """A frame's image with the exposure of the frames whose cameras are known."""
        return image

    def aligned(self, cameras: Cameras) -> Cameras:
        """The real cameras of all frames, in the same order."""
        return cameras

    def aligned_camera(self, camera: Cameras, frame: int) -> Cameras:
        """The real camera of one frame."""
        return camera

    def prior(self) -> Float[Tensor, ""]:
        """How unlikely the corrections are."""
        return torch.zeros(())


class LearnedViews(nn.Module, KnownViews):
    """A small rigid motion of the person before each camera, and a gain of each colour channel, learned per frame.

    Moving the person is the same as moving the camera the other way; rotations about the person are far better
    conditioned than rotations about the camera, and any renderer is differentiable in the Gaussians.

    Args:
        centre: middle of the person in the world, metres; fixed: frames whose camera is known (the photo's).

    Attributes:
        delta_rotvec: rotation vectors, radians; delta_translation: metres; log_gains: logarithms of gains.
        free: 1 for frames that are learned, 0 for fixed ones.
        optimizer: Adam over the three, separate from the avatar's.
    """

    centre: Tensor
    free: Tensor

    def __init__(self, centre: Float[Tensor, " 3"], fixed: Bool[Tensor, " frames"]) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("free", (~fixed).float()[:, None])
        self.delta_rotvec = nn.Parameter(torch.zeros(len(fixed), 3))
        self.delta_translation = nn.Parameter(torch.zeros(len(fixed), 3))
        self.log_gains = nn.Parameter(torch.zeros(len(fixed), 3))
        self.optimizer = torch.optim.Adam([{"params": [getattr(self, name)], "lr": r} for name, r in RATES.items()])

    def __len__(self) -> int:
        return len(self.free)

    def updates_views(self, step: int) -> bool:
        """Whether this step moves the views instead of the Gaussians: they alternate."""
        return self.mask_only(step) or step // (ALTERNATION_ROUNDS * len(self)) % 2 == 1

    def mask_only(self, step: int) -> bool:
        """Whether only the coverage counts at this step, before the Gaussians have learned any colour."""
        return step < SILHOUETTE_ROUNDS * len(self)

    def select_optimizer(self, step: int, avatar_optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """The views' own optimiser while they are updated."""
        return self.optimizer if self.updates_views(step) else avatar_optimizer

    def motions(self) -> Float[Tensor, "frames 4 4"]:
        """The motion of the person before each camera, in the world."""
        R = rotation_from_rotvec(self.delta_rotvec * self.free)
        return rigid(R, self.centre + self.delta_translation * self.free - (R @ self.centre))

    def apply_pose(self, gaussians: Gaussians, frame: int) -> Gaussians:
        """The Gaussians moved as a whole, as they stand before the real camera of a frame."""
        T = self.motions()[frame]
        rotation = quat_from_rotation(T[:3, :3]).expand_as(gaussians.quats)
        means = gaussians.means @ T[:3, :3].mT + T[:3, 3]
        return replace(gaussians, means=means, quats=quat_multiply(rotation, gaussians.quats))

    def apply_exposure(self, out: RenderOutput, frame: int) -> RenderOutput:
        """A rendered image as bright as the frame."""
        return replace(out, rgb=out.rgb * (self.log_gains[frame] * self.free[frame]).exp())

    @torch.no_grad()
    def undo_exposure(self, image: Float[Tensor, "h w 3"], frame: int) -> Float[Tensor, "h w 3"]:
        """A frame's image with the photo's exposure."""
        gain = (self.log_gains[frame] * self.free[frame]).exp().to(image)
        return (image / gain).clamp(0, 1)

    @torch.no_grad()
    def aligned(self, cameras: Cameras) -> Cameras:
        """The real cameras of all frames, in the same order."""
        return replace(cameras, T_camera_world=cameras.T_camera_world @ self.motions().to(cameras.T_camera_world))

    @torch.no_grad()
    def aligned_camera(self, camera: Cameras, frame: int) -> Cameras:
        """The real camera of one frame."""
        return replace(camera, T_camera_world=camera.T_camera_world @ self.motions()[frame])

    def prior(self) -> Float[Tensor, ""]:
        """Half the squared deviations from a perfect generator, mean over the frames."""
        squares = (
            (self.delta_rotvec / ROTATION_SIGMA).square()
            + (self.delta_translation / TRANSLATION_SIGMA).square()
            + (self.log_gains / GAIN_SIGMA).square()
        )
        return 0.5 * (squares * self.free).sum(1).mean()
