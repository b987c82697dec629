"""Places on a body where things are worn or held, as frames that follow from its joints and surface.

They are computed from the shaped body at rest, so what is placed in them fits other people and other shapes. Axes are
those of the thing: y is its up, z its front. All bodies of the SMPL family rest in the T-pose with the palms down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.body.model import Body, RestBody
from avatar.body.parts import part_of_joint
from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import UsageError
from avatar.geometry import rigid

PLACES = ("right_hand", "left_hand", "head", "face", "back")
"""Anchors with a meaning of their own; beside them every joint is one."""
# Shares of the way from the tip of the nose up to the crown: pupils, and where a hat sits on the forehead.
EYES, HAT_LINE = 0.25, 0.55
GRASP = 0.9  # share of the way from the wrist to the knuckles at which a hand closes around things


@dataclass(frozen=True)
class Anchor:
    """A place on the body at rest.

    Attributes:
        joint: name of the joint that carries it.
        T_rest_anchor: rigid, metres.
        size: of the body there along the axes of the anchor, by which worn things grow with the body, metres.
    """

    joint: str
    T_rest_anchor: Float[Tensor, "4 4"]
    size: Float[Tensor, " 3"]


def anchor_of(body: Body, rest: RestBody, place: str) -> Anchor:
    """The anchor of this name.

    Raises:
        UsageError: there is no such place on a body.
    """
    if place in ("left_hand", "right_hand"):
        return _palm(body, rest, place.removesuffix("_hand"))
    if place in ("head", "face"):
        return _crown(body, rest) if place == "head" else _bridge(body, rest)
    if place == "back":
        return _back(rest)
    if place not in SMPL_JOINTS:
        joints = ", ".join(name for name in SMPL_JOINTS if name not in PLACES)
        raise UsageError(f"--to must be {', '.join(PLACES)}, or a joint ({joints}), not {place!r}.")
    return _anchor(place, torch.eye(3), _joint(rest, place), [rest.vertices[:, 1].max() - rest.vertices[:, 1].min()])


def _palm(body: Body, rest: RestBody, side: str) -> Anchor:
    """On the skin of the palm, where the fingers close: y towards the thumb, z out of the palm."""
    wrist = _joint(rest, f"{side}_wrist")
    along = _joint(rest, f"{side}_hand") - wrist
    length = along.norm()
    along = along / length
    front = torch.tensor([0.0, 0.0, 1.0]).to(along)
    thumb = F.normalize(front - (front @ along) * along, dim=0)
    out = torch.linalg.cross(thumb, along) * (1 if side == "right" else -1)
    points = rest.vertices[hand_vertices(body, side)] - wrist
    inside = ((points @ along / length - 0.7).abs() < 0.25) & ((points @ thumb).abs() < 0.25 * length)
    heights = points[inside] @ out
    skin = heights.quantile(0.9)
    axes = torch.stack([torch.linalg.cross(thumb, out), thumb, out], dim=1)
    return _anchor(f"{side}_wrist", axes, wrist + GRASP * length * along + skin * out, [length])


def hand_vertices(body: Body, side: str) -> Bool[Tensor, " v"]:
    """The vertices that the wrist of one side and what hangs on it move most."""
    names = body.joint_names
    of_hand = [name.startswith(side) and part_of_joint(name) == "hands" for name in names]
    return torch.tensor(of_hand, device=body.weights.device)[body.weights.argmax(1)]


def head_vertices(body: Body) -> Bool[Tensor, " v"]:
    """The vertices that the head and what is in it move most."""
    of_head = [part_of_joint(name) in ("head", "face") for name in body.joint_names]
    return torch.tensor(of_head, device=body.weights.device)[body.weights.argmax(1)]


def _profile(body: Body, rest: RestBody) -> tuple[Float[Tensor, "n 3"], float, float]:
    """The head's vertices, and the heights of the tip of the nose and of the crown."""
    points = rest.vertices[head_vertices(body)]
    middle = points[points[:, 0].abs() < 0.01]
    return points, float(middle[middle[:, 2].argmax(), 1]), float(points[:, 1].max())


def _section(points: Float[Tensor, "n 3"], height: float) -> Float[Tensor, "k 3"]:
    return points[(points[:, 1] - height).abs() < 0.008]


def _crown(body: Body, rest: RestBody) -> Anchor:
    """Above the middle of the head's section at the hat line, as high as the crown."""
    points, nose, crown = _profile(body, rest)
    ring = _section(points, nose + HAT_LINE * (crown - nose))
    low, high = ring.amin(0), ring.amax(0)
    place = torch.stack([low[0] + high[0], 2 * points[:, 1].max(), low[2] + high[2]]) / 2
    return _anchor("head", torch.eye(3), place, [high[0] - low[0], place[1] - nose, high[2] - low[2]])


def hat_line(body: Body, rest: RestBody) -> float:
    """How far below the crown a hat sits on the forehead, metres."""
    _, nose, crown = _profile(body, rest)
    return (1 - HAT_LINE) * (crown - nose)


def _bridge(body: Body, rest: RestBody) -> Anchor:
    """On the bridge of the nose, between the eyes."""
    points, nose, crown = _profile(body, rest)
    ring = _section(points, nose + EYES * (crown - nose))
    middle = ring[ring[:, 0].abs() < 0.012]
    place = middle[middle[:, 2].argmax()] * torch.tensor([0.0, 1.0, 1.0]).to(ring)
    # From temple to temple, before the ears.
    temples = ring[(ring[:, 2] > ring[:, 2].mean()) & (ring[:, 2] < place[2])]
    return _anchor("head", torch.eye(3), place, [temples[:, 0].max() - temples[:, 0].min()])


def _back(rest: RestBody) -> Anchor:
    """On the skin between the shoulder blades: z away from the back."""
    spine = _joint(rest, "spine3")
    points = rest.vertices - spine
    near = (points[:, 0].abs() < 0.04) & (points[:, 1].abs() < 0.05)
    place = spine + torch.stack([spine[0] * 0, spine[0] * 0, points[near, 2].min()])
    axes = torch.diag(torch.tensor([-1.0, 1.0, -1.0]))
    width = (_joint(rest, "left_shoulder") - _joint(rest, "right_shoulder")).norm()
    return _anchor("spine3", axes, place, [width])


def _joint(rest: RestBody, name: str) -> Float[Tensor, " 3"]:
    return rest.smpl_joints[SMPL_JOINTS.index(name)]


def _anchor(joint: str, axes: Float[Tensor, "3 3"], place: Float[Tensor, " 3"], size: Sequence[Tensor]) -> Anchor:
    return Anchor(joint, rigid(axes.to(place), place), torch.stack(list(size)).expand(3))
