"""What limits an avatar, in one sentence: the detail that held-out frames lack, shared out among its causes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from avatar.evaluation.targets import HELD_OUT_GROUP, TRAINING_GROUP
from avatar.metrics.detail import SIGMAS

SIGMA = SIGMAS[0]
# A difference of Gaussians of s and 2 s passes most at sqrt(2 ln(4) / 3) / s radians per pixel.
FREQUENCY = math.sqrt(2 * math.log(4) / 3) / SIGMA
ENOUGH = 0.9  # of contrast and correlation: nothing is visibly missing
NOISE = "noise of the video"
ADVICE = {
    "registration": "the frames disagree about where the surface is, by {shift:.2f} px on trained frames",
    "splats and steps": "too few splats or steps, or too small images, for detail this fine",
    "poses between trained frames": "what trained frames show well is misplaced in held-out ones",
    NOISE: "no avatar can predict it",
}


@dataclass(frozen=True)
class Limits:
    """Shares of the finest octave's energy in held-out frames that the avatar does not explain, by cause.

    Attributes:
        lacking: 1 - correlation squared, the sum of `shares`.
        shares: by cause, the words of `ADVICE`.
        shift: between trained frames and the avatar, px per axis.
        surface: median distance of the torso's surface from the true one, mm, where a capture says it.
    """

    lacking: float
    shares: dict[str, float]
    shift: float
    surface: float | None

    def sentence(self) -> str:
        """What limits this avatar."""
        octave = f"the detail of {SIGMA:g} to {2 * SIGMA:g} px in held-out frames"
        if self.lacking < 1 - ENOUGH**2:
            return f"Nothing much limits this avatar: {1 - self.lacking:.0%} of {octave} is right."
        causes = sorted(self.shares, key=lambda cause: -self.shares[cause])
        # What can be helped comes first, unless there is little of it.
        noise_last = sorted(causes, key=NOISE.__eq__)
        first, *others = causes if self.shares[NOISE] > 0.5 * self.lacking else noise_last
        why = ADVICE[first].format(shift=self.shift)
        if first == "registration" and self.surface is not None:
            why += f" (the torso's surface lies {self.surface:.0f} mm from the true one)"
        rest = ", ".join(f"{cause} {self.shares[cause]:.0%}" for cause in others)
        return (
            f"What limits this avatar is {first}: {why}. Of {octave} it lacks {self.lacking:.0%}: "
            f"{first} {self.shares[first]:.0%}, {rest}."
        )


def limits(rows: Mapping[str, Mapping[str, float]]) -> Limits | None:
    """Share out what the avatar lacks of the finest octave of the held-out frames.

    The share of a truth's energy that an image of correlation r explains is r^2, and what is lacking has these causes:

    - *noise of the video*: the energy of the flattest tenth of the person over the mean energy;
    - *registration*: trained frames that show one place of the surface s pixels apart (rms per axis, measured as
      local shifts between avatar and frame) average to a texture that correlates with each by
      exp(-s^2 w^2 / 2) at the frequency w, and so explains exp(-s^2 w^2) of what is not noise;
    - *poses between trained frames*: what trained frames explain and held-out ones do not;
    - *splats and steps*: the rest. A texture may also be misregistered within one window of the local shifts, which
      counts here, so that this share is an upper bound and registration a lower one.

    The largest share is named, noise only where it is more than half of what is lacking, since nobody can help it.
    Where noise and registration together exceed what is lacking in trained frames, both are scaled down to it.

    Args:
        rows: mean scores by group.

    Returns:
        None where there are no scores of held-out and of trained frames to tell.
    """
    held_out, trained = rows.get(HELD_OUT_GROUP, {}), rows.get(TRAINING_GROUP, {})
    correlation = f"detail_correlation_{SIGMA:g}"
    if correlation not in held_out or correlation not in trained or "local_shift_px" not in trained:
        return None
    lacking, lacking_trained = (1 - max(0.0, row[correlation]) ** 2 for row in (held_out, trained))
    lacking_trained = min(lacking, lacking_trained)
    noise = trained.get("noise_share", 0.0)
    shift = trained["local_shift_px"]
    registration = (1 - noise) * (1 - math.exp(-((shift * FREQUENCY) ** 2)))
    within = min(1.0, lacking_trained / max(noise + registration, 1e-9))
    noise, registration = noise * within, registration * within
    shares = {
        "registration": registration,
        "splats and steps": max(0.0, lacking_trained - noise - registration),
        "poses between trained frames": lacking - lacking_trained,
        NOISE: noise,
    }
    surface = next((row["surface_torso_mm"] for row in rows.values() if "surface_torso_mm" in row), None)
    return Limits(lacking, shares, shift, surface)
