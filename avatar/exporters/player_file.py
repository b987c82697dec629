"""An avatar with its motions as one file for players: a page holds it, and the component loads it.

The format is described in docs/formats/player-file.md; `player/avatar_file.js` reads it.
"""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from avatar.body import Body
from avatar.body.skeleton import FINGER_JOINTS
from avatar.exporters.face_table import FaceTable, face_table
from avatar.exporters.linear_correctives import RANK, Correctives, fit_correctives
from avatar.exporters.page_tables import figure_table, motion_table
from avatar.exporters.skin_weights import strongest_joints
from avatar.exporters.spring_table import spring_table
from avatar.geometry import quat_from_rotation
from avatar.model.avatar import Avatar
from avatar.model.environment import FILMED, ChosenLight, builtin_lights
from avatar.model.rig import Rig
from avatar.model.skin_shading import LARGEST
from avatar.types import BodyPose, BodyTrack, Gaussians

# The second version has splats beside the avatar's: props and a scene; the third has springs, and may have those too.
# Whoever has neither is written in the first one.
MAGIC, MAGIC_WITH_EXTRAS, MAGIC_WITH_SPRINGS = b"AVATAR1\n", b"AVATAR2\n", b"AVATAR3\n"
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
    avatar: Avatar,
    clips: Mapping[str, BodyTrack],
    rank: int = RANK,
    light: ChosenLight | None = None,
    scene: Gaussians | None = None,
) -> PlayerFile:
    """Pack the avatar with its props and clips.

    Args:
        avatar: the avatar.
        clips: motions for this avatar by the name shown in the player; the first plays at the start.
        rank: number of linear correctives that approximate the learned deformation.
        light: the light at the start; the light of the recording and the built-in ones can be chosen too.
        scene: what stands still around the person, world, metres.
    """
    if avatar.device.type != "cpu":
        avatar = copy.deepcopy(avatar).cpu()  # clips are on the CPU, and so is all that is written
    clips = {name: replace(track, poses=avatar.gripping(track.poses)) for name, track in clips.items()}
    body, rig = avatar.rig_for(track.poses for track in clips.values())
    poses = {name: body.complete(track.poses) for name, track in clips.items()}
    still = [replace(pose, face=None) for pose in poses.values()]  # the face has a table of its own
    correctives = fit_correctives(avatar, still, [track.fps for track in clips.values()], rank)
    payload = Payload()
    own = _own_splats(avatar, rig)
    face = face_table(rig, own.order, clips)
    world = len(body.joint_names) + (0 if avatar.springs is None else len(avatar.springs))
    extras = extra_splats(avatar, body, None if scene is None else scene.to("cpu"), world)
    header = {
        "splats": len(avatar) + (0 if extras is None else len(extras.gaussians)),
        "joints": _joints(body, rig),
        **({} if rig.springs is None else {"springs": spring_table(rig.springs, body.joint_names)}),
        **_lights(avatar, light or ChosenLight(FILMED, None)),
        **_pack_splats(own, extras, payload),
        "correctives": _pack_correctives(correctives, own.order, payload),
        **({} if face is None else {"face": _pack_face(face, payload)}),
        "clips": _pack_clips(clips, poses, correctives, payload),
        "words": motion_table(),
        "figure": figure_table(avatar.body),
        **({} if extras is None else {"grips": _grips(avatar, body)}),
        **({} if scene is None else {"scene": _scene_box(scene)}),
        "arrays": payload.table,
    }
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)  # the arrays begin at a multiple of four bytes
    packed = zlib.compress(len(text).to_bytes(4, "little") + text + bytes(payload.data), 9)
    magic = MAGIC if extras is None else MAGIC_WITH_EXTRAS
    return PlayerFile(
        (magic if rig.springs is None else MAGIC_WITH_SPRINGS) + packed, header["splats"], correctives.explained
    )


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


@dataclass(frozen=True)
class SplatTable:
    """Splats at rest as players skin them.

    Attributes:
        gaussians: in the rest frame, in even light; normals: unit.
        shading: of skin, log brightness, see `Avatar.skin_shading`.
        bones, weights: the joints that move each, and their weights of 0 to 255.
        low, high: corners of the box of the centres, metres.
        order: neighbours in space become neighbours in the file, which compresses better.
    """

    gaussians: Gaussians
    normals: Float[Tensor, "n 3"]
    bones: Int[Tensor, "n 4"]
    weights: Int[Tensor, "n 4"]
    shading: Float[Tensor, " n"]

    @cached_property
    def low(self) -> Float[Tensor, " 3"]:
        return self.gaussians.means.amin(0)

    @cached_property
    def high(self) -> Float[Tensor, " 3"]:
        return self.gaussians.means.amax(0)

    @cached_property
    def steps(self) -> Float[Tensor, "n 3"]:
        """Centres through the box, 0 to 1."""
        return (self.gaussians.means - self.low) / (self.high - self.low).clamp_min(1e-6)

    @cached_property
    def order(self) -> Int[Tensor, " n"]:
        return _morton_order(self.steps)


