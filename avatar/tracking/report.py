"""The report of a fit: warnings about assumed values and about body parts that were never visible."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body.shape_attributes import load_shape_attributes, reported_attributes
from avatar.tracking.kinematics import State
from avatar.types import Observations

HIDDEN_BELOW = 0.5  # landmark confidence
HIDDEN_OFTEN = 0.5  # part of the frames from which the report mentions it
LOST_BELOW = 0.3  # mean confidence of a frame that is not trusted
FROM_THE_FRONT, FROM_BEHIND = 0.5, -0.5  # see `facing_camera`
GUESSED_DEPTH = 0.07  # standard deviation of a joint's depth, metres
UNKNOWN_HEIGHT = "the person's height is unknown: assumed"
MEASURED_SPREAD = 0.02  # deviation of a height that depth images tell, metres
_PARTS = {"wrist": "hand", "elbow": "elbow", "knee": "knee", "ankle": "foot"}


@dataclass(frozen=True)
class TrackReport:
    """How well the fit went.

    Attributes:
        warnings: sentences for the user.
        focal: focal length that was used, pixels.
        reprojection: median distance of the fitted from the detected landmarks, pixels.
        failure: the sentence that says why this is no result; None for a good fit.
        camera_scale: metres per unit of the distances between several cameras.
        turn_pitch: how far the camera looks down, radians, as a full turn of the person shows it; None without one.
    """

    focal: float
    reprojection: float
    warnings: list[str] = field(default_factory=list)
    failure: str | None = None
    camera_scale: float = 1.0
    turn_pitch: float | None = None


def fit_warnings(
    state: State,
    confidence: Float[Tensor, "n l"],
    names: tuple[str, ...],
    assumed_height: float | None,
    assumed_focal: float | None,
) -> list[str]:
    """Warnings about assumed values (None: given by the user) and about poorly visible parts."""
    result = []
    if assumed_height is not None:
        result.append(f"{UNKNOWN_HEIGHT} {assumed_height:.2f} m, give --height")
    if assumed_focal is not None:
        result.append(f"the focal length is unknown: assumed {assumed_focal:.0f} px, give --focal")
    facing = facing_camera(state)
    if facing.min() > FROM_BEHIND:
        result.append("the back was never in view")
    if facing.max() < FROM_THE_FRONT:
        result.append("the front was never in view")
    for landmark, part in _PARTS.items():
        for side in ("left", "right"):
            hidden = (confidence[:, names.index(f"{side}_{landmark}")] < HIDDEN_BELOW).double().mean()
            if hidden > HIDDEN_OFTEN:
                result.append(f"the {side} {part} is hidden in {100 * hidden:.0f} % of frames")
    interpolated = int((confidence.mean(1) < LOST_BELOW).sum())
    if interpolated:
        result.append(
            f"{interpolated} of {len(confidence)} frames are hardly seen and were filled from their neighbours"
        )
    return result


def is_height_measured(observations: Observations, warnings: Sequence[str]) -> bool:
    """Whether depth images show the person's height, by the warnings of the fit."""
    return observations.depth is not None and not any(UNKNOWN_HEIGHT in warning for warning in warnings)


def shape_in_words(
    betas: Float[Tensor, " s"], given: Mapping[str, float], height_given: bool, height_measured: bool
) -> dict[str, tuple[float, float]]:
    """Each shape attribute of the open body and its standard deviation; see `ShapeAttributes.describe`.

    Args:
        given: what the user said; height_given: whether that includes the height; height_measured: whether depth images
            show it, to about `MEASURED_SPREAD`.
    """
    measured = height_measured and not height_given
    described = load_shape_attributes().describe(betas, height_given or measured)
    if measured:
        height, spread = described["height"]
        described["height"] = height, max(spread, MEASURED_SPREAD)
    return reported_attributes(described, given)


def guess_warnings(state: State, depth_spread: Float[Tensor, "n j"], joint_names: tuple[str, ...]) -> list[str]:
    """One sentence on the limbs whose depth was not determined in half of the frames; none where all were."""
    usual = depth_spread.median(0).values
    limbs = [
        limb
        for limb, joint in (("arms", "wrist"), ("legs", "ankle"))
        if max(usual[joint_names.index(f"{side}_{joint}")] for side in ("left", "right")) > GUESSED_DEPTH
    ]
    if not limbs:
        return []
    uncertain = " and ".join(limbs)
    facing = facing_camera(state)
    if facing.min() > FROM_BEHIND or facing.max() < FROM_THE_FRONT:
        guesses = f"only one side was filmed: the other sides and the depth of the {uncertain} are guesses"
    else:
        guesses = f"the depth of the {uncertain} is a guess in most frames"
    return [f"{guesses}; a slow full turn at the start of the video shows them"]


def unknown_pitch(pitch: float) -> str:
    """The sentence that says that only the person shows where down is. `pitch` is the estimate, radians."""
    degrees = round(math.degrees(pitch))
    looks = f"{abs(degrees)} degrees {'down' if degrees >= 0 else 'up'}"
    return f"nothing but the person shows where down is: the camera was taken to look {looks}, give --pitch"


def facing_camera(state: State) -> Float[Tensor, " n"]:
    """Cosine between the pelvis' forward direction and that to the camera: 1 in front view, -1 from behind."""
    forward, away = state.rotations[:, 0, :, 2], state.position
    if state.path is not None:
        away = state.position + (state.path.rotations.mT @ state.path_translations[..., None]).squeeze(-1)
    return -(forward * F.normalize(away, dim=-1)).sum(-1)


def median_distance(a: Float[Tensor, "n l 2"], b: Float[Tensor, "n l 2"]) -> float:
    """Median length of the differences."""
    return float(torch.median((a - b).norm(dim=-1)))
