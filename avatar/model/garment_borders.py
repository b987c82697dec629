"""Borders between garments, moved to where the colours change.

A walk over smoothed colours finds the garments but may leave a strip of one with the label of its neighbour: a cuff
that counts as hand, the first centimetres of a skirt that count as shirt. Beside a border, each Gaussian is therefore
compared with the nearest ones that surely belong to either side, and takes the label of those that it resembles.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

BAND = 0.05  # m from a border within which labels may change; what lies further inside is sure
FARTHEST = 0.15  # m to what is compared with: light changes over a body
COMPARED = 48  # Gaussians of either side
ALIKE = 0.25  # quantile of their distances in colour that counts: a print has several colours
LIGHTNESS = 0.7  # weight of lightness, which shading changes, against hue
RATIO, APART = 0.5, 6.0  # the other side must be nearer by this factor, and by this many Lab units


def moved_borders(
    labels: Int[np.ndarray, " n"],
    between: tuple[int, ...],
    points: Float[np.ndarray, "n 3"],
    lab: Float[np.ndarray, "n 3"],
    solid: Bool[np.ndarray, " n"],
    neighbors: Int[np.ndarray, "n k"],
) -> Int[np.ndarray, " n"]:
    """The labels with their borders where the colours change.

    Args:
        between: the labels whose common borders move.
        points: of the Gaussians at rest, metres; lab: their colours; solid: those that are compared with.
        neighbors: the nearest of each, over which single strays are voted down.
    """
    from scipy.spatial import cKDTree

    distance = np.full((len(labels), len(between)), np.inf)
    for column, label in enumerate(between):
        if (labels == label).any():
            distance[:, column] = cKDTree(points[labels == label]).query(points, distance_upper_bound=BAND)[0]
    own = labels[:, None] == np.array(between)
    beside = np.where(own, np.inf, distance).min(1) < BAND
    free = beside & own.any(1)
    if not free.any():
        return labels
    unlike = np.full((int(free.sum()), len(between)), np.inf)
    for column, label in enumerate(between):
        sure = (labels == label) & ~beside & solid
        if sure.sum() >= COMPARED:
            unlike[:, column] = _unlike(points[free], lab[free], points[sure], lab[sure])
    unlike[~np.isfinite(distance[free])] = np.inf  # no border with these here
    row, mine = np.arange(len(unlike)), own[free].argmax(1)
    best, before = unlike.argmin(1), unlike[row, mine]
    changes = np.isfinite(before) & (unlike[row, best] < np.minimum(RATIO * before, before - APART))
    result = labels.copy()
    result[np.flatnonzero(free)[changes]] = np.array(between)[best[changes]]
    return _voted(result, free, neighbors)


def _unlike(
    points: Float[np.ndarray, "m 3"],
    lab: Float[np.ndarray, "m 3"],
    sure_points: Float[np.ndarray, "s 3"],
    sure_lab: Float[np.ndarray, "s 3"],
) -> Float[np.ndarray, " m"]:
    """How far some colours are from those of the nearest sure Gaussians of a label, Lab units; inf: none is near."""
    from scipy.spatial import cKDTree

    away, nearest = cKDTree(sure_points).query(points, k=COMPARED)
    apart = (lab[:, None] - sure_lab[nearest]) * (LIGHTNESS, 1.0, 1.0)
    unlike: np.ndarray = np.quantile(np.linalg.norm(apart, axis=-1), ALIKE, axis=1)
    return np.where(away[:, 0] < FARTHEST, unlike, np.inf)


def _voted(
    labels: Int[np.ndarray, " n"], free: Bool[np.ndarray, " n"], neighbors: Int[np.ndarray, "n k"]
) -> Int[np.ndarray, " n"]:
    """The labels, where they are free, of most neighbours, so that a hem is a line."""
    votes = np.stack([(labels[neighbors[free]] == label).sum(1) for label in range(labels.max() + 1)], 1)
    votes[np.arange(len(votes)), labels[free]] += 1
    result = labels.copy()
    result[free] = votes.argmax(1)
    return result
