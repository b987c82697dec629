"""Motions of the CMU motion capture database in Acclaim's ASF and AMC files, for `build_pose_prior.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import rotation_from_rotvec
from avatar.motion.skeletons import JointAnimation

FPS = 120.0
INCH = 0.0254
# The joint at which a bone begins.
SMPL_NAMES = {
    "root": "pelvis", "lowerback": "spine1", "upperback": "spine2", "thorax": "spine3", "lowerneck": "neck",
    "head": "head",
    **{
        f"{side[0]}{bone}": f"{side}_{joint}"
        for side in ("left", "right")
        for bone, joint in (
            ("femur", "hip"), ("tibia", "knee"), ("foot", "ankle"), ("toes", "foot"), ("clavicle", "collar"),
            ("humerus", "shoulder"), ("radius", "elbow"), ("hand", "wrist"),
        )
    },
}  # fmt: skip


@dataclass
class Bone:
    """A bone of the skeleton: `offset` from its beginning to its end, and its axes, in the frame of the zero pose."""

    name: str
    offset: Float[Tensor, "3"]
    axes: Float[Tensor, "3 3"]
    channels: list[str] = field(default_factory=list)


def read_skeleton(path: Path) -> tuple[dict[str, Bone], dict[str, str]]:
    """The bones by name in an order with parents first, and the parent of each; lengths in metres."""
    sections = path.read_text(encoding="utf-8").split("\n:")
    scale = metres(path)
    bones = {"root": Bone("root", torch.zeros(3).double(), torch.eye(3).double(), ["tx", "ty", "tz", "rx", "ry", "rz"])}
    parents: dict[str, str] = {}
    for section in sections:
        if section.startswith("bonedata"):
            for block in section.split("begin")[1:]:
                words = {line.split()[0]: line.split()[1:] for line in block.splitlines() if line.split()}
                length = float(words["length"][0]) * scale
                direction = torch.tensor([float(x) for x in words["direction"][:3]]).double()
                axes = _euler(torch.tensor([[float(x) for x in words["axis"][:3]]]).double())[0]
                bones[words["name"][0]] = Bone(words["name"][0], direction * length, axes, words.get("dof", []))
        elif section.startswith("hierarchy"):
            for line in section.splitlines()[1:]:
                words_of_line = line.split()
                if len(words_of_line) > 1:
                    parents |= dict.fromkeys(words_of_line[1:], words_of_line[0])
    return {name: bones[name] for name in ["root", *parents]}, parents


def metres(skeleton: Path) -> float:
    """The length of the file's unit."""
    words = [line.split() for line in skeleton.read_text(encoding="utf-8").splitlines()]
    return INCH / next(float(line[1]) for line in words if line[:1] == ["length"])


def read_motion(path: Path) -> JointAnimation:
    """An AMC file with the ASF file of its subject beside it, as the joints of SMPL."""
    skeleton = path.with_name(path.stem.split("_")[0] + ".asf")
    bones, parents = read_skeleton(skeleton)
    scale = metres(skeleton)
    values = _frames(path, bones)
    frames = len(values["root"])
    turn: dict[str, Tensor] = {}
    end: dict[str, Tensor] = {}
    rest_end = {"root": torch.zeros(3).double()}
    begin: dict[str, Tensor] = {}
    rest_begin: dict[str, Tensor] = {}
    for name, bone in bones.items():
        moved = torch.zeros(frames, 3).double()
        for column, channel in enumerate(bone.channels):
            if channel.startswith("r"):
                moved[:, "xyz".index(channel[1])] = values[name][:, column]
        local = bone.axes @ _euler(moved) @ bone.axes.T
        if name == "root":
            begin[name], turn[name] = values[name][:, :3] * scale, local
            rest_begin[name] = torch.zeros(3).double()
        else:
            above = parents[name]
            begin[name], turn[name], rest_begin[name] = end[above], turn[above] @ local, rest_end[above]
        end[name] = begin[name] + (turn[name] @ bone.offset)
        rest_end[name] = rest_begin[name] + bone.offset
    chosen = [name for name in bones if name in SMPL_NAMES]
    return JointAnimation(
        format="amc",
        path=path,
        names=tuple(SMPL_NAMES[name] for name in chosen),
        parents=tuple(_parent(name, parents, chosen) for name in chosen),
        rest_rotations=torch.eye(3).double().expand(len(chosen), 3, 3),
        rest_positions=torch.stack([rest_begin[name] for name in chosen]),
        rotations=torch.stack([turn[name] for name in chosen], 1),
        positions=torch.stack([begin[name] for name in chosen], 1),
        fps=FPS,
        up="y",
    )


def _parent(name: str, parents: dict[str, str], chosen: list[str]) -> int:
    above = parents.get(name)
    while above is not None and above not in chosen:
        above = parents.get(above)
    return -1 if above is None else chosen.index(above)


def _frames(path: Path, bones: dict[str, Bone]) -> dict[str, Float[Tensor, "t c"]]:
    rows: dict[str, list[list[float]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) > 1 and words[0] in bones:
            rows.setdefault(words[0], []).append([float(x) for x in words[1:]])
    frames = len(rows["root"])
    return {
        name: torch.tensor(rows[name]).double() if name in rows else torch.zeros(frames, 0).double() for name in bones
    }


def _euler(degrees: Float[Tensor, "t 3"]) -> Float[Tensor, "t 3 3"]:
    """Rotations about x first, then y, then z, all fixed axes."""
    result = torch.eye(3).double()
    for axis in range(3):
        vector = torch.zeros_like(degrees)
        vector[:, axis] = torch.deg2rad(degrees[:, axis])
        result = rotation_from_rotvec(vector) @ result
    return result
