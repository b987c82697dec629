"""How high folded lids lie: as high as leaves open eyes as the images show them.

The skin above an eye says only to some millimetres where its fold is, and a lid that hangs too low makes an eye droop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from avatar.model.avatar import Avatar
from avatar.rendering.renderer import render
from avatar.training.close_ups import CloseUp, avatar_of, close_ups_of, detailed_parts
from avatar.training.visibility import PosedView, facing_cosine
from avatar.types import Gaussians

HEIGHTS = tuple(0.001 * step for step in range(6))  # metres above the skin's own
FACING = 0.3  # mean cosine to the camera from which an image shows a lid


@torch.no_grad()
def raise_lids(avatar: Avatar, lids: Sequence[Int[Tensor, " k"]], views: Iterable[PosedView], backend: str) -> None:
    """Raise each lid at rest to the height at which the images differ least from the avatar.

    Args:
        lids: rows of each lid's Gaussians, as `add_eyelids` gives them.
        views: some trained frames at full resolution, with their poses; most eyes in them are open.
    """
    if not lids:
        return
    own = detailed_parts(avatar)[0].clone()
    own[torch.cat(list(lids))] = True
    head, rows = avatar_of(avatar, own), own.cumsum(0) - 1
    (close_ups,) = close_ups_of(avatar, [own], views, backend)
    offset, frames = head.gaussians.offset, avatar.frames.rotation
    for lid in lids:
        part = rows[lid]
        shown = [one for one in close_ups if _faces(head, part, one)]
        start, up = offset[part].clone(), frames[head.gaussians.face[part]][:, 1]  # the y axis in each triangle's frame
        misfits = []
        for height in HEIGHTS if shown else ():
            offset[part] = start + height * up
            misfits.append(sum(_misfit(head, one, backend) for one in shown))
        offset[part] = start + (HEIGHTS[misfits.index(min(misfits))] if misfits else 0.0) * up
        avatar.gaussians.offset[lid] = offset[part]
    avatar.refresh()


def _faces(head: Avatar, lid: Int[Tensor, " k"], close_up: CloseUp) -> bool:
    posed = head.own_pose(close_up.pose, lit=False)
    return float(facing_cosine(head, close_up.pose, posed, close_up.view)[lid].mean()) > FACING


def _misfit(head: Avatar, close_up: CloseUp, backend: str) -> float:
    """Mean absolute colour error on white."""
    view = close_up.view
    out = render(Gaussians.cat([head.own_pose(close_up.pose), close_up.around]), view.camera, backend)
    truth = torch.lerp(torch.ones_like(view.image), view.image, view.mask[..., None])
    return float((out.on_white()[0] - truth).abs().mean())
