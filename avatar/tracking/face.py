"""The face of a tracked person: how far each unit differs from the person's usual face, by a face network."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.types import BodyTrack, Observations

LEAST_SHARE = 0.1  # of the instants with a face, below which it is not followed
SMOOTHING = (0.25, 0.5, 0.25)  # weights of the instant before, the instant and the one after


def with_face(track: BodyTrack, observations: Observations) -> BodyTrack:
    """The track with the face that the observations show.

    An avatar's own face is the person's usual one in the video, and networks see some frown or smile in the shape of
    many faces; so the median of the clip is zero, and what goes beyond it fills the rest of the range. Where the face
    is turned away it is the usual one.

    Args:
        track: one pose per frame of `observations`.
    """
    units = observations.face_units
    if units is None:
        return track
    shown = torch.isfinite(units).all(1)
    if shown.float().mean() < LEAST_SHARE:
        return track
    usual = units[shown].median(0).values
    beyond = ((units - usual) / (1 - usual).clamp_min(0.1)).clamp(0, 1)
    return replace(track, poses=replace(track.poses, face=_smoothed(torch.where(shown[:, None], beyond, 0.0))))


def _smoothed(values: Float[Tensor, "n 52"]) -> Float[Tensor, "n 52"]:
    padded = F.pad(values.T[:, None], (1, 1), mode="replicate")
    return F.conv1d(padded, values.new_tensor(SMOOTHING)[None, None])[:, 0].T
