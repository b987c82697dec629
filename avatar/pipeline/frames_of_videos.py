"""The frames of several standing cameras as one set of observations, and the track that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from avatar.geometry import rigid
from avatar.motion.retarget import at_times
from avatar.observation.keyframes import evenly_in_time
from avatar.tracking.other_cameras import nearest_frames
from avatar.tracking.standing_cameras import StandingCamera
from avatar.types import BodyTrack, Cameras, ImageList, Observations


@dataclass(frozen=True)
class FilmedBy:
    """What one camera filmed: its frames, where it stands, and the name of its video."""

    observations: Observations
    camera: StandingCamera
    name: str


@dataclass(frozen=True)
class FramesOfVideos:
    """The frames of all cameras, camera by camera.

    Attributes:
        observations: all frames; track: with the pose of each.
        counts: how many frames of each camera follow one another.
    """

    observations: Observations
    track: BodyTrack
    counts: list[int]


def all_frames(filmed: Sequence[FilmedBy], fitted: BodyTrack, scale: float, most: int) -> FramesOfVideos:
    """The frames of all cameras that are used, and the track with the pose of each.

    Frames of several cameras that lie within half a frame of one another show one pose, that of their mean time: each
    is then at most a quarter of a frame off, and every pose is corrected by all cameras.

    Args:
        filmed: the first camera is that of the track; fitted: at its frames, in the world.
        scale: metres per unit of the distances between the cameras; most: frames that are used, of all cameras.
    """
    times = fitted.times.double()
    chosen = times[torch.from_numpy(evenly_in_time(times.numpy(), max(2, most // len(filmed))))]
    owns = [one.observations.times.double() + one.camera.offset for one in filmed]
    nearest = [nearest_once(own, chosen) for own in owns]
    rows = [(k, int(frame)) for k, frames in enumerate(nearest) for frame in frames if frame >= 0]
    instant = torch.cat([(frames >= 0).nonzero()[:, 0] for frames in nearest])
    taken = torch.stack([owns[k][frame] for k, frame in rows])
    at = torch.zeros_like(chosen).index_add_(0, instant, taken) / instant.bincount(minlength=len(chosen))
    poses, confidence = at_times(fitted, at)
    cameras = _cameras(filmed, [number for number, _ in rows], fitted, scale)
    together = replace(fitted, poses=poses, times=at.float(), confidence=confidence, instant=instant, cameras=cameras)
    joined = _joined(filmed, rows, instant, taken.float())
    return FramesOfVideos(replace(joined, cameras=cameras), together, [int((own >= 0).sum()) for own in nearest])


def nearest_once(own: Float[Tensor, " m"], times: Float[Tensor, " n"]) -> Int[Tensor, " n"]:
    """As `nearest_frames`, but each frame only at the time that is nearest to it."""
    nearest = nearest_frames(own, times)
    at_frame = (own[:, None] - times).abs().argmin(1)
    return torch.where((nearest >= 0) & (at_frame[nearest] == torch.arange(len(times))), nearest, -1)


def _cameras(filmed: Sequence[FilmedBy], numbers: Sequence[int], fitted: BodyTrack, scale: float) -> Cameras:
    """The camera of each frame: images of different sizes lie in the upper left corner of one size."""
    assert fitted.cameras is not None
    T_first = fitted.cameras.T_camera_world[0].double()
    Ks, Ts = [], []
    for one in filmed:
        camera, own = one.camera, one.observations
        Ks.append(torch.tensor([[camera.focal, 0, own.width / 2], [0, camera.focal, own.height / 2], [0, 0, 1]]))
        Ts.append(rigid(torch.from_numpy(camera.R), scale * torch.from_numpy(camera.t)) @ T_first)
    width, height = _canvas(filmed)
    return Cameras(torch.stack(Ks)[numbers].float(), torch.stack(Ts)[numbers].float(), width, height)


def _canvas(filmed: Sequence[FilmedBy]) -> tuple[int, int]:
    return max(one.observations.width for one in filmed), max(one.observations.height for one in filmed)


def _joined(
    filmed: Sequence[FilmedBy],
    rows: Sequence[tuple[int, int]],
    instant: Int[Tensor, " frames"],
    times: Float[Tensor, " frames"],
) -> Observations:
    """Some frames of the cameras, as (camera, frame), in images of one size, with their poses and times."""
    width, height = _canvas(filmed)

    def values(name: str) -> Any:
        parts = [getattr(filmed[number].observations, name) for number, _ in rows]
        if any(part is None for part in parts):
            return None
        return torch.stack([part[frame] for part, (_, frame) in zip(parts, rows, strict=True)])

    def images(name: str) -> ImageList:
        def read(index: int) -> UInt8[np.ndarray, "h w *c"]:
            number, frame = rows[index]
            stored = getattr(filmed[number].observations, name)
            if stored is None:  # all of it is trusted
                return np.full((height, width), 255, np.uint8)
            image = np.asarray(stored[frame])
            around = [(0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0)][: image.ndim]
            return np.pad(image, around)

        return ImageList(len(rows), read)

    arrays = ("keypoints", "keypoints_3d", "frame_weight", "hands", "hands_3d", "face", "face_units")
    return replace(
        filmed[0].observations,
        images=images("images"),
        masks=images("masks"),
        trust=images("trust") if any(one.observations.trust is not None for one in filmed) else None,
        instant=instant,
        times=times,
        width=width,
        height=height,
        notes=tuple(f"{one.name}: {note}" for one in filmed for note in one.observations.notes),
        **{name: values(name) for name in arrays},
    )
