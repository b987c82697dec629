"""Files with the intrinsics of a camera alone, in JSON, as the programs of depth cameras write them.

- Open3D: `width`, `height`, `intrinsic_matrix` (9 numbers, column by column);
- RealSense, Orbbec: `width`, `height`, `fx`, `fy`, and `cx`, `cy` or `ppx`, `ppy`.

Each may state the distortion of the lens (see `lens_distortion`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from avatar.errors import AvatarError
from avatar.io.files import read_json
from avatar.io.lens_distortion import Distortion, read_distortion
from avatar.types import Cameras

# A level camera that looks forward, in a world whose y axis points up: where nothing tells how it stood.
LEVEL = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))


@dataclass(frozen=True)
class Intrinsics:
    """A camera that is level and at the origin, and the distortion of its lens, or None."""

    camera: Cameras
    distortion: Distortion | None


def load_intrinsics(path: Path) -> Intrinsics | None:
    """The camera of a file that holds intrinsics and no poses; None if it is another file.

    Raises:
        UsageError: there is no such file, or its lens is of a model that is not supported. AvatarError: it is broken.
    """
    if path.suffix.lower() != ".json" or path.is_dir():
        return None
    content: Any = read_json(path)
    if not isinstance(content, dict) or not {"intrinsic_matrix", "fx"} & content.keys():
        return None
    try:
        size = int(content["width"]), int(content["height"])
        fx, fy, cx, cy = (float(value) for value in _numbers(content))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise AvatarError(
            f"{path} is broken: intrinsics need width, height, and fx, fy, cx, cy or intrinsic_matrix."
        ) from error
    try:
        lens = read_distortion(path, content)
    except (KeyError, TypeError, ValueError) as error:
        raise AvatarError(f"{path} is broken: its distortion is no list of coefficients of a lens.") from error
    if min(size) < 1 or not (fx > 0 and fy > 0 and math.isfinite(fx + fy + cx + cy)):
        raise AvatarError(f"{path} is broken: fx {fx:g}, fy {fy:g}, cx {cx:g}, cy {cy:g} for images of {size}.")
    K = torch.tensor([[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]])
    return Intrinsics(Cameras(K, LEVEL[None].clone(), *size), lens)


def _numbers(content: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    if "intrinsic_matrix" in content:
        fx, _, _, _, fy, _, cx, cy, _ = content["intrinsic_matrix"]
        return fx, fy, cx, cy
    centre = [content[one] if one in content else content[other] for one, other in (("cx", "ppx"), ("cy", "ppy"))]
    return content["fx"], content["fy"], *centre
