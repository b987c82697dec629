"""What is known of the person and the camera before the fit: from the user, the file or the scene, or else assumed."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.body.shape_attributes import RANGES, load_shape_attributes, parse_shape
from avatar.errors import UsageError
from avatar.io.camera_motion_file import USUAL_FOCAL_SPREAD, CameraMotion
from avatar.tracking.objective import ROLL
from avatar.tracking.options import TrackOptions
from avatar.tracking.vertical_lines import CameraTilt, tilt_from_lines
from avatar.types import Observations

ASSUMED_HEIGHT_M = 1.70
LEAST_HEIGHT_M, MOST_HEIGHT_M = 0.5, 2.6
# Focal length over the image's longer side: a phone's main camera in video mode, 26 mm equivalent with the crop
# of about a quarter that its stabiliser takes (33 mm equivalent).
ASSUMED_FOCAL = 0.92
GIVEN_PITCH = math.radians(0.5)  # standard deviation of a pitch that the user gives


def resolve_focal(
    observations: Observations, options: TrackOptions, motion: CameraMotion | None = None
) -> float | None:
    """The focal length in pixels that the user gave, that came with the observations, or that the motion showed."""
    if options.focal is None and observations.cameras is not None:
        return float(observations.cameras.K[0, 0, 0])
    if options.focal is None and motion is not None and motion.focal_given:
        return float(motion.cameras.K[0, 0, 0])
    return options.focal


def assumed_focal(observations: Observations) -> float:
    """The focal length in pixels where nothing tells it."""
    return ASSUMED_FOCAL * max(observations.width, observations.height)


def focal_prior(observations: Observations, motion: CameraMotion | None) -> tuple[float, float]:
    """A focal length in pixels that is not known, and its relative deviation: what the file says, or the usual one."""
    if motion is None or not motion.focal_source:
        return assumed_focal(observations), USUAL_FOCAL_SPREAD
    return float(motion.cameras.K[0, 0, 0]), motion.focal_spread


def resolve_tilt(
    observations: Observations, options: TrackOptions, focal: float, spread: float, of_motion: CameraTilt | None
) -> CameraTilt | None:
    """The camera's tilt that the user gave, or else that of its motion, or of the vertical lines of the scene.

    Args:
        focal: focal length in pixels; spread: its standard deviation, relative to it.
        of_motion: the tilt of the reference camera, if gravity or the camera's path tell it.
    """
    tilt = of_motion
    if tilt is None and len(observations.masks):
        tilt = tilt_from_lines(observations, focal, spread)
    if options.pitch is None:
        return tilt
    roll, roll_spread = (0.0, ROLL) if tilt is None else (tilt.roll, tilt.roll_spread)
    return CameraTilt(math.radians(options.pitch), GIVEN_PITCH, roll, roll_spread)


def resolve_shape(
    body: Body, options: TrackOptions
) -> tuple[float | None, tuple[Float[Tensor, "k s"], Float[Tensor, " k"]] | None]:
    """The height in metres that the user gave, and the constraint from the other shape attributes, see
    `FitProblem.shape_constraint`.

    Raises:
        UsageError: the height is out of range or given twice, or the body has no shape attributes for the words.
    """
    words = parse_shape(options.shape)
    language = load_shape_attributes(body.name) if words else None
    attribute = words.pop("height", None)
    if attribute is not None and options.height is not None:
        raise UsageError("Both --height and --shape give a height; use one.")
    height = options.height if attribute is None else attribute
    if height is not None and not LEAST_HEIGHT_M <= height <= MOST_HEIGHT_M:
        raise UsageError(f"--height is in metres, from {LEAST_HEIGHT_M:g} to {MOST_HEIGHT_M:g}, not {height:g}.")
    if language is None or not words:
        return height, None
    slopes, values = language.conditions(words)
    spans = values.new_tensor([RANGES[name][1] - RANGES[name][0] for name in words])
    return height, (slopes / spans[:, None], values / spans)
