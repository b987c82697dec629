"""The shading that is left in the colours of skin, to be taken out where the avatar stands in another light.

Training separates the light from the colours (`avatar.model.lighting`), but not all of it: a standing person shows each
spot at a single tilt, and chin, armpits and fingers shade each other. Skin tells what is left, since its own colour
hardly changes over a body while its brightness by the direction of the surface does. So a second-order polynomial of
the direction, the same functions as of distant light (Ramamoorthi and Hanrahan 2001), is fitted robustly to the
brightness of skin, for each part of the body; what it explains is shading, the rest is the person.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.body.parts import PARTS, part_of_joint
from avatar.model.lighting import normal_polynomials

GROUPS = (("head", "face"), ("hands",), ("arms",), ("torso",), ("legs",), ("feet",))  # of `PARTS`, each fitted apart
BARE = ("head", "face", "hands")  # parts where skin is looked for first
LUMINANCE = (0.2126, 0.7152, 0.0722)
HUE_DISTANCE = 0.15  # of skin from the median, in the logarithm of the colour less that of its luminance
BRIGHTNESS_DISTANCE = 0.5  # the same in the logarithm of the luminance; hair and shoes lie beyond
WELL_OBSERVED = 0.3  # colours of the others are guesses
LEAST_SKIN = 100  # splats, to fit anything
SCALE = 0.1  # of the residuals that still count fully, log luminance
LARGEST = 0.35  # of the shading, log luminance: more is no shading but another colour
RIDGE = 1e-3  # relative to the number of splats
ROUNDS = 10


@torch.no_grad()
def skin_shading(
    colors: Float[Tensor, "n 3"],
    normals: Float[Tensor, "n 3"],
    observed: Float[Tensor, " n"],
    weights: Float[Tensor, "n joints"],
    joint_names: tuple[str, ...],
) -> Float[Tensor, " n"]:
    """Log brightness that the shading gives each Gaussian; 0 where there is no skin.

    Args:
        colors: own sRGB; normals: unit, at rest; observed: how well the images show each, in [0, 1].
        weights: skinning weights over the joints of these names.
    """
    parts = [PARTS.index(part_of_joint(name)) for name in joint_names]
    of_part = torch.stack([weights[:, [p == k for p in parts]].sum(1) for k in range(len(PARTS))], 1)
    logs = colors.clamp_min(1e-3).log()
    brightness = logs @ logs.new_tensor(LUMINANCE)
    bare = of_part[:, [PARTS.index(name) for name in BARE]].sum(1) > 0.5
    likeness = _likeness(logs, brightness, bare & (observed > WELL_OBSERVED))
    sample = (likeness == 1) & (observed > WELL_OBSERVED)
    if int(sample.sum()) < LEAST_SKIN:
        return torch.zeros_like(brightness)
    groups = torch.stack([of_part[:, [PARTS.index(name) for name in group]].sum(1) for group in GROUPS], 1)
    # Weights of the groups blend at neck and wrists as the skinning does, so that no seam appears.
    terms = (groups[:, :, None] * normal_polynomials(normals)[:, None]).flatten(1)
    shading = terms @ _robust_fit(torch.cat([terms, groups], 1)[sample], brightness[sample])[: terms.shape[1]]
    shading = shading - shading[sample].mean()
    return (likeness * shading).clamp(-LARGEST, LARGEST)


def _likeness(
    logs: Float[Tensor, "n 3"], brightness: Float[Tensor, " n"], candidates: Bool[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """How much each colour is like the skin of the candidates, most of which are skin, in [0, 1]."""
    hue = logs - brightness[:, None]
    skin = candidates
    likeness = torch.zeros_like(brightness)
    for _ in range(ROUNDS):
        if not bool(skin.any()):
            return torch.zeros_like(brightness)
        off_hue = (hue - hue[skin].median(0).values).norm(dim=1) / HUE_DISTANCE
        off_brightness = (brightness - brightness[skin].median()).abs() / BRIGHTNESS_DISTANCE
        likeness = (2 - torch.maximum(off_hue, off_brightness)).clamp(0, 1)  # 1 within the distance, 0 at twice of it
        skin = candidates & (likeness == 1)
    return likeness


def _robust_fit(terms: Float[Tensor, "n k"], values: Float[Tensor, " n"]) -> Float[Tensor, " k"]:
    """Coefficients of the terms by iteratively reweighted least squares (Cauchy's weights), with a slight ridge."""
    ridge = RIDGE * len(values) * torch.eye(terms.shape[1]).to(terms)
    factors, fit = torch.ones_like(values), torch.zeros_like(terms[0])
    for _ in range(ROUNDS):
        weighted = terms * factors[:, None]
        fit = torch.linalg.solve(weighted.T @ terms + ridge, weighted.T @ values)
        factors = 1 / (1 + ((values - terms @ fit) / SCALE).square())
    return fit
