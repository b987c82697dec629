"""Which part of the body, where on it, and which garment each splat of an avatar is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body.surface_charts import parts_of
from avatar.body.surface_charts import surface_charts as charts_of_body
from avatar.model.avatar import Avatar


@dataclass(frozen=True)
class Charts:
    """Part, coordinates and garment of each of an avatar's splats.

    Attributes:
        parts: index into SMPL's joints; chart: U and V in [0, 1], see `avatar.body.surface_charts`.
        garments: index into `avatar.model.garments.GARMENTS`; None where nobody asks for them.
    """

    parts: Int[Tensor, " n"]
    chart: Float[Tensor, "n 2"]
    garments: Int[Tensor, " n"] | None = None

    def at(self, splats: Int[Tensor, " k"]) -> tuple[Int[Tensor, " k"], Float[Tensor, "k 2"], Int[Tensor, " k"]]:
        """1 + part, coordinates, and 1 + garment of splats by index; 0 for those beyond the avatar's own: props."""
        own = splats < len(self.parts)
        index = splats.clamp(max=len(self.parts) - 1)
        parts, chart = torch.where(own, self.parts[index] + 1, 0), torch.where(own[:, None], self.chart[index], 0.0)
        garments = torch.zeros_like(parts) if self.garments is None else self.garments[index] + 1
        return parts, chart, torch.where(own, garments, 0)


@torch.no_grad()
def surface_charts(avatar: Avatar, garments: Int[Tensor, " n"] | None = None) -> Charts:
    """The charts of an avatar's splats, from its body at rest, with the garments that they belong to."""
    parts = parts_of(avatar.body, avatar.weights.cpu())
    chart = charts_of_body(avatar.body, avatar.rest).at(avatar.surface.anchors.cpu(), parts)
    return Charts(parts, chart, garments)
