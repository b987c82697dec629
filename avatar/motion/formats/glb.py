"""Animation clips of glTF 2.0 files: GLB, or glTF with its buffer inside. Any rig whose joint names are recognized."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import AvatarError
from avatar.geometry import quat_from_rotation, rotation_from_quat, slerp
from avatar.motion.formats.container import Content
from avatar.motion.motion import Motion, ReadOptions
from avatar.motion.skeletons import JointAnimation, motion_from_animation

KINDS = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
LONGEST_SECONDS = 3600.0


class GlbFormat:
    """Reads an animation clip of a glTF or GLB file."""

    name = "glb"
    description = "glTF / GLB animation clip (Mixamo, VRM, Rokoko, Blender exports)"

    def recognizes(self, content: Content) -> bool:
        return content.kind == "gltf"

    def read(self, content: Content, options: ReadOptions) -> Motion:
        path = content.path
        try:
            scene, buffers = _opened(path, content.data)
            return motion_from_animation(_animation(path, scene, buffers, options.fps or 30.0), options)
        except AvatarError:
            raise
        # A broken file can fail anywhere in its nested tables.
        except (KeyError, IndexError, TypeError, ValueError, RecursionError, struct.error) as error:
            raise AvatarError(f"{path} is a broken glTF file: {type(error).__name__} {error}.") from error


def _opened(path: Path, data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The JSON part and the buffers."""
    chunk = b""
    if data[:4] == b"glTF":
        length = struct.unpack_from("<I", data, 12)[0]
        scene = json.loads(data[20 : 20 + length])
        start = 20 + length
        if start + 8 <= len(data):
            chunk = data[start + 8 : start + 8 + struct.unpack_from("<I", data, start)[0]]
    else:
        scene = json.loads(data)
    buffers = []
    for buffer in scene.get("buffers", []):
        uri = buffer.get("uri")
        if uri is not None and not uri.startswith("data:"):
            raise AvatarError(f"{path} keeps its data in another file, {uri}: export it as one GLB file.")
        try:
            content = chunk if uri is None else base64.b64decode(uri.partition(",")[2])
        except binascii.Error as error:
            raise AvatarError(f"{path} is a broken glTF file: {error}.") from error
        if len(content) < buffer["byteLength"]:
            raise AvatarError(f"{path} is cut off: {buffer['byteLength']} bytes are announced, {len(content)} exist.")
        buffers.append(content)
    return scene, buffers


