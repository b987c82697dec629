"""Light separated from colour: a few coefficients, fixed in the world, shared by all Gaussians.

A person who turns in a room is lit from one side, and one baked colour would have to serve all sides. So the rendered
colour is the Gaussian's own colour times a gain that depends only on the direction of its surface in the world: the
irradiance of distant light varies with the normal as a second-order spherical-harmonic polynomial
(Ramamoorthi and Hanrahan 2001, eq. 13). The gain is the exponential of such a polynomial, so that it stays positive;
a product in sRGB is a product in linear light too, up to the power law between them. The constant term is left out:
it cannot be separated from the colours themselves.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.kernels.constants import TERMS

UP = 1  # the term that grows with the height that a surface faces
# Light comes from above, indoors and out: the ceiling or sky is brighter than the floor. A standing person shows each
# spot at a single tilt, so images hardly separate this from the colours, and without the prior, bent backs and raised
# knees come out too bright or too dark. Log gain in sRGB of surfaces facing up relative to sideways: a factor of 1.6
# between facing up and down, of 3 in linear light.
FROM_ABOVE = 0.25
# How much less irradiance distant light of the second degree gives than that of the first, 2 pi / 3 against pi / 4
# (Ramamoorthi and Hanrahan 2001, eq. 8). A fixed camera sees no surface that faces away from it; there, only this
# prior determines the light.
_PRIOR_SCALE = (1.0,) * 3 + ((2 / 3) / (1 / 4),) * 5


def normal_polynomials(n: Float[Tensor, "n 3"]) -> Float[Tensor, "n 8"]:
    """The real spherical harmonics of degrees 1 and 2 of unit vectors, up to constant factors."""
    x, y, z = n.unbind(-1)
    return torch.stack([x, y, z, x * y, y * z, z * x, x * x - z * z, 1.5 * y * y - 0.5], dim=-1)


class Light(nn.Module):
    """Log gains of distant light by the direction in which a surface faces, in the world frame."""

    prior_scale: Tensor
    expected: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.zeros(TERMS, 3))
        expected = torch.zeros(TERMS, 1)
        expected[UP] = FROM_ABOVE
        self.register_buffer("expected", expected, persistent=False)
        self.register_buffer("prior_scale", torch.tensor(_PRIOR_SCALE)[:, None], persistent=False)

    @torch.no_grad()
    def initialize_prior(self) -> None:
        """Set the light to the usual one, from above, to start learning from."""
        self.coefficients.copy_(self.expected.expand(-1, 3))

    def prior_loss(self) -> Float[Tensor, ""]:
        """Mean squared deviation from the usual light, in units of the magnitude that distant light gives each term."""
        return ((self.coefficients - self.expected) * self.prior_scale).square().mean()


def irradiance_gain(normals: Float[Tensor, "n 3"], coefficients: Float[Tensor, "8 3"]) -> Float[Tensor, "n 3"]:
    """Factor on each colour channel for surfaces with these unit world normals; 1 where the coefficients are 0."""
    return (normal_polynomials(normals) @ coefficients).exp()
