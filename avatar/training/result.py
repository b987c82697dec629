"""What a training run gives, and who watches it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from avatar.model.avatar import Avatar
from avatar.types import BodyTrack


@dataclass(frozen=True)
class TrainResult:
    """A trained avatar.

    Attributes:
        track: the track with its poses corrected.
        held_out: indices of the frames held out of training.
        history: (step, mean PSNR in dB) of the held-out frames.
        losses: (step, loss of one frame), now and then.
    """

    avatar: Avatar
    track: BodyTrack
    held_out: list[int]
    history: list[tuple[int, float]]
    losses: list[tuple[int, float]] = field(default_factory=list)


@runtime_checkable
class Preview(Protocol):
    """Watches training; `after_step` returns False to stop early and keep the result so far."""

    def after_step(self, step: int, avatar: Avatar, loss: float, psnr: float | None) -> bool: ...
