"""Where a prop goes on a body, and how large it is: by what kind of thing it is."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.anchors import Anchor, anchor_of, hat_line, head_vertices
from avatar.errors import UsageError
from avatar.geometry import invert_rigid, rigid, rotation_from_rotvec, transform
from avatar.model.avatar import Avatar, part_of_gaussians
from avatar.model.props import DEEPEST, Prop, Shape, clear_of_head, head_penetration, placed_prop

# Without a preset a thing in metres is between these sizes.
SMALLEST, LARGEST = 0.01, 2.5
UNITS = {"metres": 1.0, "centimetres": 0.01, "millimetres": 0.001}
CLEARANCE = 0.003  # metres between a hat or glasses and the head
FACING, PANEL = 0.7, 0.015  # cosine to the back, and thickness in metres, of a backpack's panel
RAISED = 0.3  # share of half its height by which a backpack hangs below the shoulder blades
FIST = 0.016  # metres from the palm to the middle of a closed hand
HEAD_PARTS = (1, 2)  # of `avatar.body.parts.PARTS`: head and face


@dataclass(frozen=True)
class Preset:
    """A kind of thing.

    Attributes:
        place: where it goes by default; see `avatar.body.anchors`.
        least, usual, most: its longest side, metres.
        worn: see `Prop`.
    """

    place: str
    least: float
    usual: float
    most: float
    worn: bool = False


PRESETS = {
    "cup": Preset("right_hand", 0.05, 0.11, 0.25),
    "phone": Preset("right_hand", 0.10, 0.15, 0.20),
    "bag": Preset("right_hand", 0.15, 0.35, 0.70),
    "hat": Preset("head", 0.15, 0.26, 0.60, worn=True),
    "glasses": Preset("face", 0.10, 0.14, 0.20, worn=True),
    "backpack": Preset("back", 0.25, 0.45, 0.80, worn=True),
}


class Adjustment(NamedTuple):
    """What the user asks for beyond the preset.

    Attributes:
        scale: metres per unit of the file; None: by the kind of thing.
        turn: degrees about its x, y and z axes, one after the other, before it is placed.
        offset: metres along the axes of the anchor, after it is placed.
    """

    scale: float | None = None
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)


def fit_prop(
    avatar: Avatar, shape: Shape, name: str, preset: str | None, place: str | None, adjustment: Adjustment
) -> tuple[Prop, list[str]]:
    """Size and place a thing on an avatar.

    Args:
        shape: in the units of its file, y up, its front towards +z.
        preset: what kind of thing it is, a key of `PRESETS`; None: something else.
        place: where it goes; None: where its kind usually goes.

    Returns:
        The prop, and what the user should know, one sentence each.

    Raises:
        UsageError: there is no such preset or place, no place is given, or its size makes no sense.
    """
    if avatar.device.type != "cpu":
        avatar = copy.deepcopy(avatar).cpu()  # files and made-up things are on the CPU
    if preset is not None and preset not in PRESETS:
        raise UsageError(f"--preset must be {', '.join(PRESETS)}, not {preset!r}.")
    if preset is None and place is None:
        raise UsageError("Say where it goes, such as --to right_hand, or what it is, such as --preset cup.")
    place = place or PRESETS[preset or ""].place
    anchor = anchor_of(avatar.body, avatar.rest, place)
    if preset == "cup" and place == "left_hand":
        shape = _turned(shape, (0.0, 180.0, 0.0))  # a handle at the left is towards the wrist, as in the right hand
    shape, notes = _sized(_turned(shape, adjustment.turn), preset, adjustment.scale, name)
    if preset in ("hat", "glasses") and place in ("head", "face"):
        place_on = _hat if preset == "hat" else _glasses
        shape, place_in_anchor = place_on(avatar, anchor, shape, fixed=adjustment.scale is not None)
        if preset == "hat" and adjustment.scale is None:
            shape = clear_of_head(shape.moved(place_in_anchor), anchor, avatar.body, avatar.rest)
            place_in_anchor = torch.eye(4)
    else:
        place_in_anchor = _PLACED.get(preset or "", _at_anchor)(place, shape)
    moved = rigid(torch.eye(3), torch.tensor(adjustment.offset)) @ place_in_anchor
    worn = preset is not None and PRESETS[preset].worn
    prop = Prop(name, shape, place, moved, anchor.size, worn)
    if place in ("head", "face"):
        depth = head_penetration(avatar.body, avatar.rest, placed_prop(prop, avatar.body, avatar.rest).shape)
        if depth > DEEPEST:
            notes.append(f"{name} reaches {1000 * depth:.0f} mm into the head: another --scale or --offset may fit.")
    return prop, notes


def _turned(shape: Shape, degrees: tuple[float, float, float]) -> Shape:
    R = torch.eye(3)
    for axis, angle in enumerate(degrees):
        R = rotation_from_rotvec(math.radians(angle) * torch.eye(3)[axis]) @ R
    return shape.moved(rigid(R, torch.zeros(3))) if any(degrees) else shape


def _sized(shape: Shape, preset: str | None, scale: float | None, name: str) -> tuple[Shape, list[str]]:
    """The thing in metres, and how its size was chosen, if that is worth a word."""
    longest = float((shape.gaussians.means.amax(0) - shape.gaussians.means.amin(0)).max())
    if scale is not None:
        return shape.stretched(torch.full((3,), scale)), []
    if longest <= 0:
        raise UsageError(f"{name} has no size: all of it lies at one point.")
    least, most = (PRESETS[preset].least, PRESETS[preset].most) if preset else (SMALLEST, LARGEST)
    for unit, factor in UNITS.items():
        if least <= factor * longest <= most and (preset is not None or factor == 1):
            note = [] if factor == 1 else [f"{name} is {longest:.3g} units long, which are taken for {unit}."]
            return shape.stretched(torch.full((3,), factor)), note
    if preset is None:
        raise UsageError(f"{name} would be {longest:.3g} m long: say how long a unit is, such as --scale 0.01.")
    usual = PRESETS[preset].usual
    return shape.stretched(torch.full((3,), usual / longest)), [
        f"The longest side of {name}, {longest:.3g} units, becomes {100 * usual:.0f} cm as of any {preset}; or --scale."
    ]


def _at_anchor(place: str, shape: Shape) -> Float[Tensor, "4 4"]:
    """In a hand and on the back it touches the skin; on the head it stands; a joint is where its own origin goes."""
    low, high = shape.gaussians.means.amin(0), shape.gaussians.means.amax(0)
    middle = (low + high) / 2
    if place in ("right_hand", "left_hand", "back", "face"):
        return rigid(torch.eye(3), -torch.stack([middle[0], middle[1], low[2]]))
    if place == "head":
        return rigid(torch.eye(3), -torch.stack([middle[0], low[1], middle[2]]))
    return torch.eye(4)


def _hanging(place: str, shape: Shape) -> Float[Tensor, "4 4"]:
    """A bag hangs from a hand along the fingers, its handle inside them."""
    if not place.endswith("_hand"):
        return _at_anchor(place, shape)
    low, high = shape.gaussians.means.amin(0), shape.gaussians.means.amax(0)
    top = torch.stack([(low[0] + high[0]) / 2, high[1] - 0.006, (low[2] + high[2]) / 2])
    quarter = -math.pi / 2 if place == "right_hand" else math.pi / 2
    R = rotation_from_rotvec(torch.tensor([0.0, 0.0, quarter]))
    return rigid(R, torch.tensor([0.0, 0.0, FIST]) - R @ top)


def _against(place: str, shape: Shape) -> Float[Tensor, "4 4"]:
    """A backpack lies on the back with its largest surface that faces there; straps reach beyond it."""
    if place != "back":
        return _at_anchor(place, shape)
    points = shape.gaussians.means
    panel = points[shape.normals[:, 2] < -FACING]
    if len(panel) < 20:
        return _at_anchor(place, shape)
    layers = ((panel[:, 2] - panel[:, 2].min()) / PANEL).long()
    back = panel[layers == layers.bincount().argmax()]
    middle = (back.amin(0) + back.amax(0)) / 2
    return rigid(
        torch.eye(3), -torch.stack([middle[0], middle[1] + RAISED * (back[:, 1].amax() - middle[1]), back[:, 2].min()])
    )


_PLACED: dict[str, Callable[[str, Shape], Float[Tensor, "4 4"]]] = {"bag": _hanging, "backpack": _against}


def _head_points(avatar: Avatar, anchor: Anchor) -> Float[Tensor, "n 3"]:
    """Skin and hair of the head in the frame of an anchor."""
    skin = avatar.rest.vertices[head_vertices(avatar.body)]
    opaque = avatar.gaussians.opacities > 0.5
    of_head = torch.isin(part_of_gaussians(avatar), torch.tensor(HEAD_PARTS, device=avatar.device))
    points = torch.cat([skin, avatar.rest_means()[of_head & opaque]]).detach().cpu()
    return transform(invert_rigid(anchor.T_rest_anchor.cpu()), points)


def _hat(avatar: Avatar, anchor: Anchor, shape: Shape, fixed: bool) -> tuple[Shape, Float[Tensor, "4 4"]]:
    """Around the head at the hat line or above it: where the crown of the head touches the hat from inside."""
    head = _head_points(avatar, anchor)
    below = hat_line(avatar.body, avatar.rest)
    ring = head[(head[:, 1] + below).abs() < 0.012]
    low, high = ring.quantile(0.02, dim=0), ring.quantile(0.98, dim=0)
    inner = _opening(shape)
    if not fixed:
        wide, deep = ((high - low)[[0, 2]] + 2 * CLEARANCE) / (inner.high - inner.low)
        shape = shape.stretched(torch.stack([wide, (wide * deep).sqrt(), deep]))
        inner = _opening(shape)
    top = float(head[:, 1].quantile(0.999)) + CLEARANCE
    rim = max(top - inner.ceiling, -below)
    middle = (low + high)[[0, 2]] / 2 - (inner.low + inner.high) / 2
    T = rigid(torch.eye(3), torch.stack([middle[0], torch.tensor(rim) - inner.rim, middle[1]]))
    return shape, T


class _Opening(NamedTuple):
    """The inside of a hat in its own axes: x and z of its wall, height of its rim, and of the ceiling above the rim."""

    low: Float[Tensor, " 2"]
    high: Float[Tensor, " 2"]
    rim: float
    ceiling: float


def _opening(shape: Shape) -> _Opening:
    points = shape.gaussians.means
    rim, top = float(points[:, 1].min()), float(points[:, 1].max())
    tall = top - rim
    centre = (points.amin(0) + points.amax(0))[[0, 2]] / 2
    # The wall above a brim and below the rounding of the top.
    wall = points[(points[:, 1] > rim + 0.15 * tall) & (points[:, 1] < rim + 0.45 * tall)][:, [0, 2]] - centre
    if len(wall) < 20:
        raise UsageError(
            "This does not look like a hat, since it has no wall around the head: use --to head without --preset."
        )
    width = points[:, [0, 2]].amax(0) - points[:, [0, 2]].amin(0)
    low, high = torch.zeros(2), torch.zeros(2)
    for axis in range(2):
        strip = wall[wall[:, 1 - axis].abs() < 0.08 * width[1 - axis], axis]
        low[axis] = strip[strip < 0].quantile(0.9) if bool((strip < 0).any()) else wall[:, axis].min()
        high[axis] = strip[strip > 0].quantile(0.1) if bool((strip > 0).any()) else wall[:, axis].max()
    near = (points[:, [0, 2]] - centre).norm(dim=1) < 0.15 * float((high - low).min())
    above = points[near & (points[:, 1] > rim + 0.4 * tall), 1]
    return _Opening(low + centre, high + centre, rim, float(above.min() if len(above) else points[:, 1].max()) - rim)


def _glasses(avatar: Avatar, anchor: Anchor, shape: Shape, fixed: bool) -> tuple[Shape, Float[Tensor, "4 4"]]:
    """Before the eyes, on the bridge of the nose, as wide as the temples."""
    low, high = _lenses(shape)
    if not fixed:
        skin = transform(invert_rigid(anchor.T_rest_anchor), avatar.rest.vertices[head_vertices(avatar.body)]).cpu()
        beside = (skin[:, 1].abs() < 0.012) & (skin[:, 2] < -0.02) & (skin[:, 2] > -0.5 * anchor.size[0])
        width = 2 * float(skin[beside, 0].abs().max()) + 2 * CLEARANCE
        shape = shape.stretched(torch.full((3,), width / float(high[0] - low[0])))
        low, high = _lenses(shape)
    middle = (low + high) / 2
    bridge = shape.gaussians.means[(shape.gaussians.means[:, 0] - middle[0]).abs() < 0.06 * float(high[0] - low[0]), 2]
    back = bridge.min() if len(bridge) else high[2]
    return shape, rigid(torch.eye(3), torch.stack([-middle[0], -middle[1], CLEARANCE - back]))


def _lenses(shape: Shape) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Opposite corners of the front quarter of glasses, which has the lenses in it."""
    z = shape.gaussians.means[:, 2]
    front = shape.gaussians.means[z > z.max() - 0.25 * (z.max() - z.min())]
    return front.amin(0), front.amax(0)
