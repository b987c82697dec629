"""Binary glTF 2.0: buffers, the skeleton as nodes, motions as animations, and the container."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar import __version__
from avatar.body import Body
from avatar.geometry import quat_from_rotation
from avatar.io.files import atomic_write
from avatar.model.rig import Rig
from avatar.types import BodyPose, BodyTrack

FLOAT, UNSIGNED_BYTE, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5121, 5123, 5125
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963


@dataclass
class Buffer:
    """The binary part of the file, and the tables of its views and accessors."""

    data: bytearray = field(default_factory=bytearray)
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)

    def add(self, array: np.ndarray, kind: str, target: int | None = None, bounds: bool = False, **extra: Any) -> int:
        """Append an array; returns the index of its accessor. `kind` is SCALAR, VEC3, ..."""
        view = self.add_bytes(np.ascontiguousarray(array).tobytes(), target)
        accessor = {"bufferView": view, "componentType": _component(array), "count": len(array), "type": kind}
        if bounds:
            accessor |= _bounds(array)
        self.accessors.append(accessor | extra)
        return len(self.accessors) - 1

    def add_sparse(self, array: np.ndarray, rows: np.ndarray, kind: str) -> int:
        """An array that is zero outside of some rows (increasing); returns the index of its accessor."""
        values, whole = array[rows], np.zeros_like(array)
        whole[rows] = values
        accessor: dict[str, Any] = {"componentType": _component(array), "count": len(array), "type": kind}
        accessor |= _bounds(whole)
        if len(rows):
            accessor["sparse"] = {
                "count": len(rows),
                "indices": {"bufferView": self.add_bytes(rows.astype("<u4").tobytes()), "componentType": UNSIGNED_INT},
                "values": {"bufferView": self.add_bytes(np.ascontiguousarray(values).tobytes())},
            }
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def add_bytes(self, content: bytes, target: int | None = None) -> int:
        """Append bytes; returns the index of their view."""
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(content)}
        self.views.append(view | ({"target": target} if target else {}))
        self.data += content
        self.data += bytes(-len(self.data) % 4)
        return len(self.views) - 1


def _component(array: np.ndarray) -> int:
    return {"f4": FLOAT, "u1": UNSIGNED_BYTE, "u2": UNSIGNED_SHORT, "u4": UNSIGNED_INT}[array.dtype.str[1:]]


def _bounds(array: np.ndarray) -> dict[str, list[float]]:
    flat = array.reshape(len(array), -1)
    return {"min": flat.min(0).tolist(), "max": flat.max(0).tolist()}


def write_gltf(path: Path, content: dict[str, Any], buffer: Buffer) -> None:
    """Write a file with one scene of these tables and this buffer, replacing it in one step.

    Raises:
        AvatarError: the file cannot be written.
    """
    whole = {
        "asset": {"version": "2.0", "generator": f"avatar {__version__}"},
        "scene": 0,
        **content,
        "buffers": [{"byteLength": len(buffer.data)}],
        "bufferViews": buffer.views,
        "accessors": buffer.accessors,
    }
    with atomic_write(path) as temporary:
        temporary.write_bytes(_container({name: table for name, table in whole.items() if table != []}, buffer.data))


def _container(content: dict[str, Any], binary: bytes | bytearray) -> bytes:
    """The GLB container: a header and two chunks, each padded to four bytes (glTF 2.0, section 4.4)."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    binary = bytes(binary) + bytes(-len(binary) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def skin_table(rig: Rig, buffer: Buffer) -> dict[str, Any]:
    """The skin of the joints that `joint_nodes` makes, as the first nodes of the file."""
    matrices = np.tile(np.eye(4, dtype="<f4"), (len(rig.parents), 1, 1))
    matrices[:, :3, 3] = -array(rig.joints)
    # glTF stores matrices column by column.
    inverse_binds = buffer.add(matrices.transpose(0, 2, 1).copy(), "MAT4")
    return {"joints": list(range(len(rig.parents))), "skeleton": 0, "inverseBindMatrices": inverse_binds}


def joint_nodes(body: Body, rig: Rig, pose: BodyPose | None) -> list[dict[str, Any]]:
    """The skeleton as nodes; each joint's frame is parallel to the world's at rest."""
    places = rig.joints
    quats = None if pose is None else quat_from_rotation(body.complete(pose).rotations)
    nodes: list[dict[str, Any]] = []
    for joint, parent in enumerate(body.parents):
        offset = places[joint] - places[parent] if parent >= 0 else places[joint]
        if parent < 0 and pose is not None:
            offset = pose.root_position
        node: dict[str, Any] = {"name": body.joint_names[joint], "translation": offset.tolist()}
        if quats is not None:
            node["rotation"] = quats[joint, [1, 2, 3, 0]].tolist()
        children = [child for child, above in enumerate(body.parents) if above == joint]
        nodes.append(node | ({"children": children} if children else {}))
    return nodes


def animation(
    body: Body, name: str, track: BodyTrack, buffer: Buffer, morphs: tuple[int, np.ndarray] | None = None
) -> dict[str, Any]:
    """A motion of the joints.

    Args:
        morphs: the node with morph targets, and their weights in each frame.
    """
    poses = body.complete(track.poses)
    times = buffer.add(array(track.times - track.times[0]), "SCALAR", bounds=True)
    samplers = [{"input": times, "output": buffer.add(array(poses.root_position), "VEC3")}]
    channels = [{"sampler": 0, "target": {"node": 0, "path": "translation"}}]
    quats = _continuous(quat_from_rotation(poses.rotations))
    for joint in range(quats.shape[1]):
        output = buffer.add(array(quats[:, joint, [1, 2, 3, 0]]), "VEC4")
        channels.append({"sampler": len(samplers), "target": {"node": joint, "path": "rotation"}})
        samplers.append({"input": times, "output": output})
    if morphs is not None:
        node, weights = morphs
        channels.append({"sampler": len(samplers), "target": {"node": node, "path": "weights"}})
        samplers.append({"input": times, "output": buffer.add(weights.astype("<f4").reshape(-1), "SCALAR")})
    return {"name": name, "samplers": samplers, "channels": channels}


def _continuous(quats: Float[Tensor, "frames joints 4"]) -> Float[Tensor, "frames joints 4"]:
    """The same rotations with continuous signs, since some players interpolate the raw components."""
    flips = torch.where((quats[1:] * quats[:-1]).sum(-1) < 0, -1.0, 1.0)
    signs = torch.cat([torch.ones_like(flips[:1]), flips]).cumprod(0)
    return quats * signs[..., None]


def array(tensor: Tensor, kind: str = "<f4") -> np.ndarray:
    """A tensor's values as a little-endian array."""
    return tensor.detach().cpu().numpy().astype(kind)
