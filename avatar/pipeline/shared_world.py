"""Several people of one video in one world: one camera, one floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.geometry import invert_rigid, transform
from avatar.io.camera_motion_file import CameraMotion, metric_motion
from avatar.types import BodyTrack, Cameras, ImageList, Observations

SAME_TIME = 1e-4  # seconds


def everybody(people: Sequence[Observations]) -> Observations:
    """The frames of all people in one, in order of time, with everybody in the masks.

    Landmarks are those of one of the people in each frame: they serve no fit.
    """
    times = torch.cat([one.times for one in people]).unique()
    times = times[torch.cat([torch.ones(1, dtype=torch.bool), times.diff() > SAME_TIME])]
    places = [{row: index for index, row in enumerate(rows_in(times, one.times))} for one in people]
    shown = [[(one, place[row]) for one, place in zip(people, places, strict=True) if row in place]
             for row in range(len(times))]  # fmt: skip

    def mask(row: int) -> UInt8[np.ndarray, "h w"]:
        together: UInt8[np.ndarray, "h w"] = np.maximum.reduce([one.masks[index] for one, index in shown[row]])
        return together

    def stacked(name: str) -> Tensor:
        return torch.stack([getattr(one, name)[index] for one, index in (entry[0] for entry in shown)])

    first = people[0]
    return replace(
        first,
        images=ImageList(len(times), lambda row: shown[row][0][0].images[shown[row][0][1]]),
        masks=ImageList(len(times), mask),
        trust=None,
        times=times,
        instant=torch.arange(len(times)),
        keypoints=stacked("keypoints"),
        keypoints_3d=stacked("keypoints_3d"),
        frame_weight=None if first.frame_weight is None else stacked("frame_weight"),
        hands=None,
        hands_3d=None,
        face=None,
        face_units=None,
        depth=None if first.depth is None else ImageList(len(times), lambda row: _depth(*shown[row][0])),
        cameras=None if first.cameras is None else _stacked_cameras([entry[0] for entry in shown]),
    )


def _depth(one: Observations, index: int) -> np.ndarray:
    assert one.depth is not None
    return one.depth[index]


def _stacked_cameras(shown: Sequence[tuple[Observations, int]]) -> Cameras:
    return Cameras.cat([one.cameras[index] for one, index in shown if one.cameras is not None])


def rows_in(times: Float[Tensor, " frames"], some: Float[Tensor, " chosen"]) -> list[int]:
    """Which of the frames those at some of their times are."""
    rows: list[int] = (times[:, None] - some).abs().argmin(0).tolist()
    return rows


def motion_of_frames(motion: CameraMotion, rows: list[int]) -> CameraMotion:
    """The motion in some of the frames."""
    exposure = None if motion.exposure is None else motion.exposure[rows]
    return replace(motion, cameras=motion.cameras[rows], exposure=exposure)


def motion_of_track(motion: CameraMotion, rows: list[int], track: BodyTrack) -> CameraMotion:
    """The motion as the fit of one person refined it: with its focal length, in metres, in the world of the track.

    Args:
        rows: which of the frames of the motion the track has.
    """
    assert track.cameras is not None
    reference = len(rows) // 2
    given, fitted = motion.cameras.T_camera_world.double(), track.cameras.T_camera_world.double()
    relative = given @ invert_rigid(given[rows[reference]])
    relative[:, :3, 3] *= _spread(fitted) / _spread(given[rows]) if motion.regime == "moving" else 1.0
    T_camera_world = (relative @ fitted[reference]).float()
    K = track.cameras.K[:1].repeat(len(T_camera_world), 1, 1)
    cameras = Cameras(K, T_camera_world, motion.cameras.width, motion.cameras.height)
    metric = metric_motion(cameras)
    return replace(motion, cameras=cameras, focal_given=True, metric=True, vertical=metric.vertical)


def _spread(T_camera_world: Float[Tensor, "n 4 4"]) -> float:
    """How far the camera's places lie apart, root mean square."""
    places = invert_rigid(T_camera_world)[:, :3, 3]
    return float((places - places.mean(0)).norm(dim=-1).square().mean().sqrt())


def camera_height(track: BodyTrack) -> float:
    """Median height of the camera above the floor, metres."""
    assert track.cameras is not None
    return float(invert_rigid(track.cameras.T_camera_world)[:, 1, 3].median())


def moved_to(cameras: Cameras, track: BodyTrack) -> BodyTrack:
    """The track in the world of other cameras of the same frames.

    The worlds of two fits differ by a turn about the vertical and a shift; what else they differ by is their error.
    """
    assert track.cameras is not None
    middle = len(cameras) // 2
    T_own_camera = invert_rigid(track.cameras.T_camera_world[middle].double())
    T_world_own = invert_rigid(cameras.T_camera_world[middle].double()) @ invert_rigid(T_own_camera)
    rotations = track.poses.rotations.clone()
    rotations[:, 0] = T_world_own[:3, :3].float() @ rotations[:, 0]
    position = transform(T_world_own, track.poses.root_position.double()).float()
    T_camera_world = (track.cameras.T_camera_world.double() @ invert_rigid(T_world_own)).float()
    return replace(
        track,
        poses=replace(track.poses, root_position=position, rotations=rotations),
        cameras=replace(track.cameras, T_camera_world=T_camera_world),
    )
