"""Skinning weights as other programs want them: a few joints a point, in bytes."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor


def strongest_joints(
    weights: Float[Tensor, "n joints"], count: int
) -> tuple[Int[Tensor, "n {count}"], Int[Tensor, "n {count}"]]:
    """The joints that weigh most on each point, and their weights in steps of 1/255 that add up to 255."""
    values, joints = weights.topk(count, dim=1)
    share = values / values.sum(1, keepdim=True) * 255
    steps = share.floor()
    # The steps that rounding down lost go to the joints that lost most.
    lost = (255 - steps.sum(1, keepdim=True)).round()
    rank = (share - steps).argsort(dim=1, descending=True).argsort(dim=1)
    return joints, (steps + (rank < lost)).long()
