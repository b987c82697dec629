"""The camera's motion of a run: as the user says, or as the background shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

from avatar.errors import UsageError
from avatar.io.camera_motion_file import CameraMotion, CameraRegime, load_camera_motion
from avatar.io.exposure import exposed
from avatar.io.lens import read_lens
from avatar.observation.camera_motion import estimate_camera_motion, standing_still
from avatar.observation.exposure import measure_exposure
from avatar.tracking.fit import assumed_focal, resolve_focal
from avatar.tracking.options import TrackOptions
from avatar.types import ImageList, Observations


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


def at_usual_exposure(observations: Observations, motion: CameraMotion | None) -> Observations:
    """The observations with the automatic exposure taken out of the images."""
    if motion is None or motion.exposure is None:
        return observations
    images, gains = observations.images, (1 / motion.exposure.double()).numpy()
    return replace(observations, images=ImageList(len(images), lambda index: exposed(images[index], gains[index])))


def _motion(observations: Observations, options: TrackOptions) -> CameraMotion:
    if options.camera not in ("auto", *get_args(CameraRegime)):
        return _from_file(Path(options.camera), observations)
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


def _from_file(path: Path, observations: Observations) -> CameraMotion:
    motion = load_camera_motion(path)
    if len(motion.cameras) != len(observations):
        raise UsageError(
            f"{path} has {len(motion.cameras)} cameras, but {len(observations)} frames are used: --camera needs one "
            "per frame."
        )
    return replace(motion, cameras=motion.cameras.resized(observations.width, observations.height))
