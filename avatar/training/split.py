"""Which frames are trained, and which are held out."""

from __future__ import annotations

from avatar.types import Observations

LEAST_TRUSTED = 0.5  # share of the person's mask, below which a frame tells too little


def shown_frames(observations: Observations) -> list[int]:
    """Indices of the frames that show the person: those of which most is trusted.

    In the others somebody else is in the way; they have landmarks alone.
    """
    if observations.trust is None:
        return list(range(len(observations)))
    return [index for index in range(len(observations)) if _is_shown(observations, index)]


def held_out_frames(observations: Observations, every: int) -> list[int]:
    """Indices of the held-out frames: every `every`-th that shows the person, starting in the middle of a stride; none
    for 0.

    Where several cameras show an instant, it is held out in all of them: otherwise one would train its pose.
    """
    if not every:
        return []
    shown = shown_frames(observations)
    instants = observations.instant[shown].unique()
    if len(instants) in (1, len(shown)):
        return shown[every // 2 :: every]
    held_out = set(instants[every // 2 :: every].tolist())
    return [index for index in shown if int(observations.instant[index]) in held_out]


def _is_shown(observations: Observations, index: int) -> bool:
    assert observations.trust is not None
    person = observations.masks[index] > 127
    return not person.any() or bool((observations.trust[index][person] > 0).mean() >= LEAST_TRUSTED)
