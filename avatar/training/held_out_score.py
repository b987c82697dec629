"""How well held-out frames are shown, while training goes on."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from avatar.metrics.images import psnr
from avatar.model.avatar import Avatar
from avatar.rendering.renderer import render
from avatar.training.visibility import PosedView


@torch.no_grad()
def mean_psnr(avatar: Avatar, views: Sequence[PosedView], backend: str) -> float:
    """Mean PSNR on white, in the person's box, without what hides the person; NaN without views."""
    values = []
    for view, pose in views:
        rgb = render(avatar.pose(pose), view.camera, backend).on_white()[0].clamp(0, 1)
        mask = view.mask[..., None]
        truth = view.image * mask + 1 - mask
        if view.trust is not None:
            truth = torch.where((view.trust == 0)[..., None], rgb, truth)
        values.append(psnr(rgb, truth))
    return sum(values) / len(values) if values else float("nan")
