"""Closes the gaps between Gaussians that were hardly observed, through which the other side of the person shines."""

from __future__ import annotations

import torch

from avatar.model.avatar import Avatar
from avatar.training.inpainting import OBSERVED

NEIGHBOR = 4  # the one whose distance a Gaussian must reach
OVERLAP = 0.8  # standard deviation in the surface, relative to that distance
MOST_GROWTH = 2.0


@torch.no_grad()
def close_gaps(avatar: Avatar) -> None:
    """Enlarge Gaussians that were hardly observed, along the surface, until they overlap their neighbours.

    They lie at random, and no image asks them to cover. On their own they let a fifth of what is behind through.
    """
    from scipy.spatial import cKDTree

    means = avatar.rest_means().cpu().numpy()
    unobserved = avatar.observed < OBSERVED
    if not unobserved.any() or len(means) <= NEIGHBOR:
        return
    distance = cKDTree(means).query(means[unobserved.cpu().numpy()], k=[NEIGHBOR + 1])[0]
    scales = avatar.gaussians.scales[unobserved, :2]
    enough = OVERLAP * torch.from_numpy(distance).to(scales)
    grown = torch.maximum(scales, torch.minimum(enough, MOST_GROWTH * scales))
    avatar.gaussians.log_scales[unobserved, :2] = grown.log()
