"""Inpaints the colours of unobserved Gaussians: from neighbours, the mirrored side, and the front of the same part."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.body.parts import PARTS
from avatar.model.avatar import Avatar, part_of_gaussians

OBSERVED = 0.5  # `observed` below which a Gaussian's colour is replaced
TRUST_DISTANCE = 0.02  # m over which an observed neighbour, or a mirrored one, loses trust
MIRROR_TRUST, COPY_TRUST = 0.5, 0.1  # relative to 1 for an observed neighbour, at distance zero
# Share of all Gaussians whose usual colour is copied from front to back: it carries over, a pattern or print does not.
COPY_SHARE = 0.015
SMOOTHING_PASSES = 8
AT_OUTLINE = 0.1  # `inside` below which a Gaussian was seen at outlines alone
SEAM = 0.05  # m; how far the seam reaches from what was never seen
# Share of Gaussians that were never seen from which a side was not filmed. A full turn leaves 8 %, in folds and under
# the arms, and has no seam: what was seen at outlines alone there was seen in many frames.
SIDE = 0.2
CROWN = 0.3  # upper share of the head, whose hair continues on the back of it
HEAD, FACE = PARTS.index("head"), PARTS.index("face")
FLAT_PARTS = [PARTS.index(name) for name in ("torso", "arms", "hands", "legs")]


@torch.no_grad()
def inpaint_unobserved(avatar: Avatar, inside: Float[Tensor, " n"] | None = None) -> None:
    """Give Gaussians that were hardly observed the colours they most likely have.

    The nearest trusted ones count most, then the mirrored place of the same part (the body at rest is symmetric about
    x = 0), then the usual colour of the same part on its other side; far from all trusted ones only the last remains.
    The back of a head takes hair and not the face. Finally, the colours are smoothed over the surface.

    Args:
        inside: how well the inside of the outlines shows each Gaussian, in [0, 1]. Only what lies inside passes on its
            colour, and what was seen at outlines alone, beside what was never seen, is given another: it may have the
            background's. None: all that was observed is taken for inside.
    """
    observed = (avatar.observed >= OBSERVED).cpu()
    if observed.all() or not observed.any():
        return
    means, colors = avatar.rest_means().cpu(), avatar.gaussians.colors.cpu()
    parts = part_of_gaussians(avatar).cpu()
    sources = observed
    if inside is not None and float((~observed).float().mean()) >= SIDE:
        sources = observed & (inside.cpu() >= OBSERVED)
        observed = observed & ~_seam(means, observed, inside.cpu() < AT_OUTLINE)
        sources = sources & observed
    broad = _broad_sources(means, parts)
    inpainted = colors.clone()
    for part in parts[~observed].unique().tolist():
        missing = ~observed & (parts == part)
        # The purest of what there is: fingers have hardly an inside.
        same = next((s for s in (sources & (parts == part), observed & (parts == part), sources) if s.any()), observed)
        source = same & broad if (same & broad).any() else same
        flat = part in FLAT_PARTS
        near = sources if sources.any() else observed
        inpainted[missing] = _inpainted(means, colors, (near, same, source), means[missing], flat)
    neighbors = avatar.neighbors.cpu()
    for _ in range(SMOOTHING_PASSES):
        smoothed = (inpainted + inpainted[neighbors].mean(1)) / 2
        inpainted = torch.where(observed[:, None], inpainted, smoothed)
    avatar.gaussians.raw_colors[~observed] = torch.logit(inpainted[~observed].clamp(0.01, 0.99)).to(avatar.device)


def _seam(
    means: Float[Tensor, "n 3"], observed: Bool[Tensor, " n"], at_outline: Bool[Tensor, " n"]
) -> Bool[Tensor, " n"]:
    """Which observed Gaussians were seen at outlines alone and lie beside some that were never seen."""
    from scipy.spatial import cKDTree

    distance = cKDTree(means[~observed].numpy()).query(means.numpy())[0]
    return observed & at_outline & torch.from_numpy(distance < SEAM)


def _broad_sources(means: Float[Tensor, "n 3"], parts: Int[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Which Gaussians may be copied to the other side: of the head only the crown, whose hair continues behind."""
    height = means[:, 1]
    head = parts == HEAD
    if not head.any():
        return torch.ones_like(head)
    low, high = height[head].amin(), height[head].amax()
    return ~head | (height > high - CROWN * (high - low))


def _inpainted(
    means: Float[Tensor, "n 3"],
    colors: Float[Tensor, "n 3"],
    sources: tuple[Bool[Tensor, " n"], Bool[Tensor, " n"], Bool[Tensor, " n"]],
    points: Float[Tensor, "m 3"],
    flat: bool,
) -> Float[Tensor, "m 3"]:
    """Colours for `points` of one part.

    Args:
        sources: all trusted Gaussians, those of this part, and those whose colour may be copied to the other side.
        flat: front and back of the part lie behind each other.
    """
    trusted, same, source = sources
    mirrored = points * torch.tensor([-1.0, 1.0, 1.0])
    near, near_distance = _blend(means[trusted], colors[trusted], points, 4)
    mirror, mirror_distance = _blend(means[same], colors[same], mirrored, 4)
    # From front to back only x and y matter: along z the two sides of a flat part coincide.
    metric = torch.tensor([1.0, 1.0, 0.1 if flat else 1.0])
    broad = _usual_color(means[source] * metric, colors[source], points * metric, round(COPY_SHARE * len(means)))
    near_trust = torch.exp(-near_distance / TRUST_DISTANCE)
    mirror_trust = MIRROR_TRUST * torch.exp(-mirror_distance / TRUST_DISTANCE)
    total = near_trust + mirror_trust + COPY_TRUST
    return (near_trust * near + mirror_trust * mirror + COPY_TRUST * broad) / total


def _usual_color(
    means: Float[Tensor, "k 3"], colors: Float[Tensor, "k 3"], points: Float[Tensor, "m 3"], count: int
) -> Float[Tensor, "m 3"]:
    """Interquartile mean of the colours of the nearest Gaussians: of the garment, without a print or a stray on it."""
    from scipy.spatial import cKDTree

    count = min(count, len(means))
    index = cKDTree(means.numpy()).query(points.numpy(), k=range(1, count + 1))[1]
    middle = slice(count // 4, count - count // 4)
    chosen = torch.from_numpy(index).split(2000)
    return torch.cat([colors[some].sort(1).values[:, middle].mean(1) for some in chosen])


def _blend(
    means: Float[Tensor, "k 3"], colors: Float[Tensor, "k 3"], points: Float[Tensor, "m 3"], count: int
) -> tuple[Float[Tensor, "m 3"], Float[Tensor, "m 1"]]:
    """Mean colour of the `count` nearest Gaussians, nearer ones weighted more, and the distance of the nearest."""
    from scipy.spatial import cKDTree

    count = min(count, len(means))
    distance, index = cKDTree(means.numpy()).query(points.numpy(), k=range(1, count + 1))
    apart = torch.from_numpy(distance).float()
    weights = 1 / (apart + apart.mean(1, keepdim=True) / 4 + 1e-4)
    weights = weights / weights.sum(1, keepdim=True)
    return (weights[..., None] * colors[torch.from_numpy(index)]).sum(1), apart[:, :1]
