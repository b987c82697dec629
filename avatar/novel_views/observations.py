"""The photo, its close-ups and the views as one set of observations: frames of one instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import UInt8

from avatar.observation.photo import MemoryPictures
from avatar.types import BodyTrack, Cameras, Observations


@dataclass(frozen=True)
class Sight:
    """One picture of the person with its camera, as large as the photo.

    Attributes:
        image: sRGB; mask: soft mask of the person; camera: one frame's.
        weight: trust in the whole picture; trust: in each pixel, 0 to 255, or None for all wholly.
        name: for messages.
    """

    image: UInt8[np.ndarray, "h w 3"]
    mask: UInt8[np.ndarray, "h w"]
    camera: Cameras
    weight: float = 1.0
    trust: UInt8[np.ndarray, "h w"] | None = None
    name: str = "the photo"


def gather(photo: Observations, sights: Sequence[Sight], notes: Sequence[str] = ()) -> Observations:
    """Observations of all sights, the photo being the first; only it has landmarks."""
    count = len(sights)
    keypoints = torch.zeros(count, *photo.keypoints.shape[1:])
    keypoints_3d = torch.full_like(keypoints, torch.nan)
    keypoints[:1], keypoints_3d[:1] = photo.keypoints[:1], photo.keypoints_3d[:1]
    whole = np.full((photo.height, photo.width), 255, np.uint8)
    unequal = any(sight.trust is not None for sight in sights)
    return replace(
        photo,
        images=MemoryPictures(tuple(sight.image for sight in sights)),
        masks=MemoryPictures(tuple(sight.mask for sight in sights)),
        trust=MemoryPictures(tuple(whole if s.trust is None else s.trust for s in sights)) if unequal else None,
        keypoints=keypoints,
        keypoints_3d=keypoints_3d,
        instant=torch.zeros(count, dtype=torch.int64),
        times=torch.zeros(count),
        cameras=_joined([sight.camera for sight in sights]),
        frame_weight=torch.tensor([sight.weight for sight in sights]),
        notes=photo.notes + tuple(notes),
    )


def seen_by(track: BodyTrack, observations: Observations) -> BodyTrack:
    """The first pose of a track, shown by every frame of the observations."""
    return replace(
        track,
        poses=track.poses[:1],
        times=track.times[:1],
        confidence=track.confidence[:1],
        instant=observations.instant,
        cameras=observations.cameras,
    )


def _joined(cameras: Sequence[Cameras]) -> Cameras:
    K, T = (torch.cat([getattr(camera, name) for camera in cameras]) for name in ("K", "T_camera_world"))
    return Cameras(K, T, cameras[0].width, cameras[0].height)
