"""The distortion of a lens as files state it: the coefficients of Brown (1966), and OpenCV's rational model of them.

- OpenCV, nerfstudio, Azure Kinect: `k1`, `k2`, `p1`, `p2`, `k3`, and of the rational model `k4`, `k5`, `k6`;
- RealSense: `coeffs` (k1, k2, p1, p2, k3) and `model`;
- OpenCV, ROS: such a list as `dist_coeffs`, `distortion_coefficients`, `distortion` or `D`, and `distortion_model`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avatar.errors import UsageError

# k1, k2, p1, p2; then k3; then k4, k5, k6: OpenCV's order, and the lengths that it takes.
Distortion = tuple[float, ...]
LENGTHS = (4, 5, 8)
NAMES = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
LISTS = ("coeffs", "dist_coeffs", "distortion_coefficients", "distortion", "D")
MODELS = ("distortion_model", "camera_model")
# Models that are Brown's or contain it; "modified" differs only in how radial and tangential parts multiply.
SUPPORTED = (
    "none", "pinhole", "simple_pinhole", "simple_radial", "radial", "opencv", "full_opencv", "brown", "brown_conrady",
    "modified_brown_conrady", "plumb_bob", "rational_polynomial",
)  # fmt: skip
MOST_DISTORTION = 20.0  # of each coefficient; numerator and denominator of the rational model nearly cancel


def distortion_from(*coefficients: float) -> Distortion | None:
    """The distortion with such coefficients in OpenCV's order; None where all are 0.

    Raises:
        ValueError: a coefficient is not finite or too large to be one, or there are more than the rational model has.
    """
    values = list(coefficients)
    while values and not values[-1]:
        values.pop()
    if not values:
        return None
    if len(values) > LENGTHS[-1] or not all(abs(value) < MOST_DISTORTION for value in values):
        raise ValueError(f"the distortion {tuple(values)}")
    length = next(length for length in LENGTHS if length >= len(values))
    return (*values, *(0.0,) * (length - len(values)))


def read_distortion(path: Path, content: Mapping[str, Any]) -> Distortion | None:
    """The distortion that the entries of a camera state; None where they state none.

    Args:
        path: where the entries come from, for the errors.

    Raises:
        UsageError: it is of a model that is not supported. TypeError, ValueError: it is broken.
    """
    name = next((name for name in LISTS if content.get(name)), None)
    if name is None:
        stated: Sequence[Any] = [content.get(one, 0.0) for one in NAMES]
    else:
        stated = content[name][0] if isinstance(content[name][0], list) else content[name]
    coefficients = [float(value) for value in stated]
    if not any(coefficients):
        return None
    # `model` may be the name of a product, unless it stands beside the coefficients of RealSense.
    models = (*MODELS, "model") if name == "coeffs" else MODELS
    model = next((str(content[one]) for one in models if content.get(one)), SUPPORTED[0])
    if model.lower().rpartition(".")[2].replace(" ", "_").replace("-", "_") not in SUPPORTED:
        raise unsupported_lens(path, model)
    return distortion_from(*coefficients)


def unsupported_lens(path: Path, model: str) -> UsageError:
    """The error of a lens whose distortion cannot be taken out."""
    return UsageError(
        f"{path} has a lens of the model {model}, whose distortion cannot be taken out: rectify the video (and its "
        "depth images) yourself, and give the camera of the result."
    )
