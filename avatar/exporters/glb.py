"""The body's mesh as binary glTF 2.0: skeleton, weights, colours taken from the splats, motions as animations.

glTF is Y up, in metres, and its models face +Z, like ours, so nothing is rotated. Blender, three.js, Unity and
other programs open the file as a rigged character.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar import __version__
from avatar.body import Body
from avatar.exporters.skin_weights import strongest_joints
from avatar.geometry import quat_from_rotation, vertex_normals
from avatar.io.exposure import linear_light
from avatar.io.files import atomic_write
from avatar.model.avatar import Avatar
from avatar.model.props import PlacedProp
from avatar.model.rig import Rig
from avatar.types import BodyPose, BodyTrack

FLOAT, UNSIGNED_BYTE, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5121, 5123, 5125
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
NEIGHBOURS = 8  # splats that colour one vertex


@dataclass
class Buffer:
    """The binary part of the file, and the tables of its views and accessors."""

    data: bytearray = field(default_factory=bytearray)
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)

    def add(self, array: np.ndarray, kind: str, target: int | None = None, bounds: bool = False, **extra: Any) -> int:
        """Append an array; returns the index of its accessor. `kind` is SCALAR, VEC3, ..."""
        component = {"f4": FLOAT, "u1": UNSIGNED_BYTE, "u2": UNSIGNED_SHORT, "u4": UNSIGNED_INT}[array.dtype.str[1:]]
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes}
        self.views.append(view | ({"target": target} if target else {}))
        self.data += np.ascontiguousarray(array).tobytes()
        self.data += bytes(-len(self.data) % 4)
        accessor = {"bufferView": len(self.views) - 1, "componentType": component, "count": len(array), "type": kind}
        if bounds:
            flat = array.reshape(len(array), -1)
            accessor |= {"min": flat.min(0).tolist(), "max": flat.max(0).tolist()}
        self.accessors.append(accessor | extra)
        return len(self.accessors) - 1


@torch.no_grad()
def write_glb(
    avatar: Avatar, path: Path, pose: BodyPose | None = None, motions: Mapping[str, BodyTrack] | None = None
) -> None:
    """Write the body as a rigged, coloured mesh, with its props as meshes below their joints.

    Args:
        avatar: the avatar.
        path: the file to write.
        pose: the pose of the skeleton; the rest pose if not given.
        motions: animations by name.

    Raises:
        AvatarError: the file cannot be written.
    """
    buffer = Buffer()
    pose = None if pose is None else avatar.gripping(pose)
    motions = {name: replace(t, poses=avatar.gripping(t.poses)) for name, t in (motions or {}).items()}
    body, rig = avatar.rig_for([*([] if pose is None else [pose]), *(t.poses for t in motions.values())])
    joints = len(body.parents)
    meshes = [{"name": "body", "primitives": [_primitive(avatar, body, buffer)]}]
    inverse_binds = np.tile(np.eye(4, dtype="<f4"), (joints, 1, 1))
    inverse_binds[:, :3, 3] = -_array(rig.joints)
    skin = {
        "joints": list(range(joints)),
        "skeleton": 0,
        # glTF stores matrices column by column.
        "inverseBindMatrices": buffer.add(inverse_binds.transpose(0, 2, 1).copy(), "MAT4"),
    }
    nodes = _joint_nodes(body, rig, pose) + [{"name": "avatar", "mesh": 0, "skin": 0}]
    for placed in avatar.placed_props:
        joint = body.joint_names.index(placed.joint)
        meshes.append({"name": placed.prop.name, "primitives": [_prop_primitive(placed, rig.joints[joint], buffer)]})
        nodes[joint].setdefault("children", []).append(len(nodes))
        nodes.append({"name": placed.prop.name, "mesh": len(meshes) - 1})
    animations = [_animation(body, name, track, buffer) for name, track in motions.items()]
    content = {
        "asset": {"version": "2.0", "generator": f"avatar {__version__}"},
        "scene": 0,
        "scenes": [{"nodes": [0, joints]}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": [
            {"name": "skin", "pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 0.9}},
            {
                "name": "prop",
                "doubleSided": True,
                "pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 0.8},
            },
        ],
        "skins": [skin],
        "buffers": [{"byteLength": len(buffer.data)}],
        "bufferViews": buffer.views,
        "accessors": buffer.accessors,
    }
    if animations:
        content["animations"] = animations
    with atomic_write(path) as temporary:
        temporary.write_bytes(_container(content, bytes(buffer.data)))


def _primitive(avatar: Avatar, body: Body, buffer: Buffer) -> dict[str, Any]:
    vertices, faces = avatar.rest.vertices, avatar.body.faces
    joints, weights = strongest_joints(body.weights, 4)
    attributes = {
        "POSITION": buffer.add(_array(vertices), "VEC3", ARRAY_BUFFER, bounds=True),
        "NORMAL": buffer.add(_array(vertex_normals(vertices, faces)), "VEC3", ARRAY_BUFFER),
        "COLOR_0": buffer.add(linear_light(_array(vertex_colors(avatar))), "VEC3", ARRAY_BUFFER),
        "JOINTS_0": buffer.add(_array(joints, "<u2"), "VEC4", ARRAY_BUFFER),
        "WEIGHTS_0": buffer.add(_array(weights, "<u1"), "VEC4", ARRAY_BUFFER, normalized=True),
    }
    indices = buffer.add(_array(faces.flatten(), "<u4"), "SCALAR", ELEMENT_ARRAY_BUFFER)
    return {"attributes": attributes, "indices": indices, "material": 0}


def _prop_primitive(placed: PlacedProp, joint: Float[Tensor, " 3"], buffer: Buffer) -> dict[str, Any]:
    """The mesh of a prop in the frame of its joint, which is parallel to the world's at rest."""
    mesh = placed.shape.as_mesh()
    attributes = {
        "POSITION": buffer.add(_array(mesh.vertices - joint), "VEC3", ARRAY_BUFFER, bounds=True),
        "NORMAL": buffer.add(_array(vertex_normals(mesh.vertices, mesh.faces)), "VEC3", ARRAY_BUFFER),
        "COLOR_0": buffer.add(linear_light(_array(mesh.colors)).astype("<f4"), "VEC3", ARRAY_BUFFER),
    }
    indices = buffer.add(_array(mesh.faces.flatten(), "<u4"), "SCALAR", ELEMENT_ARRAY_BUFFER)
    return {"attributes": attributes, "indices": indices, "material": 1}


