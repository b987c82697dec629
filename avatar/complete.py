"""Colours for what no picture showed: from the other side of the body, then from the surroundings."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.model import Avatar

# Below this `observed` score a Gaussian's colour is a guess and is replaced.
SEEN = 0.5


@torch.no_grad()
def complete_unseen(avatar: Avatar) -> None:
    """Give Gaussians that were hardly observed the colour of their mirror place, or else of their nearest seen ones.

    The body at rest is symmetric about x = 0, so the mirror place of a point is (-x, y, z).
    """
    from scipy.spatial import cKDTree

    gaussians = avatar.gaussians
    seen = avatar.observed >= SEEN
    if seen.all() or not seen.any():
        return
    means = avatar.rest_means().cpu()
    known, unknown = means[seen.cpu()], means[~seen.cpu()]
    tree = cKDTree(known.numpy())
    mirrored = unknown * torch.tensor([-1.0, 1.0, 1.0])
    mirror_distance, mirror = tree.query(mirrored.numpy(), k=4)
    own_distance, own = tree.query(unknown.numpy(), k=4)
    colors = gaussians.colors[seen].cpu()
    trust = torch.exp(-torch.from_numpy(mirror_distance[:, :1]).float() / 0.02)
    near = torch.exp(-torch.from_numpy(own_distance[:, :1]).float() / 0.02)
    # A seen neighbour close by beats the mirror; far from both, the two are mixed by their distances.
    total = near + 0.5 * trust + 1e-9
    mixed = (near * _mean(colors, own, own_distance) + 0.5 * trust * _mean(colors, mirror, mirror_distance)) / total
    gaussians.raw_colors[~seen] = torch.logit(mixed.clamp(0.01, 0.99)).to(avatar.device)


def _mean(colors: Float[Tensor, "known 3"], indices, distances) -> Float[Tensor, "n 3"]:
    """Mean of the colours at `indices` (n, k), nearer ones counting more."""
    weights = 1 / (torch.from_numpy(distances).float() + 1e-4)
    weights = weights / weights.sum(1, keepdim=True)
    return (weights[..., None] * colors[torch.from_numpy(indices)]).sum(1)
