"""When things happen during training: events, late starters and learning rates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from avatar.training.config import TrainConfig

ROUNDING = 1e-6  # of a share of all steps


@dataclass(frozen=True)
class Event:
    """Something that happens `times` times, evenly spaced between two shares of the run."""

    times: int
    start: float = 0.0
    end: float = 1.0

    def is_due(self, step: int, steps: int) -> bool:
        """Whether the event falls on `step` (counted from 1) of `steps`."""
        return self._count(step, steps) != self._count(step - 1, steps)

    def _count(self, step: int, steps: int) -> int:
        """How often it has happened after `step`: the last time in the step in which its time ends."""
        share = (step / steps - self.start) / (self.end - self.start)
        return min(max(math.floor(share * self.times + ROUNDING), 0), self.times)


DENSIFY = Event(6, start=0.15, end=0.7)
BIND_FACE = Event(1, end=0.75)  # after the last densification, which binds by place; the light adapts after it
RESAMPLE = Event(1, end=0.85)  # early enough for the images to prune what contradicts them
REGISTER_UNTIL = 0.75  # share of the run; the last details are trained on poses that only Adam still moves
MEASURE = Event(8)
SAVE = Event(5)


def set_learning_rates(optimizer: torch.optim.Optimizer, config: TrainConfig, share: float) -> None:
    """Set the rate of every parameter group: late starters wait, all decay exponentially to a tenth.

    Args:
        share: fraction of the run that is over, in [0, 1].
    """
    starts = {
        "delta_rotvec": config.refine_start,
        "delta_translation": config.refine_start,
        "delta_hands": config.refine_start,
        "deform": config.deform_start,
    }
    for group in optimizer.param_groups:
        started = share >= starts.get(group["name"], 0.0)
        group["lr"] = group["initial"] * 0.1**share if started else 0.0
