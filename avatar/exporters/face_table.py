"""The units of the face as players move them: which splats, and where to.

The units move few splats by millimetres, so the few components of a whole body's deformation would lose them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body.face import FACE_UNITS
from avatar.model.rig import Rig
from avatar.types import BodyTrack

LEAST_MOVE = 2e-4  # metres; splats that every unit moves less stay


@dataclass(frozen=True)
class FaceTable:
    """The splats that the face moves.

    Attributes:
        splats: their places in the order of the file.
        moves: in `step`s of metres at a coefficient of one, -127 to 127.
    """

    splats: Int[Tensor, " k"]
    moves: Float[Tensor, "units k 3"]
    step: float

    @property
    def header(self) -> dict[str, Any]:
        """The entry of the file's header."""
        return {"units": FACE_UNITS, "step": self.step}


def face_table(rig: Rig, order: Int[Tensor, " n"], clips: Mapping[str, BodyTrack]) -> FaceTable | None:
    """The table for an avatar whose splats are stored in this order; None if no clip moves the face."""
    if rig.face is None or all(track.poses.face is None for track in clips.values()):
        return None
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    moving = rig.face.directions.abs().amax((1, 2)) > LEAST_MOVE
    splats, at = place[rig.face.on_face[moving]].sort()
    moves = rig.face.directions[moving][at].permute(2, 0, 1)
    step = max(float(moves.abs().max()), 1e-6) / 127 if moves.numel() else 1.0
    return FaceTable(splats, (moves / step).round(), step)