def _accessor(scene: dict[str, Any], buffers: list[bytes], index: int) -> np.ndarray:
    """The numbers of an accessor, (count, width), with normalised integers brought to [-1, 1]."""
    accessor = scene["accessors"][index]
    view = scene["bufferViews"][accessor["bufferView"]]
    kind, width = np.dtype(KINDS[accessor["componentType"]]), WIDTHS[accessor["type"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    size = kind.itemsize * width
    stride = view.get("byteStride") or size
    used = buffers[view["buffer"]][start : start + stride * (accessor["count"] - 1) + size]
    if accessor["count"] < 1 or start < 0 or stride < size or len(used) < stride * (accessor["count"] - 1) + size:
        raise ValueError("an accessor reaches beyond its buffer")
    raw = np.frombuffer(used + bytes(stride - size), np.uint8)
    rows = raw.reshape(accessor["count"], stride)[:, :size]
    values = np.ascontiguousarray(rows).view(kind).reshape(accessor["count"], width).astype(np.float64)
    return np.clip(values / np.iinfo(str(kind)).max, -1, 1) if accessor.get("normalized") else values


def _animation(path: Path, scene: dict[str, Any], buffers: list[bytes], fps: float) -> JointAnimation:
    if not scene.get("animations"):
        raise AvatarError(f"{path} holds no animation.")
    nodes = scene["nodes"]
    parents = [-1] * len(nodes)
    for index, node in enumerate(nodes):
        for child in node.get("children", []):
            parents[child] = index
    rest = [_node_parts(node) for node in nodes]
    times, tracks = _tracks(path, scene, buffers, fps)
    parts = []
    for index, (T, R, S) in enumerate(rest):
        own = tracks.get(index, {})
        parts.append(tuple(own.get(kind, torch.as_tensor(value, dtype=torch.float64).expand(len(times), -1))
                           for kind, value in (("translation", T), ("rotation", R), ("scale", S))))  # fmt: skip
    local = torch.stack([_matrix(*part) for part in parts], 1)
    bound = _bind_matrices(scene, buffers)
    still = _chained(
        path, torch.stack([_matrix(*(torch.tensor([x], dtype=torch.float64) for x in r)) for r in rest], 1), parents
    )[0]
    for index, matrix in bound.items():
        still[index] = matrix
    moving = _chained(path, local, parents)
    chosen = sorted(bound) or list(range(len(nodes)))
    return JointAnimation(
        format="glb",
        path=path,
        names=tuple(str(nodes[index].get("name", f"node{index}")) for index in chosen),
        parents=tuple(_nearest(parents, index, chosen) for index in chosen),
        rest_rotations=_rotation(still)[chosen],
        rest_positions=still[chosen, :3, 3],
        rotations=_rotation(moving)[:, chosen],
        positions=moving[:, chosen, :3, 3],
        fps=fps,
        up="y",
    )


def _node_parts(node: dict[str, Any]) -> tuple[list[float], list[float], list[float]]:
    """Translation, quaternion xyzw and scale of a node at rest."""
    if "matrix" not in node:
        usual = {"translation": [0.0, 0.0, 0.0], "rotation": [0.0, 0.0, 0.0, 1.0], "scale": [1.0, 1.0, 1.0]}
        T, R, S = ([float(x) for x in node.get(name, value)] for name, value in usual.items())
        return T, R, S
    M = torch.tensor(node["matrix"], dtype=torch.float64).reshape(4, 4).T
    w, x, y, z = quat_from_rotation(_rotation(M)).tolist()
    return M[:3, 3].tolist(), [x, y, z, w], M[:3, :3].norm(dim=0).tolist()


def _tracks(
    path: Path, scene: dict[str, Any], buffers: list[bytes], fps: float
) -> tuple[np.ndarray, dict[int, dict[str, Tensor]]]:
    """The first animation's channels, resampled to common times."""
    animation = scene["animations"][0]
    curves: list[tuple[int, str, np.ndarray, Tensor]] = []
    for channel in animation["channels"]:
        kind, node = channel["target"]["path"], channel["target"].get("node")
        if kind in ("translation", "rotation", "scale") and node is not None:
            sampler = animation["samplers"][channel["sampler"]]
            keys = _accessor(scene, buffers, sampler["input"])[:, 0]
            values = _accessor(scene, buffers, sampler["output"])
            if sampler.get("interpolation") == "CUBICSPLINE":
                values = values[1::3]  # the tangents before and after each value matter little at dense keys
            if len(values) != len(keys) or not np.isfinite(values).all() or not np.isfinite(keys).all():
                raise AvatarError(f"{path}: an animation channel of {kind} is broken or not finite.")
            curves.append((node, kind, keys, torch.from_numpy(values)))
    last = max((float(keys[-1]) for _, _, keys, _ in curves), default=-1.0)
    if not 0 <= last <= LONGEST_SECONDS:
        raise AvatarError(f"{path}: its animation lasts {last:g} s.")
    times = np.arange(int(last * fps + 1e-6) + 1) / fps
    tracks: dict[int, dict[str, Tensor]] = {}
    for node, kind, keys, points in curves:
        after = np.clip(np.searchsorted(keys, times), min(1, len(keys) - 1), len(keys) - 1)
        before = np.maximum(after - 1, 0)
        share = torch.from_numpy(np.clip((times - keys[before]) / np.maximum(keys[after] - keys[before], 1e-9), 0, 1))
        one, two = points[before], points[after]
        mixed = slerp(one, two, share) if kind == "rotation" else torch.lerp(one, two, share[:, None])
        tracks.setdefault(node, {})[kind] = mixed
    return times, tracks


def _matrix(T: Float[Tensor, "t 3"], q: Float[Tensor, "t 4"], S: Float[Tensor, "t 3"]) -> Float[Tensor, "t 4 4"]:
    M = torch.zeros(len(T), 4, 4, dtype=torch.float64)
    M[:, :3, :3] = rotation_from_quat(torch.nn.functional.normalize(q[:, [3, 0, 1, 2]], dim=-1)) * S[:, None, :]
    M[:, :3, 3] = T
    M[:, 3, 3] = 1
    return M


def _chained(path: Path, local: Float[Tensor, "t n 4 4"], parents: list[int]) -> Float[Tensor, "t n 4 4"]:
    """World matrices of all nodes; a node may be listed before its parent."""
    done: dict[int, Tensor] = {}
    waiting = list(range(len(parents)))
    while waiting:
        ready = [n for n in waiting if parents[n] < 0 or parents[n] in done]
        if not ready:
            raise AvatarError(f"{path} is a broken glTF file: its node hierarchy has a cycle.")
        for n in ready:
            done[n] = local[:, n] if parents[n] < 0 else done[parents[n]] @ local[:, n]
        waiting = [n for n in waiting if n not in done]
    return torch.stack([done[n] for n in range(len(parents))], 1)


def _bind_matrices(scene: dict[str, Any], buffers: list[bytes]) -> dict[int, Tensor]:
    """Joint node -> its matrix when the skin was bound, which is the rest pose whatever the nodes hold."""
    bound: dict[int, Tensor] = {}
    for skin in scene.get("skins", []):
        if "inverseBindMatrices" in skin:
            inverse = _accessor(scene, buffers, skin["inverseBindMatrices"]).reshape(-1, 4, 4)
            for node, matrix in zip(skin["joints"], inverse, strict=False):
                bound[node] = torch.linalg.inv(torch.from_numpy(matrix.T.copy()))
    return bound


def _rotation(M: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 3 3"]:
    R: Tensor = M[..., :3, :3] / M[..., :3, :3].norm(dim=-2, keepdim=True).clamp_min(1e-12)
    return R


def _nearest(parents: list[int], index: int, chosen: list[int]) -> int:
    """Index in `chosen` of the nearest ancestor that is in it, or -1."""
    above = parents[index]
    while above >= 0 and above not in chosen:
        above = parents[above]
    return chosen.index(above) if above >= 0 else -1
