"""FBX 7.4 files of the truth, as text and binary, after Blender's description of the format (2013)."""

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS

from .glb_files import FRAMES, REST, ROTATIONS, TRANS

TICKS = 46186158000  # per second
Y_TO_Z = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


@dataclass
class Node:
    """One element: its name, its values and what it holds."""

    name: str
    values: list[Any] = field(default_factory=list)
    inner: list["Node"] = field(default_factory=list)


def fbx_of_truth(
    clips: tuple[str, ...] = ("Take 001",), z_up: bool = False, turned: bool = False, bind: bool = False
) -> Node:
    """A skeleton in centimetres.

    Args:
        clips: all but the last hold still.
        z_up: whether the world is that of 3ds Max.
        bind: whether a bind pose holds the rest pose, and the nodes themselves hold the first frame.
        turned: whether each joint's frame lies anywhere at rest, by a rotation before the animated one, as Mixamo's do.
    """
    world = Y_TO_Z if z_up else np.eye(3)
    frames = Rotation.random(24, random_state=3) if turned else Rotation.identity(24)
    objects: list[Node] = []
    links: list[tuple[Any, ...]] = []
    for j, name in enumerate(SMPL_JOINTS):
        above = frames[SMPL_PARENTS[j]] if j else Rotation.identity()
        offset = 100 * world @ (REST[j] - REST[SMPL_PARENTS[j]] if j else REST[0])
        before = above.inv() * frames[j]
        place, at_rest = above.inv().apply(offset), np.zeros(3)
        if bind:
            local = Rotation.from_matrix(world @ ROTATIONS[0, j].double().numpy() @ world.T)
            at_rest = (frames[j].inv() * local * frames[j]).as_euler("xyz", degrees=True)
        objects.append(_model(1000 + j, name, place, before.as_euler("xyz", degrees=True), at_rest))
        objects.append(Node("NodeAttribute", [5000 + j, f"{name}\x00\x01NodeAttribute", "LimbNode"],
                            [Node("TypeFlags", ["Skeleton"])]))  # fmt: skip
        links += [("OO", 5000 + j, 1000 + j), ("OO", 1000 + j, 1000 + SMPL_PARENTS[j] if j else 0)]
    for number, clip in enumerate(clips):
        still = number < len(clips) - 1
        more, more_links = _clip(20000 + 1000 * number, clip, world, frames, still)
        objects += more
        links += more_links
    if bind:
        objects.append(_bind_pose(world, frames))
    rows = [Node("C", list(link)) for link in links]
    return Node("", [], [
        Node("FBXHeaderExtension", [], [Node("FBXHeaderVersion", [1003]), Node("FBXVersion", [7400])]),
        Node("GlobalSettings", [], [Node("Version", [1000]), Node("Properties70", [], [
            _property("UpAxis", "int", "Integer", 2 if z_up else 1), _property("UpAxisSign", "int", "Integer", 1),
            _property("FrontAxis", "int", "Integer", 1 if z_up else 2),
            _property("FrontAxisSign", "int", "Integer", -1 if z_up else 1),
            _property("CoordAxis", "int", "Integer", 0), _property("CoordAxisSign", "int", "Integer", 1),
            _property("UnitScaleFactor", "double", "Number", 1.0), _property("TimeMode", "enum", "", 6)])]),
        Node("Objects", [], objects),
        Node("Connections", [], rows),
    ])  # fmt: skip


def _bind_pose(world: np.ndarray, frames: Rotation) -> Node:
    rows = []
    for j in range(24):
        M = np.eye(4)
        M[:3, :3], M[:3, 3] = frames[j].as_matrix(), 100 * world @ REST[j]
        rows.append(Node("PoseNode", [], [Node("Node", [1000 + j]), Node("Matrix", [M.T.ravel()])]))
    inner = [Node("Type", ["BindPose"]), Node("Version", [100]), Node("NbPoseNodes", [24]), *rows]
    return Node("Pose", [9000, "Rest\x00\x01Pose", "BindPose"], inner)


def _model(number: int, name: str, place: np.ndarray, before: np.ndarray, at_rest: np.ndarray) -> Node:
    properties = [
        _property("RotationActive", "bool", "", 1),
        _property("PreRotation", "Vector3D", "Vector", *map(float, before)),
        _property("Lcl Translation", "Lcl Translation", "", *map(float, place)),
        _property("Lcl Rotation", "Lcl Rotation", "", *map(float, at_rest)),
    ]
    inner = [Node("Version", [232]), Node("Properties70", [], properties)]
    return Node("Model", [number, f"{name}\x00\x01Model", "LimbNode"], inner)


