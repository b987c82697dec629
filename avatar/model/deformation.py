"""Pose-dependent deformation: a small MLP that moves each Gaussian with the rotations of the joints near it.

Each Gaussian depends only on nearby joints (their rotations weighted by its skinning weights), as "designed joint
encodings" (ParDy-Human, arXiv 2312.15059) and local pose features (arXiv 2605.01854) suggest: a bent knee does not
change a sleeve. The network must not extrapolate, so pose features are clamped to the range of the training poses, and
its response to the mean pose is subtracted.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

HIDDEN = 32
BANDS = 4
OUTPUTS = 4  # three of displacement and one of brightness
# Metres and log gain that one unit of the network's output means: wrinkles and shading, not limbs.
OUTPUT_SCALE = (0.02, 0.02, 0.02, 0.3)


def positional_encoding(points: Float[Tensor, "n 3"]) -> Float[Tensor, "n features"]:
    """Sines and cosines of the rest position at octaves of 1 m wavelength (Mildenhall et al. 2020, eq. 4)."""
    angles = points[:, None] * (2 * math.pi * 2.0 ** torch.arange(BANDS, device=points.device))[:, None]
    return torch.cat([angles.sin(), angles.cos()], dim=1).flatten(1)


def joint_influence(weights: Float[Tensor, "n joints"], parents: tuple[int, ...]) -> Float[Tensor, "n joints"]:
    """How much each joint affects each Gaussian: its skinning weights, half of them spread to adjacent joints."""
    joints = len(parents)
    adjacency = torch.eye(joints, device=weights.device, dtype=weights.dtype)
    for child, parent in enumerate(parents):
        if parent >= 0:
            adjacency[child, parent] = adjacency[parent, child] = 0.5
    influence = weights @ adjacency
    # The root's own rotation turns the whole person in the world and bends nothing.
    influence[:, parents.index(-1)] = 0
    return influence / influence.sum(1, keepdim=True).clamp_min(1e-6)


class PoseOffsets(NamedTuple):
    """What one pose changes about the Gaussians at rest, before skinning; None where nothing does.

    Attributes:
        displacement: learned offsets plus the body's pose correctives, in the rest frame, metres.
        learned: the learned offsets alone, in the rest frame, metres.
        brightness: learned log gain of the colours.
    """

    displacement: Float[Tensor, "n 3"] | None
    learned: Float[Tensor, "n 3"] | None
    brightness: Float[Tensor, " n"] | None


class DeformMLP(nn.Module):
    """Displacements (metres, rest frame) and log brightness of each Gaussian for one pose; zero at the start.

    Attributes:
        low, high, mean: range and mean of the pose features in training; see `remember_poses`.
        enabled: off, it costs nothing and moves nothing; training enables it late.
    """

    low: Tensor
    high: Tensor
    mean: Tensor
    output_scale: Tensor

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.enabled = True
        self.joint_encoder = nn.Parameter(torch.randn(joints, 9, HIDDEN) / 3)
        self.place_encoder = nn.Linear(6 * BANDS, HIDDEN)
        self.hidden = nn.Linear(HIDDEN, HIDDEN)
        self.out = nn.Linear(HIDDEN, OUTPUTS)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        for name in ("low", "high", "mean"):
            self.register_buffer(name, torch.zeros(joints, 9))
        self.register_buffer("output_scale", torch.tensor(OUTPUT_SCALE), persistent=False)

    def remember_poses(self, rotations: Float[Tensor, "poses joints 3 3"]) -> None:
        """Store the range of the training poses; beyond it, features are clamped to the nearest edge."""
        features = rotations.flatten(-2)
        self.low.copy_(features.amin(0))
        self.high.copy_(features.amax(0))
        self.mean.copy_(features.mean(0))

    def forward(
        self,
        rotations: Float[Tensor, "joints 3 3"],
        positions: Float[Tensor, "n features"],
        influence: Float[Tensor, "n joints"],
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
        """Displacement in metres in the rest frame, and log brightness, of Gaussians at rest.

        Args:
            rotations: local rotations of all joints.
            positions: `positional_encoding` of the Gaussians; influence: their `joint_influence`.
        """
        if not self.enabled:
            return influence.new_zeros(len(influence), 3), influence.new_zeros(len(influence))
        features = rotations.flatten(-2).clamp(self.low, self.high)
        codes = torch.einsum("jf,jfh->jh", features - self.mean, self.joint_encoder)
        place = self.place_encoder(positions)
        # The code of the mean pose is zero. Its response is subtracted before the last layer, whose bias cancels.
        posed = torch.relu(self.hidden(torch.relu(influence @ codes + place)))
        change = posed - torch.relu(self.hidden(torch.relu(place)))
        scaled = nn.functional.linear(change, self.out.weight * self.output_scale[:, None])
        return scaled[:, :3], scaled[:, 3]
