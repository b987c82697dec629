"""How far BlazePose's 3D directions of the limbs are off, measured on renders of the open body."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.landmarks import side_and_kind


@dataclass(frozen=True)
class DirectionBias:
    """Error of a bone's direction in the plane of the camera's y and z axes.

    Attributes:
        camera: degrees, the same from all sides.
        body: degrees, in front view; from behind the opposite.
        share: of the camera's pitch that is ignored.
        spread: degrees, of what remains.
    """

    camera: float = 0.0
    body: float = 0.0
    share: float = 0.0
    spread: float = 8.0


# From `scripts/measure_direction_bias.py`: 288 renders, 8 sides, pitches from -20 to 30 degrees. Shanks seem to lead
# away from the camera in videos of real people too: 10 to 15 degrees in front view, 25 from behind.
BIASES = {
    ("hip", "knee"): DirectionBias(1.3, 1.5, 0.21, 9.9),
    ("knee", "ankle"): DirectionBias(14.6, -3.7, 0.19, 11.6),
    ("shoulder", "hip"): DirectionBias(-0.7, -0.5, 0.29, 6.2),
    ("shoulder", "elbow"): DirectionBias(-6.2, 5.6, 0.24, 15.5),
    ("elbow", "wrist"): DirectionBias(1.7, 10.1, 0.07, 21.3),
}
# The same of the light network, which pages that follow a camera hold: `scripts/measure_direction_bias.py --light`.
LIGHT_BIASES = {
    ("hip", "knee"): DirectionBias(1.2, -0.9, 0.46, 10.8),
    ("knee", "ankle"): DirectionBias(10.8, -3.4, 0.35, 12.2),
    ("shoulder", "hip"): DirectionBias(-0.1, 1.3, 0.27, 7.4),
    ("shoulder", "elbow"): DirectionBias(-1.6, 6.8, 0.42, 18.9),
    ("elbow", "wrist"): DirectionBias(-1.6, 12.3, 0.31, 30.1),
}


def direction_biases(layout: str, bones: list[tuple[str, str]], light: bool = False) -> list[DirectionBias]:
    """The bias of each bone of a layout, given by the names of its ends; of the heavy network or the light one."""
    if layout != "blazepose33":
        return [DirectionBias()] * len(bones)
    biases = LIGHT_BIASES if light else BIASES
    return [biases.get((side_and_kind(a)[1], side_and_kind(b)[1]), DirectionBias()) for a, b in bones]


def facing(guess: Float[Tensor, "n l 3"], names: tuple[str, ...]) -> Float[Tensor, " n"]:
    """Cosine between the direction in which the person faces and that to the camera, by the detector's own guess."""
    left, right, up, down = (
        guess[:, [names.index(name) for name in pair]].mean(1)
        for pair in (
            ("left_shoulder", "left_hip"),
            ("right_shoulder", "right_hip"),
            ("left_shoulder", "right_shoulder"),
            ("left_hip", "right_hip"),
        )
    )
    forward = torch.linalg.cross(left - right, up - down)
    cosine: Tensor = -forward[:, 2] / forward.norm(dim=-1).clamp_min(1e-9)
    return cosine


def unbiased(
    directions: Float[Tensor, "n b 3"], facing: Float[Tensor, " n"], biases: list[DirectionBias]
) -> Float[Tensor, "n b 3"]:
    """The detector's directions without the part of their bias that does not depend on the camera's pitch."""
    camera, body = (directions.new_tensor([getattr(bias, name) for bias in biases]) for name in ("camera", "body"))
    angle = torch.deg2rad(camera + facing[:, None] * body)
    x, y, z = directions.unbind(-1)
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([x, cosine * y + sine * z, cosine * z - sine * y], -1)
