"""What perfect tracking would give, to tell what tracking costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from avatar.datasets.capture import CaptureClip
from avatar.evaluation.alignment import EstimatedPerson, align, calibrate_offsets
from avatar.evaluation.ground_truth import retarget_ground_truth
from avatar.types import BodyTrack


def oracle_track(person: EstimatedPerson, clip: CaptureClip, frames: Sequence[int]) -> BodyTrack:
    """The found body driven by the clip's true skeleton before its true cameras.

    The body's shape stays the found one, and so does its size: the true world is brought to it by the one scale. Where
    the true joints lie in the body's bones is calibrated on the same clip.

    Args:
        frames: of the clip, those that the track shall have, one instant each.
    """
    chosen, placement = list(frames), align(person, clip)
    places = calibrate_offsets(person, clip, placement)
    poses = retarget_ground_truth(person.body, person.rest, placement.skeleton(clip.skeleton), places)
    return replace(
        person.track,
        poses=poses[chosen],
        times=clip.times[chosen],
        confidence=torch.ones(len(chosen), person.track.confidence.shape[1]),
        instant=torch.arange(len(chosen)),
        cameras=placement.camera(clip.cameras[chosen]),
    )
