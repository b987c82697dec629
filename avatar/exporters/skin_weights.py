"""Skinning weights for other programs: a few joints per point, in bytes."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def strongest_joints(
    weights: Float[Tensor, "n joints"], count: int
) -> tuple[Int[Tensor, "n {count}"], Int[Tensor, "n {count}"]]:
    """The joints with the largest weights of each point, and these weights as integers that add up to 255.

    Where a weight is 0 the joint is 0 too, as glTF's validator asks for.
    """
    values, joints = weights.topk(count, dim=1)
    share = values / values.sum(1, keepdim=True) * 255
    steps = share.floor()
    # The remainder of rounding down goes to the joints with the largest remainders.
    remainder = (255 - steps.sum(1, keepdim=True)).round()
    rank = (share - steps).argsort(dim=1, descending=True).argsort(dim=1)
    whole = (steps + (rank < remainder)).long()
    return torch.where(whole > 0, joints, 0), whole
