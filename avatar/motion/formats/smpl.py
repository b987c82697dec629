"""Plain SMPL, SMPL-H and SMPL-X poses under the many names that programs give them, and what all SMPL readers share.

SMPL's own facts (Loper et al. 2015; smplx issue 36): axis-angle in radians, metres, T-pose facing +Z; the root rotates
about the pelvis, and `transl` is not the position of the pelvis but its displacement from its position at rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.face import face_of_turns
from avatar.errors import AvatarError, UsageError
from avatar.geometry import rotation_from_rotvec, rotation_to_rotvec
from avatar.motion.formats.container import Content
from avatar.motion.formats.mano_hands import expanded_hands, hands_after_body
from avatar.motion.formats.persons import at_frames
from avatar.motion.formats.pose_arrays import (
    BODY_JOINTS,
    WHOLE_JOINTS,
    PersonAxis,
    find_person,
    person_rotations,
    pose_array,
)
from avatar.motion.motion import Motion, ReadOptions, check_fps, check_path, numbers, uniform_track, up_rotation

# The pelvis of the mean shape from the origin of the model's own axes, metres.
REST_PELVIS = {"smpl": (-0.002, -0.223, 0.028), "smplx": (0.003, -0.351, 0.012)}

WHOLE = ("poses", "pose", "smpl_poses", "smpl_thetas", "thetas", "theta", "fullpose", "full_pose", "pred_thetas",
         "pred_rotmat", "rotmat")  # fmt: skip
ROOT = ("global_orient", "root_orient", "root_pose", "Rh")
BODY = ("body_pose", "pose_body")
HANDS = (("left_hand_pose", "right_hand_pose"), ("pose_hand",), ("hand_pose",))
JAW, EYES = ("jaw_pose", "pose_jaw"), (("leye_pose", "reye_pose"), ("pose_eye",))
PLACE = ("transl", "trans", "smpl_trans", "translation", "Th", "global_t", "cam_trans", "root_translation")
RATE = ("fps", "mocap_framerate", "mocap_frame_rate", "framerate", "frame_rate", "frameRate")
MASKS = ("track_mask", "vis_mask")


class SmplFormat:
    """Reads SMPL, SMPL-H and SMPL-X poses stored under the usual names, of one person or, as SLAHMR's, of several."""

    name = "smpl"
    description = "SMPL, SMPL-H or SMPL-X poses in an npz or pkl, under the usual names (SLAHMR, EasyMocap, ...)"

    def recognizes(self, content: Content) -> bool:
        return holds_smpl(content.fields)

    def read(self, content: Content, options: ReadOptions) -> Motion:
        return motion_from_fields(content, content.fields, options)


def holds_smpl(fields: Mapping[str, Any]) -> bool:
    """Whether SMPL poses are among these fields."""
    return first(fields, WHOLE) is not None or (first(fields, ROOT) is not None and first(fields, BODY) is not None)


def motion_from_fields(
    content: Content,
    fields: Mapping[str, Any],
    options: ReadOptions,
    up: str | None = None,
    name: str = "smpl",
    frames: Sequence[int] | None = None,
) -> Motion:
    """The motion in named arrays: whole poses, or root, body and hands apart.

    Args:
        fields: the arrays; frames first, or people and frames.
        up: what points up where the format fixes it.
        frames: the number of each frame, where some may be missing.
    """
    path = content.path
    whole, root, body = first(fields, WHOLE), first(fields, ROOT), first(fields, BODY)
    hands = next((names for names in HANDS if all(part in fields for part in names)), ())
    if whole is not None:
        arrays = [pose_array(path, fields[whole], whole, WHOLE_JOINTS)]
    elif root is not None and body is not None:
        arrays = [pose_array(path, fields[root], root, (1,)), pose_array(path, fields[body], body, BODY_JOINTS)]
    else:
        raise UsageError(f"{path} holds no SMPL poses: it has {', '.join(fields) or 'no named arrays'}.")
    person = find_person(path, arrays[-1].leading, options.person)
    rotations = person_rotations(path, arrays, person)
    if whole is None:
        fingers = hands_of_arrays(path, fields, hands, person, options)
    else:
        fingers = hands_after_body(path, np.asarray(fields[whole]), person, options.body)
    jaw_eyes = jaw_and_eyes_of_arrays(path, fields, person) if whole is None else None
    # EasyMocap stores the root's rotation separately, applied about the origin, and zeros among the poses.
    about_origin = "Rh" in fields
    if about_origin and whole is not None:
        apart = person_rotations(path, [pose_array(path, fields["Rh"], "Rh", (1,))], person)
        rotations = torch.cat([apart, rotations[:, 1:]], dim=1)
    transl = translation(content, person.frames, fields, person)
    if frames is None and (mask := next((np.asarray(fields[key]) for key in MASKS if key in fields), None)) is not None:
        frames = np.flatnonzero(person.take(mask, 0) > 0.5).tolist()
        if not frames:
            raise AvatarError(f"{path}: this person is in view in no frame.")
        rotations, transl = rotations[frames], transl[frames]
        fingers, jaw_eyes = (None if part is None else part[frames] for part in (fingers, jaw_eyes))
    if frames is not None:
        # Frames in which the person was not in view hold no pose: their neighbours are blended.
        fingers, jaw_eyes = (
            None if part is None else at_frames(content, frames, part, transl)[0] for part in (fingers, jaw_eyes)
        )
        rotations, transl = at_frames(content, frames, rotations, transl)
    family = "smplx" if rotations.shape[1] == 55 or "pose_jaw" in fields or "jaw_pose" in fields else "smpl"
    return motion_from_rotations(
        content,
        options,
        rotations,
        transl,
        frame_rate(content, options),
        up=up,
        name=name,
        family=family,
        about_origin=about_origin,
        fingers=fingers,
        jaw_eyes=jaw_eyes,
    )


