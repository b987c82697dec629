"""The track that perfect tracking would give, to measure the cost of tracking errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from avatar.datasets.capture import CaptureClip
from avatar.evaluation.alignment import EstimatedPerson, align, calibrate_offsets
from avatar.evaluation.ground_truth import retarget_ground_truth
from avatar.types import BodyTrack


def oracle_track(person: EstimatedPerson, clip: CaptureClip, frames: Sequence[int]) -> BodyTrack:
    """The estimated body with the clip's true skeleton retargeted to it, before the true cameras.

    The body keeps its estimated shape and size: one scale maps the true world to it. The offsets of the true joints
    in the body's bones are calibrated on the same clip.

    Args:
        frames: frames of the clip that the track covers, one instant each.
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