def _joint_nodes(body: Body, rig: Rig, pose: BodyPose | None) -> list[dict[str, Any]]:
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


def _animation(body: Body, name: str, track: BodyTrack, buffer: Buffer) -> dict[str, Any]:
    poses = body.complete(track.poses)
    times = buffer.add(_array(track.times - track.times[0]), "SCALAR", bounds=True)
    samplers = [{"input": times, "output": buffer.add(_array(poses.root_position), "VEC3")}]
    channels = [{"sampler": 0, "target": {"node": 0, "path": "translation"}}]
    quats = _continuous(quat_from_rotation(poses.rotations))
    for joint in range(quats.shape[1]):
        output = buffer.add(_array(quats[:, joint, [1, 2, 3, 0]]), "VEC4")
        channels.append({"sampler": len(samplers), "target": {"node": joint, "path": "rotation"}})
        samplers.append({"input": times, "output": output})
    return {"name": name, "samplers": samplers, "channels": channels}


def _continuous(quats: Float[Tensor, "frames joints 4"]) -> Float[Tensor, "frames joints 4"]:
    """The same rotations with continuous signs, since some players interpolate the raw components."""
    flips = torch.where((quats[1:] * quats[:-1]).sum(-1) < 0, -1.0, 1.0)
    signs = torch.cat([torch.ones_like(flips[:1]), flips]).cumprod(0)
    return quats * signs[..., None]


def vertex_colors(avatar: Avatar) -> Float[Tensor, "v 3"]:
    """Colours of the body's vertices, sRGB: the mean of the nearest splats, weighted by distance and opacity."""
    from scipy.spatial import cKDTree

    count = min(NEIGHBOURS, len(avatar))
    tree = cKDTree(_array(avatar.rest_means()))
    distances, nearest = tree.query(_array(avatar.rest.vertices), k=range(1, count + 1))
    opacities = _array(avatar.gaussians.opacities)[nearest]
    weights = opacities / (distances + 0.002)
    colors = (weights[..., None] * _array(avatar.gaussians.colors)[nearest]).sum(1) / weights.sum(1, keepdims=True)
    return torch.from_numpy(colors.astype(np.float32))


def _array(tensor: Tensor, kind: str = "<f4") -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(kind)


def _container(content: dict[str, Any], binary: bytes) -> bytes:
    """The GLB container: a header and two chunks, each padded to four bytes (glTF 2.0, section 4.4)."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    binary += bytes(-len(binary) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
