"""The fringe of a garment: Gaussians along its border that blend its colour with that of what is beyond.

Along a hem, training blends cloth and skin in one Gaussian. Whoever recolours the cloth must change its share alone, or
the skin in it takes on a colour of its own: blue cloth turned red would get a green rim.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

WIDTH = 0.03  # metres on either side of the border
COMPARED = 24  # nearest Gaussians farther inside on either side, with whose mean colours a blend is compared
LEAST_APART = 0.1  # of both colours: nearer ones cannot be separated
STRAY = 0.1  # distance from the line between both colours at which a Gaussian is hardly a blend of them


@dataclass(frozen=True)
class Fringe:
    """Gaussians that may be blends.

    Attributes:
        rows: which Gaussians; share: of the garment's colour in each.
        likely: how likely it is that each is such a blend, and not something else.
        cloth: the Gaussians of the garment whose mean colour that is.
    """

    rows: Int[np.ndarray, " k"]
    share: Float[np.ndarray, " k"]
    likely: Float[np.ndarray, " k"]
    cloth: Int[np.ndarray, "k c"]


def fringe_of(
    chosen: Bool[np.ndarray, " n"],
    points: Float[np.ndarray, "n 3"],
    colors: Float[np.ndarray, "n 3"],
    solid: Bool[np.ndarray, " n"],
) -> Fringe | None:
    """The fringe of the chosen Gaussians; None where there is none.

    Args:
        points: of the Gaussians at rest, metres; colors: theirs, sRGB; solid: those that are compared with.
    """
    from scipy.spatial import cKDTree

    beside = np.zeros(len(chosen), bool)
    for side in (chosen, ~chosen):
        if side.any():
            away = cKDTree(points[side]).query(points, distance_upper_bound=WIDTH)[0]
            beside |= ~side & (away < WIDTH)
    rows = np.flatnonzero(beside & chosen)
    cloth, rest = (np.flatnonzero(side & ~beside & solid) for side in (chosen, ~chosen))
    if not len(rows) or min(len(cloth), len(rest)) < COMPARED:
        return None
    near_cloth, near_rest = (ones[cKDTree(points[ones]).query(points[rows], k=COMPARED)[1]] for ones in (cloth, rest))
    own, other = colors[near_cloth].mean(1), colors[near_rest].mean(1)
    across, apart = own - other, np.linalg.norm(own - other, axis=1)
    share = (((colors[rows] - other) * across).sum(1) / np.maximum(apart, LEAST_APART) ** 2).clip(0, 1)
    stray = np.linalg.norm(colors[rows] - other - share[:, None] * across, axis=1)
    likely = np.exp(-((stray / STRAY) ** 2)) * (apart > LEAST_APART)
    return Fringe(rows, share, likely, near_cloth)
