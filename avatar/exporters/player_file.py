"""An avatar with its motions as one file for players: a page holds it, and the component loads it.

The format is described in docs/formats/player-file.md; `player/avatar_file.js` reads it.
"""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from avatar.body import Body
from avatar.exporters.linear_correctives import RANK, Correctives, fit_correctives
from avatar.exporters.page_tables import figure_table, motion_table
from avatar.exporters.skin_weights import strongest_joints
from avatar.geometry import quat_from_rotation
from avatar.model.avatar import Avatar
from avatar.model.environment import FILMED, ChosenLight, builtin_lights
from avatar.model.rig import Rig
from avatar.model.skin_shading import LARGEST
from avatar.types import BodyPose, BodyTrack

MAGIC = b"AVATAR1\n"
INFLUENCES = 4  # joints that move one splat


@dataclass(frozen=True)
class PlayerFile:
    """An avatar as players read it.

    Attributes:
        content: the bytes of the file.
        splats: number of splats.
        deformation_kept: share of the squared deformation that the correctives explain, in [0, 1].
    """

    content: bytes
    splats: int
    deformation_kept: float


@dataclass
class Payload:
    """Concatenated arrays, each aligned to four bytes, and a table of their offsets."""

    data: bytearray = field(default_factory=bytearray)
    table: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, array: Shaped[Tensor, "*blocks rows values"], kind: type[np.generic]) -> str:
        """Append an array, converted to `kind`; returns `name`.

        Each block is stored byte by byte: the first of all rows, then the second of all, and so on, since the same byte
        of neighbouring rows is alike and compresses better.
        """
        values = np.ascontiguousarray(array.detach().cpu().numpy(), dtype=np.dtype(kind).newbyteorder("<"))
        self.table.append(
            {"name": name, "type": np.dtype(kind).name, "offset": len(self.data), "shape": list(values.shape)}
        )
        self.data += values.view(np.uint8).swapaxes(-2, -1).tobytes()
        self.data += bytes(-len(self.data) % 4)
        return name


@torch.no_grad()
def player_file(
    avatar: Avatar, clips: Mapping[str, BodyTrack], rank: int = RANK, light: ChosenLight | None = None
) -> PlayerFile:
    """Pack the avatar with its clips.

    Args:
        avatar: the avatar.
        clips: motions for this avatar by the name shown in the player; the first plays at the start.
        rank: number of linear correctives that approximate the learned deformation.
        light: the light at the start; the light of the recording and the built-in ones can be chosen too.
    """
    if avatar.device.type != "cpu":
        avatar = copy.deepcopy(avatar).cpu()  # clips are on the CPU, and so is all that is written
    body, rig = avatar.rig_for(track.poses for track in clips.values())
    poses = {name: body.complete(track.poses) for name, track in clips.items()}
    correctives = fit_correctives(avatar, list(poses.values()), [track.fps for track in clips.values()], rank)
    payload = Payload()
    header = {
        "splats": len(avatar),
        "joints": _joints(body, rig),
        **_lights(avatar, light or ChosenLight(FILMED, None)),
        **_pack_splats(avatar, rig, correctives, payload),
        "clips": _pack_clips(clips, poses, correctives, payload),
        "words": motion_table(),
        "figure": figure_table(avatar.body),
        "arrays": payload.table,
    }
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)  # the arrays begin at a multiple of four bytes
    packed = zlib.compress(len(text).to_bytes(4, "little") + text + bytes(payload.data), 9)
    return PlayerFile(MAGIC + packed, len(avatar), correctives.explained)


def _lights(avatar: Avatar, start: ChosenLight) -> dict[str, Any]:
    """The light of the recording, the others by name, and the name of the one at the start."""
    others = builtin_lights()
    if start.coefficients is not None:
        others[start.name] = start.coefficients
    return {
        "light": avatar.light.coefficients.tolist(),
        "lights": {name: [[round(x, 4) for x in row] for row in values.tolist()] for name, values in others.items()},
        "start_light": start.name,
    }


