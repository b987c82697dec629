"""Colours for what no picture showed: from its surroundings, its mirror place, and the front of the same part."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.body.parts import PARTS
from avatar.model.avatar import Avatar, part_of_gaussians

# Below this `observed` score a Gaussian's colour is a guess and is replaced.
SEEN = 0.5
NEAR = 0.02  # m over which a seen neighbour, or a seen mirror place, loses trust
MIRROR_TRUST, COPY_TRUST = 0.5, 0.1  # against a seen neighbour's 1, at distance zero
BROAD = 48  # Gaussians averaged where front is copied to back: a pattern would not go on behind, its colour does
SMOOTHING = 8  # passes over the surface
CROWN = 0.3  # upper share of the head that shows what grows on the back of it
HEAD, FACE = PARTS.index("head"), PARTS.index("face")
FLAT = [PARTS.index(name) for name in ("torso", "arms", "hands", "legs")]


@torch.no_grad()
def inpaint_unobserved(avatar: Avatar) -> None:
    """Give Gaussians that were hardly observed the colours that they most likely have.

    The nearest seen ones count most, then the mirror place of the same part (the body at rest is symmetric about
    x = 0), then the broad colour of the same part seen from the front or the back; far from all seen ones only the
    last is left. The back of a head takes hair and not the face. At last the guesses are smoothed over the surface.
    """
    seen = (avatar.observed >= SEEN).cpu()
    if seen.all() or not seen.any():
        return
    means, colors = avatar.rest_means().cpu(), avatar.gaussians.colors.cpu()
    parts = part_of_gaussians(avatar).cpu()
    broad = _broad_sources(means, parts)
    guess = colors.clone()
    for part in parts[~seen].unique().tolist():
        unknown = ~seen & (parts == part)
        known = seen & (parts == part)
        known = known if known.any() else seen
        source = known & broad if (known & broad).any() else known
        guess[unknown] = _guessed(means, colors, (seen, known, source), means[unknown], flat=part in FLAT)
    neighbors = avatar.neighbors.cpu()
    for _ in range(SMOOTHING):
        guess = torch.where(seen[:, None], guess, (guess + guess[neighbors].mean(1)) / 2)
    avatar.gaussians.raw_colors[~seen] = torch.logit(guess[~seen].clamp(0.01, 0.99)).to(avatar.device)


def _broad_sources(means: Float[Tensor, "n 3"], parts: Int[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Which Gaussians lend their broad colour: of the head only the crown, whose hair goes on behind."""
    height = means[:, 1]
    head = parts == HEAD
    if not head.any():
        return torch.ones_like(head)
    low, high = height[head].amin(), height[head].amax()
    return ~head | (height > high - CROWN * (high - low))


def _guessed(
    means: Float[Tensor, "n 3"],
    colors: Float[Tensor, "n 3"],
    sources: tuple[Bool[Tensor, " n"], Bool[Tensor, " n"], Bool[Tensor, " n"]],
    places: Float[Tensor, "m 3"],
    flat: bool,
) -> Float[Tensor, "m 3"]:
    """Colours for `places` of one part.

    Args:
        sources: all that were seen, those of this part, and those of them whose broad colour is copied.
        flat: front and back of the part lie behind each other.
    """
    seen, known, source = sources
    mirrored = places * torch.tensor([-1.0, 1.0, 1.0])
    near, near_distance = _blend(means[seen], colors[seen], places, 4)
    mirror, mirror_distance = _blend(means[known], colors[known], mirrored, 4)
    # From front to back only x and y matter; seen along z the two sides of a part lie upon each other.
    metric = torch.tensor([1.0, 1.0, 0.1 if flat else 1.0])
    broad, _distance = _blend(means[source] * metric, colors[source], places * metric, BROAD)
    near_trust = torch.exp(-near_distance / NEAR)
    mirror_trust = MIRROR_TRUST * torch.exp(-mirror_distance / NEAR)
    total = near_trust + mirror_trust + COPY_TRUST
    return (near_trust * near + mirror_trust * mirror + COPY_TRUST * broad) / total


def _blend(
    means: Float[Tensor, "k 3"], colors: Float[Tensor, "k 3"], places: Float[Tensor, "m 3"], count: int
) -> tuple[Float[Tensor, "m 3"], Float[Tensor, "m 1"]]:
    """Mean colour of the `count` nearest, nearer ones counting more, and the distance of the nearest."""
    from scipy.spatial import cKDTree

    count = min(count, len(means))
    distance, index = cKDTree(means.numpy()).query(places.numpy(), k=range(1, count + 1))
    apart = torch.from_numpy(distance).float()
    weights = 1 / (apart + apart.mean(1, keepdim=True) / 4 + 1e-4)
    weights = weights / weights.sum(1, keepdim=True)
    return (weights[..., None] * colors[torch.from_numpy(index)]).sum(1), apart[:, :1]
