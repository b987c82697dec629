"""The light of given surroundings, in the form in which avatars are lit: gains by the direction of the surface.

The irradiance of a surface is the radiance of the hemisphere before it, weighted by the cosine to its normal
(Ramamoorthi and Hanrahan 2001, eq. 1), and by their eq. 13 nearly a second-order polynomial of the normal. Here its
logarithm, in sRGB, is projected onto the same polynomials, since `avatar.model.lighting` takes their exponential. The
mean is left out: exposure and white balance are set to the light, as a camera sets them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.kernels.constants import TERMS
from avatar.model.lighting import normal_polynomials

FILMED, EVEN, ABOVE, WINDOW = "filmed", "even", "above", "window"
SRGB_POWER = 2.2  # linear light against sRGB values, nearly
# Gain, in sRGB, of the brightest direction: more would burn out what is bright by itself. Stronger light keeps its
# shape with less contrast, as under a camera's tone curve.
LARGEST_GAIN = 1.5
FLOOR = 1e-3  # of the mean irradiance: light that is always there

# The light indoors beside a lamp: what walls give back to all sides, relative to the mean of the lamp.
WALLS = 0.35
LAMP_RADIUS = math.radians(35)  # a window seen from the middle of a room, or a large lamp
WINDOW_HEIGHT = math.radians(20)  # above the horizon
WINDOW_FROM = -60.0  # degrees to the right of the camera
# Linear sRGB of a lamp of 3200 K and of a blue sky of 15000 K, relative to daylight, green 1 (Planck's law).
WARM, COLD = (1.75, 1.0, 0.42), (0.78, 1.0, 1.45)


@dataclass(frozen=True)
class ChosenLight:
    """A light by the name under which it is offered.

    Attributes:
        coefficients: for `Avatar.relight`; None for the light of the recording.
    """

    name: str
    coefficients: Float[Tensor, "8 3"] | None


def builtin_lights() -> dict[str, Float[Tensor, "8 3"]]:
    """The lights that every avatar is offered besides that of its recording."""
    return {EVEN: torch.zeros(TERMS, 3), ABOVE: from_above(), WINDOW: from_window()}


def grid_directions(rows: int, columns: int) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
    """Directions of the pixels of an equirectangular image and their solid angles, which sum to 4 pi.

    The middle of the image lies behind the person as a camera in front sees it, at -Z; its right is the camera's, +X.
    """
    down = (torch.arange(rows) + 0.5) * math.pi / rows
    right = ((torch.arange(columns) + 0.5) / columns - 0.5) * 2 * math.pi
    theta, phi = (t.flatten() for t in torch.meshgrid(down, right, indexing="ij"))
    directions = torch.stack([theta.sin() * phi.sin(), theta.cos(), -theta.sin() * phi.cos()], 1)
    areas = theta.sin()
    return directions, areas * 4 * math.pi / areas.sum()


def environment_light(radiance: Float[Tensor, "h w 3"], turn: float = 0.0) -> Float[Tensor, "8 3"]:
    """Coefficients of `avatar.model.lighting.irradiance_gain` for an equirectangular image of linear radiance.

    Args:
        radiance: of the surroundings, see `grid_directions`.
        turn: of the surroundings to the right, degrees.
    """
    directions, areas = grid_directions(*radiance.shape[:2])
    angle = math.radians(turn)
    R = torch.tensor([[math.cos(angle), 0, -math.sin(angle)], [0, 1, 0], [math.sin(angle), 0, math.cos(angle)]])
    normals, weights = grid_directions(24, 48)
    cosines = (normals @ (directions @ R.T).T).clamp_min(0)
    irradiance = cosines @ (areas[:, None] * radiance.flatten(0, 1).float())
    mean = (weights[:, None] * irradiance).sum(0) / weights.sum()
    gains = (irradiance / mean.clamp_min(1e-12)).clamp_min(FLOOR).log() / SRGB_POWER
    coefficients: Tensor = _projected(normals, weights, gains)
    largest = float((normal_polynomials(normals) @ coefficients).max())
    scale: float = min(1.0, math.log(LARGEST_GAIN) / max(largest, 1e-9))
    return scale * coefficients


def _projected(
    normals: Float[Tensor, "n 3"], weights: Float[Tensor, " n"], gains: Float[Tensor, "n 3"]
) -> Float[Tensor, "8 3"]:
    """The polynomials' coefficients by weighted least squares, the mean taken out."""
    terms = torch.cat([normal_polynomials(normals), torch.ones(len(normals), 1)], 1) * weights.sqrt()[:, None]
    solution: Tensor = torch.linalg.lstsq(terms, gains * weights.sqrt()[:, None]).solution
    return solution[:-1]


def lamp(direction: Float[Tensor, " 3"], warmth: float = 0.0) -> Float[Tensor, "h w 3"]:
    """Surroundings of even walls with one large lamp or window, as `environment_light` takes them.

    Args:
        direction: unit vector to its middle.
        warmth: of its colour, from -1 (blue sky) over 0 (daylight) to 1 (a light bulb).
    """
    rows, columns = 64, 128
    directions, areas = grid_directions(rows, columns)
    inside = (directions @ direction > math.cos(LAMP_RADIUS)).float()
    color = torch.tensor(WARM if warmth > 0 else COLD).log().mul(abs(warmth)).exp()
    bright = inside / (inside * areas).sum() * areas.sum()
    radiance: Tensor = (bright[:, None] * color + WALLS).unflatten(0, (rows, columns))
    return radiance


def from_above() -> Float[Tensor, "8 3"]:
    """The light of a large lamp overhead."""
    return environment_light(lamp(torch.tensor([0.0, 1.0, 0.0])))


def from_window(degrees: float = WINDOW_FROM, warmth: float = 0.0) -> Float[Tensor, "8 3"]:
    """The light of a window at one side.

    Args:
        degrees: to the right of the camera in front of the person: 0 is the front, 90 its right, 180 behind.
        warmth: see `lamp`.
    """
    angle = math.radians(degrees)
    level, high = math.cos(WINDOW_HEIGHT), math.sin(WINDOW_HEIGHT)
    return environment_light(lamp(torch.tensor([level * math.sin(angle), high, level * math.cos(angle)]), warmth))
