"""Skin of two people that meets without a step of colour.

Each video leaves its own light in the colours of skin: the shadow of a chin, a lamp on one side. So one change of tone
for a whole person leaves steps where both meet. What is left is measured spot by spot along the border, and a smooth
field over the surface spreads it over both sides, where it fades out. The colours are products of skin and light, so
that their logarithms are compared; a product in sRGB is a product in linear light too, up to the power law between.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.model.avatar import Avatar

SOLID = 0.5  # opacity from which a Gaussian tells the colour of its side
MEETING = 0.02  # m to the other side within which skin lies at the border
LOCAL = 24  # Gaussians of one side that say what colour it has at a spot of the border
SPOTS = 96  # spots of the border that say how large the step is near a point
SMOOTH = 0.015  # m over which the step changes along the border at the fastest
REACH = (0.05, 0.09)  # m from the border at which the change has faded out: on the side that stays, and on the other
SHARE = (0.3, 0.7)  # of the step that each side takes at the border
PASSES = 4  # the fading itself leaves a little of the step


@torch.no_grad()
def blend_skin(avatar: Avatar, skin: Bool[Tensor, " n"], stays: Bool[Tensor, " n"]) -> None:
    """Spread the steps of colour between the skin of two people in one avatar.

    Args:
        skin: which Gaussians show skin, and no hair or clothes, on the CPU.
        stays: which of all are of the person whose colours change less, such as a head that was put on.
    """
    solid = (avatar.gaussians.opacities > SOLID).cpu()
    points = avatar.rest_means().cpu().numpy()
    sides = [np.flatnonzero((skin & side).numpy()) for side in (stays, ~stays)]
    solids = [np.flatnonzero((skin & solid & side).numpy()) for side in (stays, ~stays)]
    if min(map(len, solids)) < LOCAL:
        return
    raw, chosen = avatar.gaussians.raw_colors, torch.from_numpy(np.concatenate(sides))
    for _ in range(PASSES):
        logs = avatar.gaussians.colors.cpu().clamp_min(1e-3).log().numpy()
        border, step = _steps(points, logs, solids)
        if not len(border):
            return
        change = [
            sign * share * _spread(points[side], border, step, reach)
            for sign, share, reach, side in zip((1, -1), SHARE, REACH, sides, strict=True)
        ]
        colors = torch.from_numpy(np.exp(logs[chosen] + np.concatenate(change))).clamp(0.01, 0.99)
        raw[chosen.to(raw.device)] = torch.logit(colors).to(raw)


def _steps(
    points: Float[np.ndarray, "n 3"], logs: Float[np.ndarray, "n 3"], sides: list[np.ndarray]
) -> tuple[Float[np.ndarray, "b 3"], Float[np.ndarray, "b 3"]]:
    """Points of the border, and the step of colour there from the first side to the second.

    Medians, so that a strap, a strand of hair or a shadow's edge makes no step.
    """
    from scipy.spatial import cKDTree

    trees = [cKDTree(points[side]) for side in sides]
    meet = [tree.query(points[side])[0] < MEETING for tree, side in zip(reversed(trees), sides, strict=True)]
    border = points[np.concatenate([side[near] for side, near in zip(sides, meet, strict=True)])]
    if not len(border):
        return border, border
    local = [
        np.median(logs[side[tree.query(border, k=LOCAL)[1]]], axis=1) for side, tree in zip(sides, trees, strict=True)
    ]
    return border, local[1] - local[0]


def _spread(
    points: Float[np.ndarray, "m 3"], border: Float[np.ndarray, "b 3"], step: Float[np.ndarray, "b 3"], reach: float
) -> Float[np.ndarray, "m 3"]:
    """The steps along the border as a smooth field at some points, which fades out at `reach` metres from it."""
    from scipy.spatial import cKDTree

    away, nearest = cKDTree(border).query(points, k=min(SPOTS, len(border)))
    away, nearest = away.reshape(len(points), -1), nearest.reshape(len(points), -1)
    # Relative to the nearest spot, so that the field reaches inwards as it is at the border.
    share = np.exp(-(away**2 - away[:, :1] ** 2) / (2 * SMOOTH**2))
    field = (step[nearest] * share[..., None]).sum(1) / share.sum(1)[:, None]
    fade = np.cos(np.pi / 2 * np.clip(away[:, 0] / reach, 0, 1)) ** 2
    result: np.ndarray = fade[:, None] * field
    return result
