"""Skinning weights of Gaussians that hang away from the body.

A skirt does not follow the one triangle nearest to it: between the legs it follows both. So away from the surface the
body's skinning weights are diffused through space, as the mean over the whole surface by the inverse distance (Shepard
1968), and a cloth that spans two limbs stays one piece. Diffused weights for loose clothes go back to FITE (Lin et al.
2022, section 3.2), which solves for a smoother field on a grid.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.model.gaussians import TriangleFrames, evenly_spread_faces

# Metres from the surface between which the weights of the triangle give way to the diffused ones.
ON_BODY, OFF_BODY = 0.02, 0.045
SAMPLES = 2048  # of the surface, for equal areas each
STRONGEST = 4  # joints; the others' weights are small, and players and files hold no more
AT_ONCE = 4096  # Gaussians; bounds the memory


@torch.no_grad()
def diffused_weights(
    means: Float[Tensor, "n 3"],
    distance: Float[Tensor, " n"],
    weights: Float[Tensor, "n joints"],
    body: Body,
    frames: TriangleFrames,
) -> Float[Tensor, "n joints"]:
    """Skinning weights of points around the body at rest.

    Args:
        means: the points in the rest frame, metres; distance: of each from its place on the surface, metres.
        weights: the body's weights at these places.
        body, frames: the body, and its triangles at rest.

    Returns:
        `weights` on the body, and away from it the mean over the surface by the inverse fourth power of the distance.
    """
    looseness = ((distance - ON_BODY) / (OFF_BODY - ON_BODY)).clamp(0, 1)
    loose = looseness.nonzero()[:, 0]
    face = evenly_spread_faces(frames, SAMPLES)
    places, at_places = frames.vertices[face].mean(1), body.weights[body.faces[face]].mean(1)
    result = weights.clone()
    for rows in loose.split(AT_ONCE):
        nearness = torch.cdist(means[rows], places).clamp_(min=1e-4).square_().square_().reciprocal_()
        result[rows] = torch.lerp(weights[rows], strongest(nearness @ at_places), looseness[rows, None])
    return result


def strongest(weights: Float[Tensor, "n joints"]) -> Float[Tensor, "n joints"]:
    """The weights of the `STRONGEST` joints, which add up to one; the others are zero.

    They are less by the first one that is left out, so that no joint comes or goes in a jump.
    """
    left = (weights - weights.topk(STRONGEST + 1, dim=1).values[:, -1:]).clamp_min(0)
    return left / left.sum(1, keepdim=True)