def _pack_splats(avatar: Avatar, rig: Rig, correctives: Correctives, payload: Payload) -> dict[str, Any]:
    """Add the splats' arrays to the payload; returns the entries of the header that say how to read them."""
    means = avatar.rest_means()
    low, high = means.amin(0), means.amax(0)
    steps = (means - low) / (high - low).clamp_min(1e-6)
    # Neighbours in space become neighbours in the array, which compresses better.
    order = _morton_order(steps)
    gaussians = avatar.gaussians
    log_scales = gaussians.scales.log()
    small, large = float(log_scales.min()), float(log_scales.max())
    sizes = (log_scales - small) / max(large - small, 1e-6)
    bones, weights = strongest_joints(rig.surface.weights, INFLUENCES)
    payload.add("centers", (steps[order] * 65535).round(), np.uint16)
    payload.add("turns", (gaussians.orientations(avatar.surface.quats)[order] * 127).round(), np.int8)
    shading = 128 + (avatar.skin_shading / LARGEST * 127).round()
    payload.add("sizes", torch.cat([(sizes * 255).round(), shading[:, None]], 1)[order], np.uint8)
    paints = torch.cat([gaussians.colors, gaussians.opacities[:, None]], dim=1)
    payload.add("paints", (paints[order] * 255).round(), np.uint8)
    payload.add("normals", (_octahedral(avatar.surface.normals[order]) * 127).round(), np.int8)
    payload.add("bones", bones[order], np.uint8)
    payload.add("weights", weights[order], np.uint8)
    return {
        "low": low.tolist(),
        "high": high.tolist(),
        "size_range": [small, large],
        "shading_range": LARGEST,
        "correctives": _pack_correctives(correctives, order, payload),
    }


def _pack_correctives(correctives: Correctives, order: Int[Tensor, " n"], payload: Payload) -> dict[str, Any]:
    basis = correctives.basis[:, order]
    # Displacements and brightness of each component fill the range of a byte.
    largest = basis.abs().amax(1)
    units = torch.stack([largest[:, :3].amax(1), largest[:, 3]], dim=1).clamp_min(1e-9) / 127
    payload.add("basis", (basis / units[:, None, [0, 0, 0, 1]]).round(), np.int8)
    payload.add("regression", correctives.regression, np.float32)
    coefficients = torch.cat(correctives.coefficients)
    return {
        "components": len(basis),
        "units": units.tolist(),
        "low": coefficients.amin(0).tolist(),
        "high": coefficients.amax(0).tolist(),
    }


def _pack_clips(
    clips: Mapping[str, BodyTrack], poses: Mapping[str, BodyPose], correctives: Correctives, payload: Payload
) -> list[dict[str, Any]]:
    entries = []
    for index, (name, track) in enumerate(clips.items()):
        entries.append(
            {
                "name": name,
                "fps": track.fps,
                "frames": len(track),
                "roots": payload.add(f"roots{index}", poses[name].root_position, np.float32),
                "quats": payload.add(f"quats{index}", quat_from_rotation(poses[name].rotations).flatten(1), np.float16),
                "coefficients": payload.add(f"coefficients{index}", correctives.coefficients[index], np.float32),
            }
        )
    return entries


def _joints(body: Body, rig: Rig) -> list[dict[str, Any]]:
    places = rig.joints.tolist()
    return [
        {"name": name, "parent": parent, "position": place}
        for name, parent, place in zip(body.joint_names, body.parents, places, strict=True)
    ]


def _morton_order(steps: Float[Tensor, "n 3"]) -> Int[Tensor, " n"]:
    """Indices that sort points of the unit cube along a curve that keeps neighbours together (Morton 1966)."""
    cell = (steps * 1023).long()
    code = torch.zeros_like(cell[:, 0])
    for bit in range(10):
        for axis in range(3):
            code |= ((cell[:, axis] >> bit) & 1) << (3 * bit + axis)
    return code.argsort(stable=True)


def _octahedral(normals: Float[Tensor, "n 3"]) -> Float[Tensor, "n 2"]:
    """Unit vectors on the unfolded octahedron, in [-1, 1] (Cigolle et al. 2014)."""
    flat = normals / normals.abs().sum(1, keepdim=True)
    folded = (1 - flat[:, [1, 0]].abs()) * torch.where(flat[:, :2] >= 0, 1.0, -1.0)
    return torch.where(flat[:, 2:] >= 0, flat[:, :2], folded)
