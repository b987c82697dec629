"""Light apart from colour: a few numbers of light, fixed in the world, shared by all Gaussians.

A person who turns in a room is lit from one side, and one baked colour would have to serve all sides. So the colour
seen is the Gaussian's own colour times a gain that depends only on which way its surface faces in the world: the
irradiance of distant light varies with the normal as a second-order spherical-harmonic polynomial
(Ramamoorthi and Hanrahan 2001, eq. 13). The gain is the exponential of such a polynomial, so that it stays positive;
a product in sRGB is a product in linear light too, up to the power law between them. The constant term is left out:
it cannot be told from the colours themselves.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.kernels.constants import TERMS

UP = 1  # the term that grows with the height that a surface faces
# Light comes from above, indoors and out: a ceiling or sky brighter than the floor. Who is filmed standing shows each
# place in one tilt, so that pictures hardly tell this from the colours, and backs that bend and knees that rise came
# out too bright or too dark without it. Log gain in sRGB of what faces up against what faces sideways: between
# facing up and down a factor of 1.6, of 3 in linear light.
FROM_ABOVE = 0.25
# How much less a surface takes up of distant light of the second degree than of the first, 2 pi / 3 against pi / 4
# (Ramamoorthi and Hanrahan 2001, eq. 8). A fixed camera sees no surface that faces away from it, and only this
# tells how the light goes on there.
_RARITY = (1.0,) * 3 + ((2 / 3) / (1 / 4),) * 5


def normal_polynomials(n: Float[Tensor, "n 3"]) -> Float[Tensor, "n 8"]:
    """The real spherical harmonics of degrees 1 and 2 of unit vectors, up to constant factors."""
    x, y, z = n.unbind(-1)
    return torch.stack([x, y, z, x * y, y * z, z * x, x * x - z * z, 1.5 * y * y - 0.5], dim=-1)


class Light(nn.Module):
    """Log gains of distant light by the direction in which a surface faces, in the world frame."""

    rarity: Tensor
    expected: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.zeros(TERMS, 3))
        expected = torch.zeros(TERMS, 1)
        expected[UP] = FROM_ABOVE
        self.register_buffer("expected", expected, persistent=False)
        self.register_buffer("rarity", torch.tensor(_RARITY)[:, None], persistent=False)

    @torch.no_grad()
    def expect(self) -> None:
        """Take the light that is usual, to start learning from."""
        self.coefficients.copy_(self.expected.expand(-1, 3))

    def unlikelihood(self) -> Float[Tensor, ""]:
        """Mean square of what differs from usual light, in units of how large distant light makes each term."""
        return ((self.coefficients - self.expected) * self.rarity).square().mean()


def gains(normals: Float[Tensor, "n 3"], coefficients: Float[Tensor, "8 3"]) -> Float[Tensor, "n 3"]:
    """Factor on each colour channel for surfaces with these unit world normals; 1 where the coefficients are 0."""
    return (normal_polynomials(normals) @ coefficients).exp()
