"""How long training takes."""

from __future__ import annotations

from collections.abc import Callable

from avatar.training.config import TrainConfig

TIMED_IMAGES = 3
# A step takes this power of the number of splats, and on average this much longer once the deformation is trained.
SPLAT_COST, DEFORM_COST = 0.6, 1.3
CLOSE_UP_COST = 0.15  # of a step on a close-up, relative to one on a whole image


def estimated_seconds(
    config: TrainConfig, share: float, splats: int, timed: Callable[[int], float], registered: int, close_ups: bool
) -> float:
    """How long the rest of a run will take, rough.

    Args:
        share: of the steps that are over; splats: how many there are now.
        timed: seconds of one step at full (0) or half (1) resolution.
        registered: frames that each registration renders; close_ups: whether they are made in the end.
    """
    full, half = (min(timed(level) for _ in range(TIMED_IMAGES)) for level in (0, 1))
    growth: float = (config.max_gaussians / max(splats, 1)) ** SPLAT_COST
    coarse = max(config.coarse - share, 0.0)
    steps = coarse * half + (1 - share - coarse) * full * growth * DEFORM_COST
    if close_ups:
        steps += 2 * config.close_ups * CLOSE_UP_COST * full
    return config.steps * steps + config.registrations * (1 - share) * registered * full
