"""How people hold their trunk and limbs: a mixture of Gaussians learned from motion capture.

The features are the directions of trunk, thighs, shanks, upper arms and forearms in the frame of gravity and the
person's heading, so they tie a lean to the legs that carry it. Skeletons agree on these directions, but not on
rotations about the bones. Of the mixture the likeliest component counts at each instant (Olson and Agarwal, "Inference
on networks of mixtures", 2013), as in SMPLify (Bogo et al. 2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.io.assets import asset_path
from avatar.io.files import read_npz
from avatar.tracking.kinematics import PointsWithJacobian, State
from avatar.tracking.residuals import lift_point_residual, up_of
from avatar.tracking.solver import LinearizedResidual, Term

LIMBS = (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
SEGMENTS = (
    ("pelvis", "neck"),
    *((f"{side}_{start}", f"{side}_{end}") for start, end in LIMBS for side in ("left", "right")),
)
MIRRORED = (0, 2, 1, 4, 3, 6, 5, 8, 7)  # the segments with left and right swapped
JOINTS = (
    "pelvis", "neck",
    *(f"{side}_{name}" for side in ("left", "right")
      for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")),
)  # fmt: skip
STARTS = [JOINTS.index(start) for start, _ in SEGMENTS]
ENDS = [JOINTS.index(end) for _, end in SEGMENTS]
HIPS = JOINTS.index("left_hip"), JOINTS.index("right_hip")
WEIGHT = 0.1  # of an instant: neighbours are alike, and the detector's errors are too


@dataclass(frozen=True)
class PosePrior:
    """A mixture of k Gaussians over d features.

    Attributes:
        means: of each component.
        whitening: the inverse Cholesky factor of each covariance.
        penalty: of each component, beside half the squared distance: its negative log density at the mean, at least 0.
    """

    means: Float[Tensor, "k d"]
    whitening: Float[Tensor, "k d d"]
    penalty: Float[Tensor, " k"]

    @classmethod
    def of(
        cls, weights: Float[Tensor, " k"], means: Float[Tensor, "k d"], covariances: Float[Tensor, "k d d"]
    ) -> PosePrior:
        """The mixture with these weights, means and covariances."""
        factor = torch.linalg.cholesky(covariances)
        eye = torch.eye(means.shape[1], dtype=means.dtype).expand_as(factor)
        density = weights.log() - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return cls(means, torch.linalg.solve_triangular(factor, eye, upper=False), density.max() - density)

    def likeliest(self, features: Float[Tensor, "n d"]) -> Tensor:
        """The component that explains each row best."""
        away = torch.einsum("kde,nke->nkd", self.whitening, features[:, None] - self.means)
        return (0.5 * away.square().sum(-1) + self.penalty).argmin(1)


@cache
def load_pose_prior() -> PosePrior:
    """The prior that `scripts/build_pose_prior.py` made."""
    arrays = read_npz(asset_path("body", "pose_prior.npz"))
    weights, means, covariances = (torch.from_numpy(arrays[n]).double() for n in ("weights", "means", "covariances"))
    return PosePrior.of(weights, means, covariances)


def pose_prior_term(
    prior: PosePrior, state: State, joints: PointsWithJacobian, names: tuple[str, ...], weight: Float[Tensor, " n"]
) -> Term:
    """The pose of each instant under the likeliest component of the prior.

    Args:
        joints: the body's joints, called `names`.
        weight: of each instant.
    """
    group = torch.tensor([[names.index(name) for name in JOINTS]])
    nothing = state.camera.new_zeros(len(state), 1, 1)
    features = lift_point_residual(directions, joints, group, state, nothing)
    chosen = prior.likeliest(features.value[:, 0])
    whitening = prior.whitening[chosen]
    value = torch.einsum("nde,nge->ngd", whitening, features.value - prior.means[chosen, None])
    # The penalty has no derivative, but the solver must see it where a step changes the component.
    penalty = (2 * prior.penalty[chosen]).sqrt()[:, None, None]
    residual = LinearizedResidual(
        torch.cat([value, penalty], -1),
        {0: _padded(torch.einsum("nde,ngep->ngdp", whitening, features.jac_frame[0]))},
        None
        if features.jac_shared is None
        else _padded(torch.einsum("nde,ngep->ngdp", whitening, features.jac_shared)),
    )
    return Term("pose prior", residual, WEIGHT * weight[:, None])


def _padded(slopes: Float[Tensor, "n g d p"]) -> Float[Tensor, "n g d1 p"]:
    return torch.cat([slopes, torch.zeros_like(slopes[:, :, :1])], 2)


def directions(
    points: Float[Tensor, "14 3"], camera: Float[Tensor, "4"], data: Float[Tensor, "1"]
) -> Float[Tensor, "27"]:
    """The directions of `SEGMENTS` along the person's left, up and the heading, for the places of `JOINTS`."""
    up = up_of(camera)
    left = points[HIPS[0]] - points[HIPS[1]]
    left = left - (left @ up) * up
    left = left / (left.norm() + 1e-6)
    axes = torch.stack([left, up, torch.linalg.cross(left, up)], 1)
    bones = points[ENDS] - points[STARTS]
    features: Tensor = ((bones / bones.norm(dim=-1, keepdim=True)) @ axes).flatten()
    return features