def hands_of_arrays(
    path: Path, fields: Mapping[str, Any], names: tuple[str, ...], person: PersonAxis, options: ReadOptions
) -> Float[Tensor, "t 30 3 3"] | None:
    """The joints of both hands, or None where the file has none; principal components as `expanded_hands` has them."""
    joints = joints_of_arrays(path, fields, names, person, 30)
    if joints is not None or not names:
        return joints
    return expanded_hands(path, [np.asarray(fields[name], np.float64) for name in names], person, options.body)


def jaw_and_eyes_of_arrays(
    path: Path, fields: Mapping[str, Any], person: PersonAxis
) -> Float[Tensor, "t 3 3 3"] | None:
    """Jaw, left and right eye, those at rest that the file lacks; None where it has none of them."""
    eyes = next((names for names in EYES if all(part in fields for part in names)), ())
    jaw = [name for name in JAW if name in fields][:1]
    turns = [joints_of_arrays(path, fields, tuple(jaw), person, 1), joints_of_arrays(path, fields, eyes, person, 2)]
    if turns[0] is None and turns[1] is None:
        return None
    rest = torch.eye(3, dtype=torch.float64)
    return torch.cat(
        [rest.repeat(person.frames, n, 1, 1) if turn is None else turn for n, turn in zip((1, 2), turns, strict=True)],
        dim=1,
    )


def joints_of_arrays(
    path: Path, fields: Mapping[str, Any], names: tuple[str, ...], person: PersonAxis, count: int
) -> Float[Tensor, "t k 3 3"] | None:
    """`count` joints shared out evenly over the named arrays, or None where these hold something else."""
    joints = count // max(len(names), 1)
    if not names or any(np.asarray(fields[part]).size % (person.frames * 3 * joints) for part in names):
        return None
    arrays = [pose_array(path, fields[part], part, (joints,)) for part in names]
    return person_rotations(path, arrays, person)


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
    rotations = rotation_from_rotvec(torch.from_numpy(rotvecs))
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
    fingers: Float[Tensor, "t 30 3 3"] | None = None,
    jaw_eyes: Float[Tensor, "t 3 3 3"] | None = None,
) -> Motion:
    """A motion from SMPL rotations, the root's in the file's world.

    Args:
        rotations: the 22 joints of the body or more. Beyond them only SMPL itself, of exactly 24, continues with hands;
            the 52 of SMPL-H end with fingers, the 55 of SMPL-X with jaw, eyes and fingers.
        transl: SMPL's translation per frame, metres.
        up: what points up in the file's world where the format fixes it; `options.up` comes first.
        family: "smpl" or "smplx", whose mean pelvis stands in where `options.rest_pelvis` is not given.
        about_origin: the root rotates about the origin instead of the pelvis.
        fingers, jaw_eyes: where they are not among the rotations.
    """
    if rotations.shape[1] in (52, 55):
        fingers = rotations[:, -30:]
    if rotations.shape[1] == 55:
        jaw_eyes = rotations[:, 22:25]
    face = None if jaw_eyes is None else face_of_turns(rotation_to_rotvec(jaw_eyes))
    eye = torch.eye(3, dtype=rotations.dtype)
    full = eye.repeat(len(rotations), 24, 1, 1)
    joints = 24 if rotations.shape[1] == 24 else min(rotations.shape[1], 22)
    full[:, :joints] = rotations[:, :joints]
    pelvis = torch.tensor(options.rest_pelvis or REST_PELVIS[family], dtype=full.dtype)
    root = torch.from_numpy(transl) + (full[:, 0] @ pelvis if about_origin else pelvis)
    check_path(content.path, root.numpy(), fps)
    R = up_rotation(options.up or up or estimate_up(content, full[:, 0])).to(full)
    full[:, 0] = R @ full[:, 0]
    return Motion(name, uniform_track(full, root @ R.T, fps, fingers=fingers, face=face))


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


def translation(
    content: Content, frames: int, fields: Mapping[str, Any] | None = None, person: PersonAxis | None = None
) -> np.ndarray:
    """The root's translation (frames, 3), zeros where the file has none; `smpl_scaling` brings it to metres."""
    fields = content.fields if fields is None else fields
    name = first(fields, PLACE)
    if name is None:
        return np.zeros((frames, 3))
    value = np.asarray(fields[name])
    if value.size == 3 * frames:
        value = value.reshape(frames, 3)
    elif person is not None and value.shape[-1:] == (3,) and value.ndim <= 3:
        value = person.take(value, 1)
    transl = numbers(content.path, value, name, frames, 3)
    if "smpl_scaling" in fields:
        transl = transl / numbers(content.path, np.ravel(fields["smpl_scaling"]), "smpl_scaling", 1)
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
