"""Plain SMPL, SMPL-H and SMPL-X poses under the many names that programs give them, and what all SMPL readers share.

SMPL's own facts (Loper et al. 2015; smplx issue 36): axis-angle in radians, metres, T-pose facing +Z; the root rotates
about the pelvis, and `transl` is not the position of the pelvis but its displacement from its position at rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import UsageError
from avatar.geometry import rotation_from_rotvec
from avatar.motion.formats.container import Content
from avatar.motion.motion import Motion, ReadOptions, check_fps, check_path, numbers, uniform_track, up_rotation

# The pelvis of the mean shape from the origin of the model's own axes, metres.
REST_PELVIS = {"smpl": (-0.002, -0.223, 0.028), "smplx": (0.003, -0.351, 0.012)}

WHOLE = ("poses", "pose", "smpl_poses", "thetas", "theta", "fullpose", "full_pose")
ROOT = ("global_orient", "root_orient", "root_pose", "Rh")
BODY = ("body_pose", "pose_body")
PLACE = ("transl", "trans", "smpl_trans", "translation", "Th")
RATE = ("fps", "mocap_framerate", "mocap_frame_rate", "framerate", "frame_rate", "frameRate")


class SmplFormat:
    """Reads SMPL, SMPL-H and SMPL-X poses stored under the usual names."""

    name = "smpl"
    description = "SMPL, SMPL-H or SMPL-X poses in an npz or pkl, under the usual names"

    def recognizes(self, content: Content) -> bool:
        return first(content.fields, WHOLE) is not None or (
            first(content.fields, ROOT) is not None and first(content.fields, BODY) is not None
        )

    def read(self, content: Content, options: ReadOptions) -> Motion:
        fields, path = content.fields, content.path
        whole, root, body = first(fields, WHOLE), first(fields, ROOT), first(fields, BODY)
        if whole is not None:
            value = np.asarray(fields[whole])
            frames, width = (value.shape[0], value[0].size) if value.ndim > 1 and len(value) else (1, value.size)
            rotvecs = numbers(path, value.reshape(frames, -1), whole, None, width)
        elif root is not None and body is not None:
            parts = [np.asarray(fields[name]) for name in (root, body)]
            frames = len(parts[0]) if parts[0].ndim > 1 else 1
            flat = [
                numbers(path, part.reshape(frames, -1), name, None, None)
                for part, name in zip(parts, (root, body), strict=True)
            ]
            rotvecs = np.concatenate(flat, axis=1)
        else:
            raise UsageError(f"{path} holds no SMPL poses: it has {', '.join(fields) or 'no named arrays'}.")
        rotvecs = rotvecs.reshape(frames, -1, 3) if rotvecs.shape[1] % 3 == 0 else rotvecs
        # EasyMocap stores the root's rotation separately, applied about the origin, and zeros among the poses.
        about_origin = "Rh" in fields
        if about_origin and whole is not None:
            rotvecs = rotvecs.copy()
            rotvecs[:, 0] = numbers(path, np.asarray(fields["Rh"]).reshape(frames, 3), "Rh", frames, 3)
        return motion_from_rotvecs(
            content,
            options,
            rotvecs,
            translation(content, frames),
            frame_rate(content, options),
            about_origin=about_origin,
        )


def motion_from_rotvecs(
    content: Content,
    options: ReadOptions,
    rotvecs: np.ndarray,
    transl: np.ndarray,
    fps: float,
    up: str | None = None,
    name: str = "smpl",
    family: str | None = None,
    about_origin: bool = False,
) -> Motion:
    """A motion from axis-angle joint rotations (frames, 21 or more, 3); see `motion_from_rotations`."""
    wrong = f"{content.path}: poses of {rotvecs.shape[1:]} values per frame do not fit SMPL, SMPL-H or SMPL-X"
    if rotvecs.ndim != 3 or rotvecs.shape[1] < 21:
        raise UsageError(f"{wrong}, which have 22 to 55 joints of 3.")
    if float(np.linalg.norm(rotvecs[:, 1:22], axis=-1).max()) > 4 * np.pi:
        raise UsageError(
            f"{content.path}: its joints rotate by hundreds of radians, so the values are in degrees: convert them."
        )
    # Beyond the body's 22 joints, only SMPL itself continues with hands; the others have fingers or a jaw there.
    rotations = rotation_from_rotvec(torch.from_numpy(rotvecs[:, : 24 if rotvecs.shape[1] == 24 else 22]))
    family = family or ("smplx" if rotvecs.shape[1] == 55 or content.has("pose_jaw") else "smpl")
    return motion_from_rotations(content, options, rotations, transl, fps, up, name, family, about_origin)


def motion_from_rotations(
    content: Content,
    options: ReadOptions,
    rotations: Float[Tensor, "t j 3 3"],
    transl: np.ndarray,
    fps: float,
    up: str | None = None,
    name: str = "smpl",
    family: str = "smpl",
    about_origin: bool = False,
) -> Motion:
    """A motion from SMPL rotations, the root's in the file's world.

    Args:
        rotations: at least the 22 joints of the body; only a file of exactly 24 holds SMPL's hands.
        transl: SMPL's translation per frame, metres.
        up: what points up in the file's world where the format fixes it; `options.up` comes first.
        family: "smpl" or "smplx", whose mean pelvis stands in where `options.rest_pelvis` is not given.
        about_origin: the root rotates about the origin instead of the pelvis.
    """
    eye = torch.eye(3, dtype=rotations.dtype)
    full = eye.repeat(len(rotations), 24, 1, 1)
    joints = 24 if rotations.shape[1] == 24 else min(rotations.shape[1], 22)
    full[:, :joints] = rotations[:, :joints]
    pelvis = torch.tensor(options.rest_pelvis or REST_PELVIS[family], dtype=full.dtype)
    root = torch.from_numpy(transl) + (full[:, 0] @ pelvis if about_origin else pelvis)
    check_path(content.path, root.numpy(), fps)
    R = up_rotation(options.up or up or estimate_up(content, full[:, 0])).to(full)
    full[:, 0] = R @ full[:, 0]
    return Motion(name, uniform_track(full, root @ R.T, fps))


def estimate_up(content: Content, root: Float[Tensor, "t 3 3"]) -> str:
    """The axis along which the body stands for most of the time.

    Raises:
        UsageError: there is no such axis, as in a motion on the ground.
    """
    standing = root[..., :, 1].mean(0)
    scores = {"y": float(standing[1]), "z": float(standing[2]), "-y": -float(standing[1])}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] < 0.6:
        raise UsageError(f"{content.path} does not show which way is up: state it with --up y, z, -y or x.")
    return best


def translation(content: Content, frames: int) -> np.ndarray:
    """The root's translation (frames, 3), zeros where the file has none; `smpl_scaling` brings it to metres."""
    name = first(content.fields, PLACE)
    if name is None:
        return np.zeros((frames, 3))
    value = np.asarray(content.fields[name])
    if value.shape == (frames, 1, 3) or (frames == 1 and value.size == 3):
        value = value.reshape(frames, 3)
    transl = numbers(content.path, value, name, frames, 3)
    if "smpl_scaling" in content.fields:
        transl = transl / numbers(content.path, np.ravel(content.fields["smpl_scaling"]), "smpl_scaling", 1)
    return transl


def frame_rate(content: Content, options: ReadOptions, default: float = 30.0) -> float:
    """Frames per second: as requested, as stated in the file, or the format's own."""
    name = first(content.fields, RATE)
    if options.fps is not None or name is None:
        return options.fps or default
    return check_fps(content.path, float(numbers(content.path, np.ravel(content.fields[name]), name, 1)[0]))


def first(fields: Any, names: tuple[str, ...]) -> str | None:
    """The first of `names` that the file has."""
    return next((name for name in names if name in fields), None)
