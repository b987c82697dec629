"""The photo, its close-ups and the views as one set of observations: frames of one instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from avatar.types import BodyTrack, Cameras, ImageList, Observations, PosedImage


def gather(photo: Observations, sights: Sequence[PosedImage], notes: Sequence[str] = ()) -> Observations:
    """Observations of all sights, the photo being the first; only it has landmarks."""
    count = len(sights)
    keypoints = torch.zeros(count, *photo.keypoints.shape[1:])
    keypoints_3d = torch.full_like(keypoints, torch.nan)
    keypoints[:1], keypoints_3d[:1] = photo.keypoints[:1], photo.keypoints_3d[:1]
    whole = np.full((photo.height, photo.width), 255, np.uint8)
    unequal = any(sight.trust is not None for sight in sights)
    return replace(
        photo,
        images=ImageList.of(tuple(sight.image for sight in sights)),
        masks=ImageList.of(tuple(sight.mask for sight in sights)),
        trust=ImageList.of(tuple(whole if s.trust is None else s.trust for s in sights)) if unequal else None,
        keypoints=keypoints,
        keypoints_3d=keypoints_3d,
        instant=torch.zeros(count, dtype=torch.int64),
        times=torch.zeros(count),
        cameras=Cameras.cat([sight.camera for sight in sights]),
        frame_weight=torch.tensor([sight.weight for sight in sights]),
        notes=photo.notes + tuple(notes),
    )


def assign_frames(track: BodyTrack, observations: Observations) -> BodyTrack:
    """The first pose of a track, shown by every frame of the observations."""
    return replace(
        track,
        poses=track.poses[:1],
        times=track.times[:1],
        confidence=track.confidence[:1],
        instant=observations.instant,
        cameras=observations.cameras,
    )
