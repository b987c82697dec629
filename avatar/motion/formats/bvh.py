"""BVH, read and written. Joints are posed by Euler angles in degrees, each joint in its own order of axes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.errors import AvatarError
from avatar.io.files import atomic_write
from avatar.motion.formats.container import Content
from avatar.motion.motion import Motion, ReadOptions, check_fps
from avatar.motion.skeletons import JointAnimation, motion_from_animation
from avatar.types import BodyPose

MOST_JOINTS = 2000


@dataclass
class _Joint:
    name: str
    parent: int
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    channels: list[str] = field(default_factory=list)


class BvhFormat:
    """Reads BVH files of any skeleton whose joint names are recognized or mapped."""

    name = "bvh"
    description = "BVH (Mixamo, CMU, MotionBuilder, Rokoko, Unreal, SMPL names, or any with a name map)"

    def recognizes(self, content: Content) -> bool:
        return content.kind == "text" and content.data.lstrip()[:9].upper() == "HIERARCHY"

    def read(self, content: Content, options: ReadOptions) -> Motion:
        return motion_from_animation(parse_bvh(content.path, content.data, options.fps), options)


def parse_bvh(path: Path, text: str, fps: float | None = None) -> JointAnimation:
    """Read a BVH text.

    Raises:
        AvatarError: it is not a BVH, is cut off, or holds values that are not numbers.
    """
    head, separator, tail = text.partition("MOTION")
    if not separator:
        raise AvatarError(f"{path} is cut off: it has no MOTION section.")
    joints = _hierarchy(path, head)
    match = re.match(r"\s*Frames:\s*(\d+)\s*Frame\s*Time:\s*(\S+)", tail)
    try:
        frames, step = (int(match[1]), float(match[2])) if match else (0, 0.0)
        values = np.array(tail[match.end() :].split(), dtype=np.float64) if match else np.zeros(0)
    except ValueError as error:
        raise AvatarError(f"{path}: its motion holds a value that is not a number ({error}).") from error
    if frames < 1 or not step > 0:
        raise AvatarError(f"{path}: its MOTION section does not state the number of frames and how long they last.")
    width = sum(len(joint.channels) for joint in joints)
    if values.size < frames * width:
        raise AvatarError(
            f"{path} is cut off: it announces {frames} frames of {width} channels and holds "
            f"{values.size // max(width, 1)}."
        )
    table = values[: frames * width].reshape(frames, width)
    bad = np.flatnonzero(~np.isfinite(table).all(1))
    if len(bad):
        raise AvatarError(f"{path}: {len(bad)} of {frames} frames are not finite, first frame {bad[0]}: cut them out.")
    local, positions_local = _posed(joints, torch.from_numpy(table))
    return _animation(path, joints, local, positions_local, fps or check_fps(path, 1 / step))


def _hierarchy(path: Path, head: str) -> list[_Joint]:
    words = head.split()
    joints: list[_Joint] = []
    open_joints: list[int] = []
    i = 1
    try:
        while i < len(words):
            word = words[i].upper()
            if word in ("ROOT", "JOINT", "END"):
                # Names may hold spaces; an end site ("End Site") is a joint without channels.
                stop = words.index("{", i)
                name = " ".join(words[i + 1 : stop]) if word != "END" else ""
                joints.append(_Joint(name, open_joints[-1] if open_joints else -1))
                open_joints.append(len(joints) - 1)
                i = stop + 1
            elif word == "OFFSET":
                joints[open_joints[-1]].offset = (float(words[i + 1]), float(words[i + 2]), float(words[i + 3]))
                i += 4
            elif word == "CHANNELS":
                count = int(words[i + 1])
                joints[open_joints[-1]].channels = [w.lower() for w in words[i + 2 : i + 2 + count]]
                i += 2 + count
            elif word == "}":
                open_joints.pop()
                i += 1
            else:
                raise ValueError(f"{words[i]!r} is not expected")
            if len(joints) > MOST_JOINTS:
                raise ValueError(f"it has more than {MOST_JOINTS} joints")
    except (ValueError, IndexError) as error:
        raise AvatarError(f"{path}: its HIERARCHY cannot be read near word {i}: {error}.") from error
    allowed = {f"{axis}{kind}" for axis in "xyz" for kind in ("rotation", "position")}
    unknown = {channel for joint in joints for channel in joint.channels} - allowed
    if open_joints or not joints or unknown:
        what = f"unknown channels {', '.join(sorted(unknown))}" if unknown else "unbalanced braces"
        raise AvatarError(f"{path}: its HIERARCHY has {what}.")
    return joints


def _posed(
    joints: list[_Joint], table: Float[Tensor, "t c"]
) -> tuple[Float[Tensor, "t j 3 3"], Float[Tensor, "t j 3"]]:
    """Local rotations and translations of every joint at every frame."""
    frames = len(table)
    local = torch.eye(3, dtype=table.dtype).repeat(frames, len(joints), 1, 1)
    positions_local = torch.tensor([joint.offset for joint in joints], dtype=table.dtype).repeat(frames, 1, 1)
    column = 0
    for index, joint in enumerate(joints):
        for channel in joint.channels:
            axis, value = "xyz".index(channel[0]), table[:, column]
            if channel.endswith("position"):
                positions_local[:, index, axis] = value
            else:
                # Channels are listed from the outermost rotation to the innermost.
                local[:, index] = local[:, index] @ _axis_rotation(axis, value.deg2rad())
            column += 1
    return local, positions_local


def _axis_rotation(axis: int, angle: Float[Tensor, " t"]) -> Float[Tensor, "t 3 3"]:
    R = torch.eye(3, dtype=angle.dtype).repeat(len(angle), 1, 1)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    R[:, a, a] = R[:, b, b] = angle.cos()
    R[:, b, a] = angle.sin()
    R[:, a, b] = -angle.sin()
    return R


def _animation(path: Path, joints: list[_Joint], local: Tensor, positions_local: Tensor, fps: float) -> JointAnimation:
    """Chain the joints to world frames, without the end sites."""
    rotations, positions, rest = [], [], []
    for index, joint in enumerate(joints):
        offset = torch.tensor(joint.offset, dtype=local.dtype)
        if joint.parent < 0:
            rotations.append(local[:, index])
            positions.append(positions_local[:, index])
            rest.append(offset)
        else:
            above = rotations[joint.parent]
            rotations.append(above @ local[:, index])
            positions.append(positions[joint.parent] + (above @ positions_local[:, index, :, None]).squeeze(-1))
            rest.append(rest[joint.parent] + offset)
    named = [index for index, joint in enumerate(joints) if joint.name]
    return JointAnimation(
        format="bvh",
        path=path,
        names=tuple(joints[index].name for index in named),
        parents=tuple(named.index(joints[i].parent) if joints[i].parent >= 0 else -1 for i in named),
        rest_rotations=torch.eye(3, dtype=local.dtype).expand(len(named), 3, 3),
        rest_positions=torch.stack([rest[index] for index in named]),
        rotations=torch.stack([rotations[index] for index in named], 1),
        positions=torch.stack([positions[index] for index in named], 1),
        fps=fps,
    )


def write_bvh(path: Path, poses: BodyPose, fps: float, rest_joints: Float[Tensor, "24 3"]) -> None:
    """Write a motion as BVH: SMPL's joint names, centimetres, Y up, rotations in the order z, x, y."""
    joints = rest_joints.detach().cpu().double() * 100
    lines = ["HIERARCHY", *_written_joint(0, joints, 0)]
    angles = _euler_zxy(poses.rotations.detach().cpu().double()).rad2deg()
    table = torch.cat(
        [poses.root_position.detach().cpu().double() * 100, angles[:, _written_order()].flatten(1)], dim=1
    )
    lines += ["MOTION", f"Frames: {len(table)}", f"Frame Time: {1 / fps:.9f}"]
    lines += [" ".join(f"{value:.5f}" for value in row) for row in table.tolist()]
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _children(joint: int) -> list[int]:
    return [child for child, parent in enumerate(SMPL_PARENTS) if parent == joint]


