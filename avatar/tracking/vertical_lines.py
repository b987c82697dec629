"""Where down is, from the vertical lines of the scene: door frames, corners of walls, buildings, posts.

The images of vertical lines meet in one point, the vertical vanishing point, which with the focal length gives the
camera's pitch and roll. Every line segment votes over a grid of both, as one of the vertical lines or as an outlier
(the mixture of Coughlan and Yuille, "Manhattan World", 1999); the mean and the spread of the posterior are returned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, UInt8

from avatar.runtime.thread_map import map_in_threads
from avatar.types import Observations

FRAMES = 8  # looked at; the scene is the same in all of them, so they count as one
WORK_SIDE = 960  # longer side of the images that are searched, pixels
SHORTEST = 0.05  # length of a segment, relative to the longer side of the image
WHOLE_VOTE = 0.15  # length from which a segment has a full vote: detectors break long lines into pieces
STEEPEST_DEGREES = 50.0  # angle between a segment and the image's vertical
# Standard deviation of a segment's direction, degrees, for lenses and buildings that are not quite straight; and of
# its ends, relative to the focal length.
ACCURACY_DEGREES, END_ACCURACY = 0.3, 0.001
VERTICAL_SHARE = 0.5  # of such segments that are vertical in the scene
PITCHES = np.arange(-40.0, 40.1, 0.5)  # degrees
ROLLS = np.arange(-40.0, 40.1, 0.5)
USUAL_PITCH, PITCH_SPREAD, ROLL_SPREAD = 4.0, 12.0, 4.0  # of phones, degrees
# Cameras in racks and hands may be turned further.
TURNED_SHARE, TURNED_SPREAD = 0.05, 15.0
LEAST_VOTES = 2.0
MOST_SPREAD = 7.0  # of the pitch, degrees; above it the lines tell no more than the person does
# Lines are taken for exactly vertical, and the optical axis for the middle of the image.
LEAST_SPREAD = 0.7


@dataclass(frozen=True)
class CameraTilt:
    """The camera's pitch (positive: looking down) and roll with their standard deviations, radians."""

    pitch: float
    pitch_spread: float
    roll: float
    roll_spread: float

    def sharpened(self, factor: float) -> CameraTilt:
        """The same tilt with that many times the weight."""
        return replace(self, pitch_spread=self.pitch_spread / factor**0.5, roll_spread=self.roll_spread / factor**0.5)


def tilt_from_lines(observations: Observations, focal: float, focal_spread: float) -> CameraTilt | None:
    """The camera's tilt from the lines behind the person; None where too few agree.

    Args:
        focal: focal length in pixels, and its standard deviation relative to it.
    """
    chosen = np.unique(np.linspace(0, len(observations) - 1, FRAMES).round().astype(int))

    def segments(index: int) -> Float[np.ndarray, "k 4"]:
        return steep_segments(observations.images[index], observations.masks[index])

    centre = np.array([observations.width / 2, observations.height / 2] * 2)
    longest = max(observations.width, observations.height)
    frames = [
        ((lines - centre) / focal, np.minimum(_lengths(lines) / (WHOLE_VOTE * longest), 1))
        for lines in map_in_threads(segments, chosen.tolist())
    ]
    tilt = tilt_from_segments([frame for frame in frames if len(frame[0])])
    if tilt is None:
        return None
    # The vanishing point's distance from the middle of the image is the focal length over the pitch's tangent.
    from_focal = focal_spread * math.sin(2 * tilt.pitch) / 2
    return replace(tilt, pitch_spread=math.hypot(tilt.pitch_spread, from_focal))


