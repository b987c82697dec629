"""Images of a run for external evaluation code: any poses, any cameras, with alpha."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from avatar.datasets.capture import read_capture_cameras, read_capture_skeleton
from avatar.errors import AvatarError, UsageError
from avatar.evaluation.alignment import Placement, place_by_cameras
from avatar.evaluation.ground_truth import retarget_ground_truth
from avatar.io.camera_file import load_cameras
from avatar.io.files import read_json, read_npz
from avatar.io.images import to_uint8, write_image
from avatar.io.track_file import load_track
from avatar.pipeline.finished_run import FinishedRun
from avatar.rendering.renderer import render
from avatar.runtime.progress import progress
from avatar.types import BodyPose, Cameras, RenderOutput


@dataclass(frozen=True)
class Shots:
    """Cameras and poses that were read from files, in the run's world; `names` of the cameras."""

    cameras: Cameras
    names: tuple[str, ...]
    poses: BodyPose


def read_shots(opened: FinishedRun, cameras: Path, poses: Path, training_camera: Path | None, scale: float) -> Shots:
    """Read the cameras and poses to render.

    Args:
        cameras: a camera file of ours (`avatar.rendering.camera_paths`), a track (its cameras), or a capture's
            cameras.json or gt.npz.
        poses: a track, or a capture's gt.npz, whose true joints are retargeted to the body by inverse kinematics.
        training_camera: the capture's camera file of the clip that the run was trained on: capture files are then
            placed in the run's world through it, so that the learned light falls from the right side.
        scale: true metres per metre of the run, as `avatar evaluate` prints it.

    Raises:
        UsageError: a file is missing, or no training camera was given where a scale was.
        AvatarError: a file is of none of these kinds.
    """
    placement = _placement(opened, training_camera, scale)
    own, names, foreign = _cameras(cameras)
    if foreign and placement is not None:
        placed = [placement.camera(own[i]) for i in range(len(own))]
        own = Cameras(own.K, torch.cat([one.T_camera_world for one in placed]), own.width, own.height)
    return Shots(own, names, _poses(opened, poses, placement))


def _placement(opened: FinishedRun, path: Path | None, scale: float) -> Placement | None:
    if path is None:
        if scale != 1.0:
            raise UsageError(
                "--scale is about the training camera: give the capture's file of it by --training-camera."
            )
        return None
    cameras, _ = read_capture_cameras(path)
    own = opened.cameras
    if len(cameras) == 1:
        return Placement(cameras.T_camera_world[0], own.T_camera_world[0], scale)
    fps = read_json(path.parent / "cameras.json").get("fps")
    if not isinstance(fps, int | float) or not fps > 0:
        raise AvatarError(f"{path.parent / 'cameras.json'} does not give the frames per second of the clip (fps).")
    times = opened.track.times[opened.track.instant]
    pairs = [(round(float(time) * fps), index) for index, time in enumerate(times)]
    pairs = [(frame, index) for frame, index in pairs if 0 <= frame < len(cameras)]
    if not pairs:
        raise UsageError(f"The run has no frame in common with {path}: was it made from another video?")
    frames, indices = zip(*pairs, strict=True)
    return place_by_cameras(cameras[list(frames)], own[list(indices)], scale)


def _cameras(path: Path) -> tuple[Cameras, tuple[str, ...], bool]:
    """Cameras, their names, and whether they are a capture's."""
    if path.suffix == ".json" and "T_camera_world" in _keys(read_json(path)):
        cameras = load_cameras(path)
    elif path.suffix == ".npz" and "format" in read_npz(path):
        track_cameras = load_track(path).cameras
        if track_cameras is None:
            raise AvatarError(f"The track {path} has no cameras: give one that was estimated from a video.")
        cameras = track_cameras
    else:
        return (*read_capture_cameras(path), True)
    return cameras, tuple(f"{index:04d}" for index in range(len(cameras))), False


def _keys(content: Any) -> set[str]:
    return set(content) if isinstance(content, dict) else set()


def _poses(opened: FinishedRun, path: Path, placement: Placement | None) -> BodyPose:
    if path.suffix != ".npz":
        raise UsageError(f"Poses are read from a track or a capture's gt.npz, both .npz, not from {path.name}.")
    if "format" in read_npz(path):
        return load_track(path).poses
    truth = read_capture_skeleton(path)
    return retarget_ground_truth(opened.body, opened.rest, truth if placement is None else placement.skeleton(truth))


def camera_pose_pairs(shots: Shots, paired: bool) -> Iterator[tuple[str, int, int]]:
    """Name, camera and pose of each image: every pose from every camera, or camera i with pose i.

    Raises:
        UsageError: they are to be paired but differ in number.
    """
    if paired:
        if len(shots.cameras) != len(shots.poses):
            raise UsageError(f"--pair needs as many cameras ({len(shots.cameras)}) as poses ({len(shots.poses)}).")
        yield from ((f"{index:04d}", index, index) for index in range(len(shots.poses)))
        return
    for pose in range(len(shots.poses)):
        for camera, name in enumerate(shots.names):
            yield (f"{pose:04d}" if len(shots.names) == 1 else f"{pose:04d}_{name}"), camera, pose


@torch.no_grad()
def write_shots(opened: FinishedRun, shots: Shots, paired: bool, out: Path, backend: str) -> int:
    """Write each image as RGBA png with straight colour; returns how many."""
    images = list(camera_pose_pairs(shots, paired))
    device = opened.avatar.device
    for name, camera, pose in progress(images, "rendering"):
        gaussians = opened.avatar.pose(shots.poses[pose].to(device))
        output = render(gaussians, shots.cameras[camera].to(device), backend)
        write_image(out / f"{name}.png", straight_rgba(output))
    return len(images)


def straight_rgba(output: RenderOutput) -> UInt8[np.ndarray, "h w 4"]:
    """The first image with straight (not premultiplied) colour and its coverage."""
    alpha = output.alpha[0, ..., None].clamp(0, 1)
    rgba = torch.cat([output.rgb[0] / alpha.clamp_min(1e-6), alpha], dim=-1)
    return to_uint8(rgba)