def _property(name: str, kind: str, label: str, *values: Any) -> Node:
    return Node("P", [name, kind, label, "", *values])


def _clip(
    number: int, name: str, world: np.ndarray, frames: Rotation, still: bool
) -> tuple[list[Node], list[tuple[Any, ...]]]:
    objects = [Node("AnimationStack", [number, f"{name}\x00\x01AnimStack", ""]),
               Node("AnimationLayer", [number + 1, "BaseLayer\x00\x01AnimLayer", ""])]  # fmt: skip
    links: list[tuple[Any, ...]] = [("OO", number + 1, number)]
    times = (np.arange(FRAMES) * TICKS // 30).astype(np.int64)
    turns = ROTATIONS.numpy().astype(np.float64)
    for j in range(24):
        local = Rotation.from_matrix(world @ turns[:, j] @ world.T)
        euler = np.unwrap((frames[j].inv() * local * frames[j]).as_euler("xyz"), axis=0) * 180 / np.pi
        curves = [("R", "Lcl Rotation", euler)]
        if j == 0:
            curves.append(("T", "Lcl Translation", 100 * (REST[0] + TRANS) @ world.T))
        for kind, target, values in curves:
            node = number + 10 + 20 * j + (8 if kind == "T" else 0)
            objects.append(Node("AnimationCurveNode", [node, f"{kind}\x00\x01AnimCurveNode", ""]))
            links += [("OO", node, number + 1), ("OP", node, 1000 + j, target)]
            for axis, letter in enumerate("XYZ"):
                row = np.repeat(values[:1, axis], FRAMES) if still else values[:, axis]
                objects.append(_curve(node + 1 + axis, times, row))
                links.append(("OP", node + 1 + axis, node, f"d|{letter}"))
    return objects, links


def _curve(number: int, times: np.ndarray, values: np.ndarray) -> Node:
    linear, slopes = np.array([4], np.int32), np.zeros(4, np.float32)
    return Node("AnimationCurve", [number, "\x00\x01AnimCurve", ""], [
        Node("Default", [0.0]), Node("KeyVer", [4008]), Node("KeyTime", [times]),
        Node("KeyValueFloat", [values.astype(np.float32)]), Node("KeyAttrFlags", [linear]),
        Node("KeyAttrDataFloat", [slopes]), Node("KeyAttrRefCount", [np.array([len(times)], np.int32)]),
    ])  # fmt: skip


def write_ascii(path: Path, root: Node) -> None:
    lines = ["; FBX 7.4.0 project file", "; ----------------------------------------------------", ""]

    def add(node: Node, depth: int) -> None:
        pad = "\t" * depth
        if len(node.values) == 1 and isinstance(node.values[0], np.ndarray):
            array = node.values[0]
            lines.append(f"{pad}{node.name}: *{len(array)} {{")
            lines.append(f"{pad}\ta: " + ",".join(repr(x) for x in array.tolist()))
            lines.append(f"{pad}}}")
            return
        words = ", ".join(_word(value) for value in node.values)
        lines.append(f"{pad}{node.name}: {words}" + (" {" if node.inner or node.name in ("Objects",) else ""))
        for inner in node.inner:
            add(inner, depth + 1)
        if node.inner or node.name in ("Objects",):
            lines.append(f"{pad}}}")

    for node in root.inner:
        add(node, 0)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _word(value: Any) -> str:
    if not isinstance(value, str):
        return repr(value)
    name, mark, kind = value.partition("\x00\x01")
    return f'"{kind}::{name}"' if mark else f'"{value}"'


def write_binary(path: Path, root: Node) -> None:
    head = b"Kaydara FBX Binary  \x00\x1a\x00" + struct.pack("<I", 7400)
    body = b""
    for node in root.inner:
        body += _packed(node, len(head) + len(body))
    path.write_bytes(head + body + bytes(13) + bytes(160))


def _packed(node: Node, start: int) -> bytes:
    values = b"".join(map(_value, node.values))
    name = node.name.encode()
    content = values
    for inner in node.inner:
        content += _packed(inner, start + 13 + len(name) + len(content))
    if node.inner:
        content += bytes(13)
    end = start + 13 + len(name) + len(content)
    return struct.pack("<IIIB", end, len(node.values), len(values), len(name)) + name + content


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return b"S" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, float):
        return b"D" + struct.pack("<d", value)
    if isinstance(value, int):
        return b"L" + struct.pack("<q", value)
    kind = {"int64": b"l", "int32": b"i", "float32": b"f", "float64": b"d"}[str(value.dtype)]
    packed = zlib.compress(value.tobytes())
    return kind + struct.pack("<III", len(value), 1, len(packed)) + packed