def _own_splats(avatar: Avatar, rig: Rig) -> SplatTable:
    gaussians = avatar.gaussians
    turns = gaussians.orientations(avatar.surface.quats)
    splats = Gaussians(avatar.rest_means(), turns, gaussians.scales, gaussians.opacities, gaussians.colors)
    surface = rig.surface if rig.springs is None else rig.springs.surface
    bones, weights = strongest_joints(surface.weights, INFLUENCES)
    return SplatTable(splats, avatar.surface.normals, bones, weights, avatar.skin_shading)


def extra_splats(avatar: Avatar, body: Body, scene: Gaussians | None, world: int) -> SplatTable | None:
    """The props, which follow one joint each, and the scene, which follows the one of index `world`."""
    parts = [(p.shape.gaussians, p.shape.normals, body.joint_names.index(p.joint)) for p in avatar.placed_props]
    if scene is not None:
        parts.append((scene, torch.tensor([0.0, 1.0, 0.0]).expand(len(scene), 3), world))
    if not parts:
        return None
    bones = torch.cat([torch.full((len(splats), 1), bone) for splats, _, bone in parts])
    weights = torch.tensor([255, 0, 0, 0]).expand(len(bones), 4)
    normals = torch.cat([normals for _, normals, _ in parts])
    splats = Gaussians.cat([splats for splats, _, _ in parts])
    return SplatTable(splats, normals, bones.expand(-1, 4), weights, torch.zeros(len(bones)))


def _pack_splats(own: SplatTable, extras: SplatTable | None, payload: Payload) -> dict[str, Any]:
    """Add the arrays of all splats to the payload, the avatar's first; returns the entries of the header for them."""
    tables = [own] if extras is None else [own, extras]

    def together(values: Callable[[SplatTable], Tensor]) -> Tensor:
        return torch.cat([values(table)[table.order] for table in tables])

    log_scales = together(lambda table: table.gaussians.scales.log())
    small, large = float(log_scales.min()), float(log_scales.max())
    sizes = (log_scales - small) / max(large - small, 1e-6)
    paints = together(lambda table: torch.cat([table.gaussians.colors, table.gaussians.opacities[:, None]], dim=1))
    payload.add("centers", (together(lambda table: table.steps) * 65535).round(), np.uint16)
    payload.add("turns", (together(lambda table: table.gaussians.quats) * 127).round(), np.int8)
    shading = 128 + (together(lambda table: table.shading[:, None]) / LARGEST * 127).round()
    payload.add("sizes", torch.cat([(sizes * 255).round(), shading], 1), np.uint8)
    payload.add("paints", (paints.clamp(0, 1) * 255).round(), np.uint8)
    payload.add("normals", (_octahedral(together(lambda table: table.normals)) * 127).round(), np.int8)
    payload.add("bones", together(lambda table: table.bones), np.uint8)
    payload.add("weights", together(lambda table: table.weights), np.uint8)
    entries = {
        "low": own.low.tolist(),
        "high": own.high.tolist(),
        "size_range": [small, large],
        "shading_range": LARGEST,
    }
    if extras is None:
        return entries
    box = {"low": extras.low.tolist(), "high": extras.high.tolist()}
    return {**entries, "extras": {"splats": len(extras.gaussians), **box}}


def _scene_box(scene: Gaussians) -> dict[str, list[float]]:
    low, high = scene.inner_box
    return {"low": low.tolist(), "high": high.tolist()}


def _grips(avatar: Avatar, body: Body) -> dict[str, list[float]]:
    """Rotations of the finger joints, by name, that hold something whatever the motion: for motions loaded later."""
    rest = BodyPose(torch.zeros(3), torch.eye(3).repeat(24, 1, 1))
    quats = quat_from_rotation(body.complete(avatar.gripping(rest)).rotations)
    joints = [name for name in FINGER_JOINTS if any(name.startswith(grip.side) for grip in avatar.grips)]
    return {name: quats[body.joint_names.index(name)].tolist() for name in joints}


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


def _pack_face(face: FaceTable, payload: Payload) -> dict[str, Any]:
    payload.add("face_splats", face.splats[:, None], np.uint32)
    payload.add("face_moves", face.moves, np.int8)
    return face.header


def _pack_clips(
    clips: Mapping[str, BodyTrack], poses: Mapping[str, BodyPose], correctives: Correctives, payload: Payload
) -> list[dict[str, Any]]:
    entries = []
    for index, (name, track) in enumerate(clips.items()):
        face = track.poses.face
        shown = (
            {} if face is None else {"face": payload.add(f"face{index}", (face.clamp(0, 1) * 255).round(), np.uint8)}
        )
        entries.append(
            {
                "name": name,
                "fps": track.fps,
                "frames": len(track),
                "roots": payload.add(f"roots{index}", poses[name].root_position, np.float32),
                "quats": payload.add(f"quats{index}", quat_from_rotation(poses[name].rotations).flatten(1), np.float16),
                "coefficients": payload.add(f"coefficients{index}", correctives.coefficients[index], np.float32),
                **shown,
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
