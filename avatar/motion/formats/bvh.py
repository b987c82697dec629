"""BVH, read and written. Joints are posed by Euler angles in degrees, each joint in its own order of axes."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.errors import AvatarError, short_message
from avatar.io.files import atomic_write
from avatar.motion.formats.container import Content
from avatar.motion.motion import Motion, ReadOptions, check_fps
from avatar.motion.skeletons import JointAnimation, motion_from_animation
from avatar.types import BodyPose

MOST_JOINTS = 2000
COMMENT = r"(?<!\S)(?:#|//|;)[^\n]*"


@dataclass
class _Joint:
    name: str  # empty for the end of a chain
    parent: int
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    channels: list[str] = field(default_factory=list)


class BvhFormat:
    """Reads BVH files of any skeleton whose joint names or tree are recognized, or mapped."""

    name = "bvh"
    description = "BVH (Mixamo, CMU, MotionBuilder, Rokoko, Unreal, SMPL names, or any with a name map)"

    def recognizes(self, content: Content) -> bool:
        return content.kind == "text" and re.match(rf"(?:\s|{COMMENT})*HIERARCHY", content.data, re.I) is not None

    def read(self, content: Content, options: ReadOptions) -> Motion:
        return motion_from_animation(parse_bvh(content.path, content.data, options.fps), options)


def parse_bvh(path: Path, text: str, fps: float | None = None) -> JointAnimation:
    """Read a BVH text, with the liberties that programs take: comments, keywords in any case, decimal commas.

    Raises:
        AvatarError: it is not a BVH, is cut off, or holds values that are not numbers.
    """
    if re.search(COMMENT, text):
        text = re.sub(COMMENT, "", text)
    # The keyword stands before the number of frames; joints may be called MOTION as well.
    start = re.search(r"(?<!\S)MOTION\s+(?=Frames?\s*:)", text, re.IGNORECASE)
    if start is None:
        raise AvatarError(f"{path} is cut off: it has no MOTION section with frames.")
    joints = _hierarchy(path, _with_points(text[: start.start()]))
    match = re.compile(r"Frames?\s*:\s*(\d+)\s*Frame\s*Time\s*:\s*(\S+)", re.IGNORECASE).match(text, start.end())
    try:
        frames, step = (int(match[1]), float(_with_points(match[2]))) if match else (0, 0.0)
        values = _numbers(_with_points(text[match.end() :])) if match else np.zeros(0)
    except ValueError as error:
        raise AvatarError(f"{path}: its motion holds a value that is not a number ({error}).") from error
    if frames < 1 or not step > 0:
        raise AvatarError(f"{path}: its MOTION section does not state the number of frames and how long they last.")
    table, notes = _table(path, values, frames, sum(len(joint.channels) for joint in joints))
    return _animation(path, joints, torch.from_numpy(table), fps or check_fps(path, 1 / step), notes)


def _with_points(text: str) -> str:
    """The text with points as decimal marks; commas beside points separate values."""
    if "," not in text:
        return text
    return text.replace(",", " " if "." in text else ".")


def _numbers(text: str) -> np.ndarray:
    """All numbers of a text, without a list of its words, which takes ten times the memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # what numpy says of a word that is not a number
        try:
            values: np.ndarray = np.fromstring(text, dtype=np.float64, sep=" ")
            return values
        except (DeprecationWarning, ValueError):
            word = next((w for w in text.split() if not _is_number(w)), "")
            raise ValueError(short_message(ValueError(repr(word)))) from None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _table(path: Path, values: np.ndarray, frames: int, width: int) -> tuple[Float[np.ndarray, "t c"], tuple[str, ...]]:
    """The channels of each frame, and what to say about frames that were not announced."""
    if values.size < frames * width:
        raise AvatarError(
            f"{path} is cut off: it announces {frames} frames of {width} channels and holds "
            f"{values.size / max(width, 1):.4g}."
        )
    if width and values.size % width:
        raise AvatarError(
            f"{path}: its joints have {width} channels, but its {frames} frames hold {values.size / frames:.6g} values "
            "each: the hierarchy and the motion do not belong together."
        )
    table = values[: frames * width].reshape(frames, width)
    bad = np.flatnonzero(~np.isfinite(table).all(1))
    if len(bad):
        raise AvatarError(f"{path}: {len(bad)} of {frames} frames are not finite, first frame {bad[0]}: cut them out.")
    more = values.size // width - frames if width else 0
    return table, (f"its header announces {frames} frames, so {more} more were left out",) if more else ()


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


def _animation(
    path: Path, joints: list[_Joint], table: Float[Tensor, "t c"], fps: float, notes: tuple[str, ...]
) -> JointAnimation:
    """Chain the joints to world frames, without the ends of chains."""
    named = [index for index, joint in enumerate(joints) if joint.name]
    at = {index: place for place, index in enumerate(named)}
    rotations = torch.empty(len(table), len(named), 3, 3, dtype=table.dtype)
    positions = torch.empty(len(table), len(named), 3, dtype=table.dtype)
    rest = torch.zeros(len(named), 3, dtype=table.dtype)
    column = 0
    for index, joint in enumerate(joints):
        columns = table[:, column : column + len(joint.channels)]
        column += len(joint.channels)
        if not joint.name:
            continue
        R, place = _local(joint, columns)
        here, offset = at[index], torch.tensor(joint.offset, dtype=table.dtype)
        if joint.parent < 0:
            rotations[:, here], positions[:, here], rest[here] = R, place, offset
        else:
            above = at[joint.parent]
            rotations[:, here] = rotations[:, above] @ R
            positions[:, here] = positions[:, above] + (rotations[:, above] @ place[..., None]).squeeze(-1)
            rest[here] = rest[above] + offset
    return JointAnimation(
        format="bvh",
        path=path,
        names=tuple(joints[index].name for index in named),
        parents=tuple(at[joints[index].parent] if joints[index].parent >= 0 else -1 for index in named),
        rest_rotations=torch.eye(3, dtype=table.dtype).expand(len(named), 3, 3),
        rest_positions=rest,
        rotations=rotations,
        positions=positions,
        fps=fps,
        notes=notes,
    )


def _local(joint: _Joint, columns: Float[Tensor, "t c"]) -> tuple[Float[Tensor, "t 3 3"], Float[Tensor, "t 3"]]:
    """Rotation and translation of a joint relative to its parent at every frame."""
    R = torch.eye(3, dtype=columns.dtype).repeat(len(columns), 1, 1)
    offset = torch.tensor(joint.offset, dtype=columns.dtype)
    place = offset.repeat(len(columns), 1)
    moved = [k for k, channel in enumerate(joint.channels) if channel.endswith("position")]
    # Below the root most programs write the whole translation, some what comes on top of the offset.
    on_top = joint.parent >= 0 and float(columns[:, moved].abs().sum(-1).median()) < 0.1 * float(offset.norm())
    for k, channel in enumerate(joint.channels):
        axis = "xyz".index(channel[0])
        if k in moved:
            place[:, axis] = columns[:, k] + (offset[axis] if on_top else 0)
        else:
            # Channels are listed from the outermost rotation to the innermost.
            R = R @ _axis_rotation(axis, columns[:, k].deg2rad())
    return R, place


def _axis_rotation(axis: int, angle: Float[Tensor, " t"]) -> Float[Tensor, "t 3 3"]:
    R = torch.eye(3, dtype=angle.dtype).repeat(len(angle), 1, 1)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    R[:, a, a] = R[:, b, b] = angle.cos()
    R[:, b, a] = angle.sin()
    R[:, a, b] = -angle.sin()
    return R


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