def steep_segments(image: UInt8[np.ndarray, "h w 3"], mask: UInt8[np.ndarray, "h w"]) -> Float[np.ndarray, "k 4"]:
    """Line segments (x, y, x, y) in pixels that are steep in the image and do not touch the person.

    Segments in front of the feet are left out: there lies the floor, whose boards and edges run away from the camera.
    """
    import cv2

    height, width = image.shape[:2]
    scale = min(1.0, WORK_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    lines = cv2.createLineSegmentDetector().detect(grey)[0]
    if lines is None:
        return np.zeros((0, 4))
    lines = lines.reshape(-1, 4).astype(float)
    steep = np.abs(lines[:, 0] - lines[:, 2]) < math.tan(math.radians(STEEPEST_DEGREES)) * np.abs(
        lines[:, 1] - lines[:, 3]
    )
    lines = lines[steep & (_lengths(lines) > SHORTEST * max(size))]
    reach = max(3, round(0.02 * max(size))) | 1
    person = cv2.dilate(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.ones((reach, reach), np.uint8)) > 25
    along = np.linspace(0, 1, 9)[:, None, None]
    points = ((1 - along) * lines[:, :2] + along * lines[:, 2:]).astype(int).clip(0, np.array(size) - 1)
    rows = np.flatnonzero(person.any(1))
    feet = rows[-1] if len(rows) else size[1]
    free = ~person[points[..., 1], points[..., 0]].any(0) & (lines[:, [1, 3]].mean(1) < feet)
    result: np.ndarray = lines[free] * np.tile([width / size[0], height / size[1]], 2)
    return result


def tilt_from_segments(
    frames: list[tuple[Float[np.ndarray, "_ 4"], Float[np.ndarray, " _"]]],
) -> CameraTilt | None:
    """The tilt on which segments agree.

    Args:
        frames: of each image the segments (x, y, x, y), relative to the principal point in units of the focal length,
            and the weight of each vote.
    """
    if not frames:
        return None
    down = _down_directions()
    outlier = math.log((1 - VERTICAL_SHARE) / (2 * STEEPEST_DEGREES))
    support, votes = [], []
    for lines, weight in frames:
        error = _angles_to_vanishing_point(lines, down)
        accuracy = np.hypot(ACCURACY_DEGREES, np.degrees(END_ACCURACY / _lengths(lines)))
        vertical = np.log(VERTICAL_SHARE / (accuracy * math.sqrt(2 * math.pi))) - 0.5 * (error / accuracy) ** 2
        support.append(np.logaddexp(vertical, outlier) @ weight)
        votes.append(np.exp(vertical - np.logaddexp(vertical, outlier)) @ weight)
    means, spreads = np.array([_moments(one) for one in support]).swapaxes(0, 1)
    # The person hides lines in some frames: frames count by their lines, and those that tell little do not disagree.
    share = [weight.sum() for _, weight in frames]
    mean, spread = _moments(np.average(support, axis=0, weights=share))
    between = np.average((means - mean) ** 2, axis=0, weights=spreads**-2)
    spread = np.sqrt(spread**2 + between + LEAST_SPREAD**2)
    nearest = np.argmin(np.abs(PITCHES - mean[0])), np.argmin(np.abs(ROLLS - mean[1]))
    agreeing = np.average(votes, axis=0, weights=share).reshape(len(PITCHES), len(ROLLS))[nearest]
    if spread[0] > MOST_SPREAD or agreeing < LEAST_VOTES:
        return None
    (pitch, roll), (pitch_spread, roll_spread) = np.radians(mean), np.radians(spread)
    return CameraTilt(float(pitch), float(pitch_spread), float(roll), float(roll_spread))


def _lengths(lines: Float[np.ndarray, "k 4"]) -> Float[np.ndarray, " k"]:
    length: np.ndarray = np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1])
    return length


def _down_directions() -> Float[np.ndarray, "g 3"]:
    """The direction of down in the camera's frame for every pitch and roll of the grid, see `residuals.up_of`."""
    pitch, roll = (angle.ravel() for angle in np.meshgrid(np.radians(PITCHES), np.radians(ROLLS), indexing="ij"))
    return np.stack([-np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), np.sin(pitch)], 1)


def _angles_to_vanishing_point(
    lines: Float[np.ndarray, "k 4"], down: Float[np.ndarray, "g 3"]
) -> Float[np.ndarray, "g k"]:
    """Angle in degrees between each segment and the line from its middle to each direction's vanishing point."""
    middle = (lines[:, :2] + lines[:, 2:]) / 2
    along = lines[:, 2:] - lines[:, :2]
    toward = down[:, None, :2] - middle * down[:, None, 2:]
    cross = toward[..., 0] * along[:, 1] - toward[..., 1] * along[:, 0]
    angle: np.ndarray = np.degrees(np.arctan2(np.abs(cross), np.abs((toward * along).sum(-1))))
    return angle


def _moments(support: Float[np.ndarray, " g"]) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
    """Mean and standard deviation of pitch and roll, degrees, under the logarithm of a likelihood on the grid."""
    pitch, roll = (angle.ravel() for angle in np.meshgrid(PITCHES, ROLLS, indexing="ij"))
    level = math.log((1 - TURNED_SHARE) / ROLL_SPREAD) - 0.5 * (roll / ROLL_SPREAD) ** 2
    turned = math.log(TURNED_SHARE / TURNED_SPREAD) - 0.5 * (roll / TURNED_SPREAD) ** 2
    posterior = support - 0.5 * ((pitch - USUAL_PITCH) / PITCH_SPREAD) ** 2 + np.logaddexp(level, turned)
    weight = np.exp(posterior - posterior.max())
    weight /= weight.sum()
    values = np.stack([pitch, roll])
    mean = values @ weight
    return mean, np.sqrt((values - mean[:, None]) ** 2 @ weight)
