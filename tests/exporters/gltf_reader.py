"""glTF files read back as the specification says, from what pygltflib makes of them."""

from __future__ import annotations

import numpy as np
import trimesh
from jaxtyping import Float
from pygltflib import GLTF2

COMPONENTS = {5126: np.float32, 5121: np.uint8, 5123: np.uint16, 5125: np.uint32}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def values(file: GLTF2, index: int) -> np.ndarray:
    """An accessor's numbers, one row per element, sparse or not (sections 3.6.2.1 and 3.6.2.3)."""
    accessor = file.accessors[index]
    kind, width = COMPONENTS[accessor.componentType], WIDTHS[accessor.type]

    def read(view: int, kind: type, count: int) -> np.ndarray:
        return np.frombuffer(file.binary_blob(), kind, count, file.bufferViews[view].byteOffset)

    if accessor.bufferView is not None:
        rows = read(accessor.bufferView, kind, accessor.count * width).reshape(-1, width).copy()
    else:
        rows = np.zeros((accessor.count, width), kind)
    if accessor.sparse is not None:
        count = accessor.sparse.count
        where = read(accessor.sparse.indices.bufferView, COMPONENTS[accessor.sparse.indices.componentType], count)
        rows[where] = read(accessor.sparse.values.bufferView, kind, count * width).reshape(-1, width)
    return rows


def attribute(file: GLTF2, name: str) -> np.ndarray:
    """An attribute of the only primitive; bytes of weights as shares."""
    rows = values(file, getattr(file.meshes[0].primitives[0].attributes, name))
    return rows / 255 if name == "WEIGHTS_0" else rows


def joint_matrices(file: GLTF2, clip: int, frame: int) -> Float[np.ndarray, "joints 4 4"]:
    """What the only skin's joints do to points of the mesh in one frame of an animation (section 3.7.3.2)."""
    animation, skin = file.animations[clip], file.skins[0]
    local: dict[int, dict[str, np.ndarray]] = {}
    for channel in animation.channels:
        if channel.target.path != "weights":
            output = values(file, animation.samplers[channel.sampler].output)
            local.setdefault(channel.target.node, {})[channel.target.path] = output[frame]
    world: dict[int, np.ndarray] = {}

    def visit(index: int, parent: np.ndarray) -> None:
        node, moved = file.nodes[index], local.get(index, {})
        x, y, z, w = moved.get("rotation", node.rotation or [0, 0, 0, 1])
        matrix = trimesh.transformations.quaternion_matrix([w, x, y, z])
        matrix[:3, 3] = moved.get("translation", node.translation or [0, 0, 0])
        world[index] = parent @ matrix
        for child in node.children or []:
            visit(child, world[index])

    visit(file.scenes[0].nodes[0], np.eye(4))
    inverse_binds = values(file, skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
    moved: np.ndarray = np.stack([world[joint] for joint in skin.joints]) @ inverse_binds
    return moved


def skinned(file: GLTF2, clip: int, frame: int) -> Float[np.ndarray, "n 3"]:
    """The vertices or points in one frame of an animation."""
    joints, weights = attribute(file, "JOINTS_0").astype(int), attribute(file, "WEIGHTS_0")
    points = attribute(file, "POSITION")
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    matrices = joint_matrices(file, clip, frame)
    moved: np.ndarray = np.einsum("nk,nkij,nj->ni", weights, matrices[joints], homogeneous)[:, :3]
    return moved
