"""Where Gaussians start on the body."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.body.parts import part_of_joint


def splat_density(body: Body) -> Float[Tensor, " faces"]:
    """How densely each triangle is sown: the face and the hands carry the finest detail."""
    head = [i for i, name in enumerate(body.joint_names) if part_of_joint(name) in ("head", "face")]
    fingers = [i for i, name in enumerate(body.joint_names) if part_of_joint(name) == "hands" and "wrist" not in name]
    weight = 1 + 2 * body.weights[:, head].sum(1) + 0.5 * body.weights[:, fingers].sum(1)
    return weight[body.faces].mean(1)
