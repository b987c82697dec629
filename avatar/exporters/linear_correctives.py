"""The learned deformation as a few linear directions, for players that cannot run the network.

For each pose the network and the body's pose correctives add a field of displacements and log brightness over the
Gaussians. A few principal components explain nearly all of it over the poses of the embedded clips (as in SqueezeMe,
arXiv 2412.15171). For embedded frames their coefficients are exact up to the rank;
for other poses they are predicted linearly from the joints' rotation matrices, within the range of the clips.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.model.avatar import Avatar
from avatar.model.deformation import OUTPUT_SCALE
from avatar.runtime.progress import progress
from avatar.types import BodyPose

RANK = 8
# Poses from which the components are computed; more would not fit into memory with many Gaussians.
POSES_FOR_BASIS = 96
# Coefficients are computed at this rate and interpolated linearly: the network is slow, motions are smooth.
COEFFICIENTS_PER_SECOND = 15.0
# Ridge penalty of the prediction, in units of the features' own variance.
RIDGE = 0.03


@dataclass(frozen=True)
class Correctives:
    """Principal components of the deformation.

    Attributes:
        basis: displacement (metres, rest frame) and log brightness of each Gaussian for a coefficient of one.
        coefficients: one row per frame, for each clip.
        regression: coefficients from pose features and a constant one; see `pose_features`.
        explained: share of the squared deformation of all clips that the components hold, in [0, 1].
    """

    basis: Float[Tensor, "components n 4"]
    coefficients: tuple[Float[Tensor, "_ components"], ...]
    regression: Float[Tensor, "components features"]
    explained: float

    def truncated(self, rank: int) -> Correctives:
        """Only the `rank` strongest components."""
        strongest = tuple(rows[:, :rank] for rows in self.coefficients)
        part = sum(float(rows.square().sum()) for rows in strongest)
        total = sum(float(rows.square().sum()) for rows in self.coefficients)
        share = self.explained * part / total if total > 0 else self.explained
        return Correctives(self.basis[:rank], strongest, self.regression[:rank], share)

    def field(self, coefficients: Float[Tensor, " components"]) -> Float[Tensor, "n 4"]:
        """The deformation that the components give for one frame."""
        return torch.einsum("c,cnx->nx", coefficients, self.basis)


def pose_features(rotations: Float[Tensor, "frames joints 3 3"]) -> Float[Tensor, "frames features"]:
    """Rotation matrices of all joints but the root, less the identity, row by row; and a constant one."""
    bent = (rotations[:, 1:] - torch.eye(3).to(rotations)).flatten(1)
    return torch.cat([bent, torch.ones_like(bent[:, :1])], dim=1)


@torch.no_grad()
def deformation(avatar: Avatar, pose: BodyPose) -> Float[Tensor, "n 4"]:
    """The deformation of the Gaussians at rest for one complete pose: displacement in metres and log brightness."""
    means, brightness = avatar.deformed_means(pose)
    brightness = torch.zeros_like(means[:, 0]) if brightness is None else brightness
    return torch.cat([means - avatar.rest_means(), brightness[:, None]], dim=1)


@torch.no_grad()
def fit_correctives(avatar: Avatar, clips: Sequence[BodyPose], fps: Sequence[float], rank: int = RANK) -> Correctives:
    """The `rank` strongest components over the given clips of complete poses, and their coefficients."""
    keys = [_key_frames(len(clip), rate) for clip, rate in zip(clips, fps, strict=True)]
    poses = [clip[int(frame)] for clip, frames in zip(clips, keys, strict=True) for frame in frames]
    # All outputs of the network have the same weight per unit.
    units = torch.tensor(OUTPUT_SCALE).to(avatar.device)
    if rank == 0 or (avatar.deform is None and avatar.body.pose_dirs is None):
        basis = torch.zeros(0, 4 * len(avatar))
    else:
        basis = _principal_components(avatar, poses, units, min(rank, len(poses)))
    rows, total = [], 0.0
    for pose in progress(poses, "deformation"):
        field = (deformation(avatar, pose) / units).flatten()
        rows.append(basis @ field)
        total += float(field.square().sum())
    coefficients = torch.stack(rows)
    return Correctives(
        basis=basis.unflatten(1, (-1, 4)) * units,
        coefficients=tuple(
            _between(part, frames, len(clip))
            for part, frames, clip in zip(coefficients.split([len(k) for k in keys]), keys, clips, strict=True)
        ),
        regression=_ridge(pose_features(torch.stack([pose.rotations for pose in poses])), coefficients),
        explained=float(coefficients.square().sum()) / total if total > 0 else 1.0,
    )


def _principal_components(
    avatar: Avatar, poses: Sequence[BodyPose], units: Float[Tensor, " 4"], rank: int
) -> Float[Tensor, "components fields"]:
    """Orthonormal rows that hold most of the deformation, through the small matrix of inner products of poses."""
    chosen = torch.linspace(0, len(poses) - 1, min(len(poses), POSES_FOR_BASIS)).round().long().tolist()
    fields = torch.stack([(deformation(avatar, poses[i]) / units).flatten() for i in chosen])
    values, vectors = torch.linalg.eigh(fields @ fields.T)
    strengths = values[-rank:].flip(0).clamp_min(1e-12).sqrt()
    components: Tensor = (vectors[:, -rank:].flip(1) / strengths).T @ fields
    return components


def _key_frames(frames: int, fps: float) -> Int[Tensor, " keys"]:
    count = min(frames, math.ceil((frames - 1) / fps * COEFFICIENTS_PER_SECOND) + 1)
    return torch.linspace(0, frames - 1, count).round().long()


def _between(
    values: Float[Tensor, "keys components"], keys: Int[Tensor, " keys"], frames: int
) -> Float[Tensor, "{frames} components"]:
    """Values at all frames, in a straight line from one key frame to the next."""
    at = torch.arange(frames)
    after = torch.searchsorted(keys, at).clamp(max=len(keys) - 1)
    before = (after - 1).clamp(min=0)
    share = (at - keys[before]) / (keys[after] - keys[before]).clamp_min(1)
    return torch.lerp(values[before], values[after], share[:, None])


def _ridge(
    features: Float[Tensor, "frames features"], targets: Float[Tensor, "frames components"]
) -> Float[Tensor, "components features"]:
    """Ridge regression, so that directions of pose outside the clips have no effect."""
    gram = features.T @ features / len(features)
    damping = RIDGE * gram.diagonal()[:-1].mean().clamp_min(1e-6) * torch.ones_like(gram.diagonal())
    damping[-1] = 0  # the constant is free
    solution: Tensor = torch.linalg.solve(
        gram + damping.diag() + 1e-9 * torch.eye(len(gram)).to(gram), features.T @ targets / len(features)
    )
    return solution.T
