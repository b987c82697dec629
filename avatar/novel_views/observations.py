"""The photo, its close-ups and the generated views as one set of observations: frames of one instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from avatar.types import BodyTrack, Cameras, ImageList, Observations, PosedImage


def photo_observations(photo: Observations, images: Sequence[PosedImage]) -> Observations:
    """Observations of all images, of which the photo is the first; only the photo has landmarks."""
    count = len(images)
    keypoints = torch.zeros(count, *photo.keypoints.shape[1:])
    keypoints_3d = torch.full_like(keypoints, torch.nan)
    keypoints[:1], keypoints_3d[:1] = photo.keypoints[:1], photo.keypoints_3d[:1]
    full_trust = np.full((photo.height, photo.width), 255, np.uint8)
    trust = None
    if any(image.trust is not None for image in images):
        trust = ImageList.of(tuple(full_trust if image.trust is None else image.trust for image in images))
    return replace(
        photo,
        images=ImageList.of(tuple(image.image for image in images)),
        masks=ImageList.of(tuple(image.mask for image in images)),
        trust=trust,
        keypoints=keypoints,
        keypoints_3d=keypoints_3d,
        instant=torch.zeros(count, dtype=torch.int64),
        times=torch.zeros(count),
        cameras=Cameras.cat([image.camera for image in images]),
        frame_weight=torch.tensor([image.weight for image in images]),
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