def _written_order(joint: int = 0) -> list[int]:
    """The joints as the hierarchy lists them: each one's whole subtree before the next."""
    return [joint] + [j for child in _children(joint) for j in _written_order(child)]


def _written_joint(joint: int, joints: Float[Tensor, "24 3"], depth: int) -> list[str]:
    pad = "\t" * depth
    offset = joints[joint] - joints[SMPL_PARENTS[joint]] if joint else torch.zeros(3)
    turns = "Zrotation Xrotation Yrotation"
    channels = f"3 {turns}" if joint else f"6 Xposition Yposition Zposition {turns}"
    lines = [
        f"{pad}{'JOINT' if joint else 'ROOT'} {SMPL_JOINTS[joint]}", f"{pad}{{",
        f"{pad}\tOFFSET " + " ".join(f"{x:.6f}" for x in offset.tolist()), f"{pad}\tCHANNELS {channels}",
    ]  # fmt: skip
    for child in _children(joint):
        lines += _written_joint(child, joints, depth + 1)
    if not _children(joint):
        lines += [f"{pad}\tEnd Site", f"{pad}\t{{", f"{pad}\t\tOFFSET 0.0 5.0 0.0", f"{pad}\t}}"]
    return [*lines, f"{pad}}}"]


def _euler_zxy(R: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """Angles z, x, y with R = Rz Rx Ry. Where x is a right angle, y is zero and z takes the whole rotation."""
    x = torch.asin(R[..., 2, 1].clamp(-1, 1))
    locked = x.abs() > math.pi / 2 - 1e-6
    z = torch.where(locked, torch.atan2(R[..., 1, 0], R[..., 0, 0]), torch.atan2(-R[..., 0, 1], R[..., 1, 1]))
    y = torch.where(locked, torch.zeros_like(x), torch.atan2(-R[..., 2, 0], R[..., 2, 2]))
    return torch.stack([z, x, y], dim=-1)
