"""How fast a person moves, by the landmarks: the prior against accelerations gives way where these are visible.

A prior that knows no jumps would rather lay the body along the optical axis, where it hardly moves, than let it jump.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

# Seconds between the points of a second difference: shorter ones measure the detector's noise.
STEP = 0.12


def visible_accelerations(
    points: Float[Tensor, "n l 2"], confidence: Float[Tensor, "n l"], times: Float[Tensor, " n"]
) -> Float[Tensor, "n l"]:
    """Magnitude of each point's acceleration in units of `points` per square second, lowered by low confidence.

    Second differences over `STEP` seconds, or over the neighbouring instants where these lie farther apart; an instant
    takes the largest of those within a step of it. The ends, which have none of their own, take their neighbours'.
    All three points must be sure; but of neighbours farther apart one is enough, since a fast arm is sure in few frames
    of a thinned video in a row.
    """
    count = len(times)
    index = torch.arange(count)
    before = torch.minimum(torch.searchsorted(times, times - STEP, right=True) - 1, index - 1).clamp_min(0)
    after = torch.maximum(torch.searchsorted(times, times + STEP), index + 1).clamp_max(count - 1)
    left, right = (times - times[before]).clamp_min(1e-6), (times[after] - times).clamp_min(1e-6)
    slope = (points[after] - points) / right[:, None, None] - (points - points[before]) / left[:, None, None]
    size = slope.norm(dim=-1) / ((left + right) / 2)[:, None]
    beside = torch.stack([confidence[before], confidence[after]])
    far = ((before == index - 1) & (left >= STEP)) | ((after == index + 1) & (right >= STEP))
    trust = torch.minimum(confidence, torch.where(far[:, None], beside.amax(0), beside.amin(0)))
    inner = ((times - times[0] >= STEP) | (index > 0)) & ((times[-1] - times >= STEP) | (index < count - 1))
    size = torch.where(inner[:, None], size * trust, 0.0)
    near = (times[:, None] - times[None]).abs() <= torch.maximum(left, right)[:, None] + 1e-6
    return torch.where(near[..., None], size[None], 0.0).amax(1)


def nearest_landmarks(joints: Float[Tensor, "j 3"], landmarks: Float[Tensor, "l 3"]) -> Tensor:
    """The landmark nearest to each joint in the rest pose."""
    return torch.cdist(joints, landmarks).argmin(1)
