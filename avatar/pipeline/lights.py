"""Lights in words: what `--light` takes."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from avatar.errors import UsageError
from avatar.io.environment_file import read_environment
from avatar.model.environment import (
    FILMED,
    WINDOW,
    WINDOW_FROM,
    ChosenLight,
    builtin_lights,
    environment_light,
    from_window,
)

SIDES = {"left": -60.0, "right": 60.0, "front": 0.0, "behind": 180.0}


def read_light(text: str) -> ChosenLight:
    """The light that `--light` names.

    Args:
        text: "filmed", "even", "above", "window", "window:SIDE" or "window:DEGREES", either with ":WARMTH", or the path
            of an equirectangular image, with ":DEGREES" to turn it.

    Raises:
        UsageError: there is no such light. AvatarError: the image is unusable.
    """
    if text.split(":")[0] == WINDOW:
        return _window(text)
    if text == FILMED:
        return ChosenLight(FILMED, None)
    builtin = builtin_lights().get(text)
    return light_of_image(text) if builtin is None else ChosenLight(text, builtin)


def light_of_image(text: str) -> ChosenLight:
    """The light of an equirectangular image, which "PATH:DEGREES" turns to the right.

    Raises:
        UsageError: there is no such file. AvatarError: it is no such image.
    """
    turned = re.fullmatch(r"(.+):(-?\d+(?:\.\d+)?)", text)
    path, turn = (Path(turned[1]), float(turned[2])) if turned else (Path(text), 0.0)
    if not path.is_file():
        raise UsageError(
            f"There is no light or image {str(path)!r}: pass filmed, even, above, window, window:left, "
            "window:DEGREES:WARMTH, or an equirectangular .hdr, .exr, .png or .jpg."
        )
    name = path.name if path.stem in (FILMED, *builtin_lights()) else path.stem
    return ChosenLight(name, environment_light(torch.from_numpy(read_environment(path)), turn))


def _window(text: str) -> ChosenLight:
    side, warmth = (*text.split(":")[1:], "", "")[:2]
    degrees = SIDES.get(side) if side in SIDES else _number(side, WINDOW_FROM)
    warm = _number(warmth, 0.0)
    if degrees is None or warm is None or text.count(":") > 2 or not (abs(degrees) <= 360 and abs(warm) <= 1):
        raise UsageError(
            f"There is no light {text!r}: after window: comes left, right, front, behind or degrees, then :WARMTH from "
            "-1 (blue sky) to 1 (light bulb)."
        )
    return ChosenLight(WINDOW, from_window(degrees, warm))


def _number(text: str, usual: float) -> float | None:
    """The number in a text, the usual one of an empty text, None if it is no number."""
    try:
        return float(text) if text else usual
    except ValueError:
        return None
