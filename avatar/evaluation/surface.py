"""How far an avatar's surface lies from the true one, part by part, where a capture has depth images."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from avatar.evaluation.regions import LABELS, Labels

SURFACES = ("torso", "arms", "face", "legs", "feet")
COVERED = 0.9  # both must cover a pixel at least this far for their depths to be compared
FEWEST_PIXELS = 100


def surface_errors(
    depth: Float[Tensor, "h w"],
    alpha: Float[Tensor, "h w"],
    truth: Float[Tensor, "h w"],
    coverage: Float[Tensor, "h w"],
    labels: Labels,
) -> dict[str, float]:
    """Median absolute difference of depth along the view over each part's pixels, mm, named `surface_torso_mm`.

    Parts with fewer than `FEWEST_PIXELS` pixels have no score.

    Args:
        depth: the avatar's expected depth, not premultiplied, in true metres; alpha: its coverage.
        truth: true depth, metres, 0 where nobody is; coverage: the true one.
    """
    both = (alpha > COVERED) & (coverage > COVERED) & (truth > 0)
    error = (depth - truth).abs()
    scores = {}
    for name in SURFACES:
        chosen = both & (labels == LABELS.index(name))
        if int(chosen.sum()) >= FEWEST_PIXELS:
            scores[f"surface_{name}_mm"] = 1e3 * float(error[chosen].median())
    return scores
