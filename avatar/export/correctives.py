"""The learned deformation as a few linear directions, for players that cannot run the network.

What the network and the body's own pose correctives add to skinning is, for each pose, a field of displacements and
log brightness over the Gaussians. Over the poses that go along with the avatar, a few principal components hold
nearly all of it (as in SqueezeMe, arXiv 2412.15171). For embedded frames their coefficients are exact up to the rank;
for poses met later they are guessed as linear in the joints' rotation matrices, within the range seen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.deform import OUTPUT_SCALE
from avatar.model import Avatar
from avatar.types import BodyPose

RANK = 8
# Poses from which the components are computed; more would not fit into memory with many Gaussians.
POSES_FOR_BASIS = 96
# Weight of keeping the guess small against fitting the poses seen, in units of the features' own variance.
RIDGE = 0.03


@dataclass(frozen=True)
class Correctives:
    """Principal components of the deformation.

    Attributes:
        basis: displacement (metres, rest frame) and log brightness of each Gaussian for a coefficient of one.
        coefficients: one row a frame, for each clip.
        regression: coefficients from pose features and a constant one; see `pose_features`.
        kept: share of the squared deformation of all clips that the components hold, in [0, 1].
    """

    basis: Float[Tensor, "components n 4"]
    coefficients: tuple[Float[Tensor, "frames components"], ...]
    regression: Float[Tensor, "components features"]
    kept: float

    def field(self, coefficients: Float[Tensor, " components"]) -> Float[Tensor, "n 4"]:
        """The deformation that the components give for one frame."""
        return torch.einsum("c,cnx->nx", coefficients, self.basis)


def pose_features(rotations: Float[Tensor, "frames joints 3 3"]) -> Float[Tensor, "frames features"]:
    """Rotation matrices of all joints but the root, less the identity, row by row; and a constant one."""
    bent = (rotations[:, 1:] - torch.eye(3).to(rotations)).flatten(1)
    return torch.cat([bent, torch.ones_like(bent[:, :1])], dim=1)


@torch.no_grad()
def deformation(avatar: Avatar, pose: BodyPose) -> Float[Tensor, "n 4"]:
    """What one complete pose adds to the Gaussians at rest: displacement in metres and log brightness."""
    means, brightness = avatar.bent(pose)
    brightness = torch.zeros_like(means[:, 0]) if brightness is None else brightness
    return torch.cat([means - avatar.rest_means(), brightness[:, None]], dim=1)


@torch.no_grad()
def fit_correctives(avatar: Avatar, clips: Sequence[BodyPose], rank: int = RANK) -> Correctives:
    """The `rank` strongest components over the given clips of complete poses, and their coefficients."""
    if avatar.deform is None and avatar.correctives is None:
        rank = 0
    # One unit of each output of the network weighs the same.
    units = torch.tensor(OUTPUT_SCALE).to(avatar.device)
    poses = [clip[frame] for clip in clips for frame in range(len(clip))]
    if rank == 0:
        empty = tuple(torch.zeros(len(clip), 0) for clip in clips)
        features = 9 * (len(avatar.body.parents) - 1) + 1
        return Correctives(torch.zeros(0, len(avatar), 4), empty, torch.zeros(0, features), 1.0)
    chosen = torch.linspace(0, len(poses) - 1, min(len(poses), POSES_FOR_BASIS)).round().long().tolist()
    fields = torch.stack([(deformation(avatar, poses[i]) / units).flatten() for i in chosen])
    # The components of a wide matrix, through the small matrix of inner products of its rows.
    values, vectors = torch.linalg.eigh(fields @ fields.T)
    strongest = vectors[:, -rank:].flip(1)
    strengths = values[-rank:].flip(0).clamp_min(1e-12).sqrt()
    basis = (strongest / strengths).T @ fields
    all_fields = (deformation(avatar, pose) / units for pose in poses)
    rows, total = [], 0.0
    for field in all_fields:
        rows.append(basis @ field.flatten())
        total += float(field.square().sum())
    coefficients = torch.stack(rows)
    kept = float(coefficients.square().sum()) / max(total, 1e-12)
    rotations = torch.cat([clip.rotations for clip in clips])
    return Correctives(
        basis=basis.unflatten(1, (-1, 4)) * units,
        coefficients=coefficients.split([len(clip) for clip in clips]),
        regression=_ridge(pose_features(rotations), coefficients),
        kept=kept,
    )


def _ridge(
    features: Float[Tensor, "frames features"], targets: Float[Tensor, "frames components"]
) -> Float[Tensor, "components features"]:
    """Linear regression that prefers small coefficients, so that unseen directions of pose change nothing."""
    gram = features.T @ features / len(features)
    damping = RIDGE * gram.diagonal()[:-1].mean().clamp_min(1e-6) * torch.ones_like(gram.diagonal())
    damping[-1] = 0  # the constant is free
    return torch.linalg.solve(
        gram + damping.diag() + 1e-9 * torch.eye(len(gram)).to(gram), features.T @ targets / len(features)
    ).T
