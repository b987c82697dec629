"""The camera's motion of a run: as the user says, or as the background shows."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

from jaxtyping import Float
from torch import Tensor

from avatar.geometry import geodesic_angle, invert_rigid, mean_rotation, rigid
from avatar.io.camera_motion_file import CameraMotion, CameraRegime, load_camera_motion, metric_motion
from avatar.io.depth_images import DepthFiles
from avatar.io.exposure import exposed
from avatar.io.intrinsics_file import load_intrinsics
from avatar.io.lens import read_lens
from avatar.io.lens_distortion import Distortion
from avatar.observation.camera_motion import estimate_camera_motion, standing_still
from avatar.observation.distortion import VISIBLE, displacement, undistorted
from avatar.observation.exposure import measure_exposure
from avatar.observation.options import ObserveOptions
from avatar.pipeline.frame_files import rows_of_frames
from avatar.tracking.options import TrackOptions
from avatar.tracking.prior_knowledge import assumed_focal, resolve_focal
from avatar.types import Cameras, ImageList, Observations

REGIMES = get_args(CameraRegime)
STANDS_M, STANDS_RADIANS = 0.01, math.radians(0.3)  # by which the recorded path of a standing phone wavers at most


def camera_motion(observations: Observations, options: TrackOptions) -> CameraMotion:
    """How the camera of a video moved.

    Raises:
        UsageError: the file is missing or has another number of frames, or a moving camera was asked for without
            pycolmap.
        AvatarError: the file is broken.
    """
    motion = _motion(observations, options)
    if motion.exposure is None:
        motion = replace(motion, exposure=measure_exposure(observations, motion.cameras))
    return motion


def photo_motion(path: Path, photo: Observations) -> CameraMotion | None:
    """The camera of a photo by its own words; None where they do not tell the focal length."""
    lens = read_lens(path)
    if lens is None:
        return None
    size = photo.width, photo.height
    pixels, spread = lens.focal(*size)
    return replace(standing_still(photo, pixels, False), focal_spread=spread, focal_source=lens.sentence(*size))


def through_pinhole(observations: Observations, motion: CameraMotion | None) -> Observations:
    """The observations with the distortion of the lens taken out of images, masks, landmarks and depth."""
    if motion is None or motion.distortion is None:
        return observations
    return undistorted(observations, motion.cameras.K[0], motion.distortion)


def at_usual_exposure(observations: Observations, motion: CameraMotion | None) -> Observations:
    """The observations with distortion and automatic exposure taken out of the images."""
    observations = through_pinhole(observations, motion)
    if motion is None or motion.exposure is None:
        return observations
    images, gains = observations.images, (1 / motion.exposure.double()).numpy()
    return replace(observations, images=ImageList(len(images), lambda index: exposed(images[index], gains[index])))


def recorded_motion(cameras: Cameras) -> CameraMotion:
    """The motion that a recording with depth brings: metres, and gravity along the world's y axis.

    The path of a phone that stands still wavers by some millimetres: it is replaced by its middle.
    """
    T_world_camera = invert_rigid(cameras.T_camera_world.double())
    R, places = T_world_camera[:, :3, :3], T_world_camera[:, :3, 3]
    middle, mean = places.median(0).values, mean_rotation(R, R.new_ones(1, len(R)))
    sway, turn = (places - middle).norm(dim=-1).max(), geodesic_angle(R, mean.expand_as(R)).max()
    if sway < STANDS_M and turn < STANDS_RADIANS:
        T = invert_rigid(rigid(mean[0], middle)).float().repeat(len(cameras), 1, 1)
        cameras = replace(cameras, T_camera_world=T)
    return metric_motion(cameras)


def camera_file(options: TrackOptions) -> Path | None:
    """The file that tells the camera, if the user gave one."""
    return None if options.camera in ("auto", *REGIMES) else Path(options.camera)


def depth_files(observe: ObserveOptions, track: TrackOptions) -> DepthFiles | None:
    """The depth images that the user gave beside the video."""
    return None if observe.depth is None else DepthFiles(Path(observe.depth), observe.depth_scale, camera_file(track))


def _motion(observations: Observations, options: TrackOptions) -> CameraMotion:
    file = camera_file(options)
    intrinsics = None if file is None else load_intrinsics(file)
    if intrinsics is not None:
        known = observations.cameras or intrinsics.camera.resized(observations.width, observations.height)
        motion = estimate_camera_motion(observations, float(known.K[0, 0, 0]), True, None)
        distortion = _visible(known.K[0], intrinsics.distortion)
        return motion if distortion is None else replace(motion, distortion=distortion)
    # A recording brings its cameras, and so does the file beside a depth camera's video.
    if observations.depth is not None and observations.cameras is not None and options.camera not in REGIMES:
        return recorded_motion(observations.cameras)
    if file is not None:
        return _from_file(file, observations)
    focal = resolve_focal(observations, options)
    regime = cast(CameraRegime | None, None if options.camera == "auto" else options.camera)
    if focal is not None:
        return estimate_camera_motion(observations, focal, True, regime)
    lens = read_lens(Path(observations.source))
    if lens is None:
        return estimate_camera_motion(observations, assumed_focal(observations), False, regime)
    size = observations.width, observations.height
    pixels, spread = lens.focal(*size)
    motion = estimate_camera_motion(observations, pixels, False, regime)
    return replace(motion, focal_spread=spread, focal_source=lens.sentence(*size))


def _visible(K: Float[Tensor, "3 3"], distortion: Distortion | None) -> Distortion | None:
    return None if distortion is None or displacement(K, distortion) < VISIBLE else distortion


def _from_file(path: Path, observations: Observations) -> CameraMotion:
    motion = load_camera_motion(path)
    motion = replace(motion, distortion=_visible(motion.cameras.K[0], motion.distortion))
    count = len(motion.cameras)
    cameras = motion.cameras[rows_of_frames(count, observations, f"{path} has {count} cameras", "--camera")]
    if not motion.focal_given:
        K = standing_still(observations, assumed_focal(observations), False).cameras.K
        return replace(motion, cameras=Cameras(K, cameras.T_camera_world, observations.width, observations.height))
    return replace(motion, cameras=cameras.resized(observations.width, observations.height))
