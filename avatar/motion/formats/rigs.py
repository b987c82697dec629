"""Rigs of glTF and FBX: the pose in which a skin was bound, which covers some joints in a space of its own."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def complete_bind_pose(
    bound: dict[int, Tensor], still: Float[Tensor, "n 4 4"], parents: list[int]
) -> Float[Tensor, "n 4 4"]:
    """The frames of all nodes when the skin was bound.

    Nodes outside the skin hang on the nearest one in it as they do in the nodes' own pose.

    Args:
        bound: node -> its frame, for the nodes of the skin.
        still: the frames of all nodes in their own pose.
    """
    if not bound:
        return still
    frames = still.clone()
    regular = torch.linalg.det(still).abs() > 1e-18
    for node in range(len(parents)):
        at = _nearest_bound(parents, node, bound)
        if at == node:
            frames[node] = bound[node]
        elif bool(regular[at]):
            frames[node] = bound[at] @ torch.linalg.inv(still[at]) @ still[node]
    return frames


def same_unit(rest: Float[Tensor, "j 3"], moving: Float[Tensor, "j 3"], parents: list[int]) -> float:
    """The factor that brings the bind pose to the unit of the moving joints: the median ratio of their bones."""
    pairs = torch.tensor([(child, parent) for child, parent in enumerate(parents) if parent >= 0]).reshape(-1, 2)
    at_rest, at_start = ((places[pairs[:, 0]] - places[pairs[:, 1]]).norm(dim=-1) for places in (rest, moving))
    long = (at_rest > 1e-3 * at_rest.max()) & (at_start > 0) if len(pairs) else torch.zeros(0, dtype=torch.bool)
    return float((at_start[long] / at_rest[long]).median()) if bool(long.any()) else 1.0


def _nearest_bound(parents: list[int], index: int, bound: dict[int, Tensor]) -> int:
    """The nearest node at or above this one that is bound, else the first one below it, else any."""
    above = index
    while above >= 0 and above not in bound:
        above = parents[above]
    if above >= 0:
        return above
    return next((node for node in bound if index in _ancestors(parents, node)), next(iter(bound)))


def _ancestors(parents: list[int], index: int) -> list[int]:
    line = []
    while parents[index] >= 0:
        index = parents[index]
        line.append(index)
    return line


def nearest_chosen(parents: list[int], index: int, chosen: list[int]) -> int:
    """Index in `chosen` of the nearest ancestor that is in it, or -1."""
    above = parents[index]
    while above >= 0 and above not in chosen:
        above = parents[above]
    return chosen.index(above) if above >= 0 else -1
