"""A capture with ground truth: clips to train on, and held-out views and poses to score against.

The folder's layout is specified in `docs/formats/capture.md`. Everything given out here is in this program's world
(Y up); the files' world has Z up and the person facing -Y.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import AvatarError, UsageError
from avatar.geometry import rigid, rotation_from_rotvec
from avatar.io.files import read_json, read_npz
from avatar.io.images import read_depth, read_image, read_mask, to_float
from avatar.types import Cameras, ImageList

# Rows: our x, y, z in the files' axes.
R_WORLD_CAPTURE = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))
JOINTS = 24
GROUPS = ("novel_view", "novel_pose")


@dataclass(frozen=True)
class Skeleton:
    """True poses of a skeleton that is not the body's own.

    Attributes:
        joints: places of SMPL's 24 joints, metres.
        rest_joints: where the same skeleton has them in its T-pose, upright and facing along +z; None: not given.
        rotations: of each joint in the frame of its parent, away from that T-pose, of the pelvis in the world; None:
            not given.
    """

    joints: Float[Tensor, "t 24 3"]
    rest_joints: Float[Tensor, "24 3"] | None = None
    rotations: Float[Tensor, "t 24 3 3"] | None = None

    def __len__(self) -> int:
        return self.joints.shape[0]

    def __getitem__(self, index: slice | list[int]) -> Skeleton:
        rotations = None if self.rotations is None else self.rotations[index]
        return Skeleton(self.joints[index], self.rest_joints, rotations)

    def joints_alone(self) -> Skeleton:
        """The same poses, with nothing but the positions of the joints."""
        return Skeleton(self.joints)


@dataclass(frozen=True)
class CaptureClip:
    """One filmed clip and the truth about it.

    Attributes:
        name: of its folder.
        video: the only file that an avatar builder should need.
        fps: frames per second.
        skeleton: the true pose of each frame.
        cameras: the true camera of each frame.
        masks: the true soft masks.
        exposure: factor of each frame's automatic exposure on linear light; None: not given.
    """

    name: str
    video: Path
    fps: float
    skeleton: Skeleton
    cameras: Cameras
    masks: ImageList
    exposure: Float[Tensor, " frames"] | None = None

    def __len__(self) -> int:
        return len(self.skeleton)

    @property
    def joints(self) -> Float[Tensor, "frames 24 3"]:
        """True places of SMPL's 24 joints in each frame, metres."""
        return self.skeleton.joints

    @property
    def times(self) -> Float[Tensor, " frames"]:
        """Seconds from the first frame."""
        return torch.arange(len(self)) / self.fps


@dataclass(frozen=True)
class HeldOut:
    """One image that no avatar may be trained on.

    Attributes:
        group: "novel_view" or "novel_pose".
        image: its file: RGBA, straight colour, exact coverage.
        camera: of one frame.
        pose: which of the group's true poses it shows.
        clip, frame: where the same pose occurs in a clip, or None.
    """

    group: str
    image: Path
    camera: Cameras
    pose: int
    clip: str | None
    frame: int | None

    @property
    def name(self) -> str:
        return f"{self.group}/{self.image.stem}"

    def read(self) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
        """Straight colour and coverage.

        Raises:
            AvatarError: the file is broken, has no alpha or is not of the camera's size.
        """
        pixels = read_image(self.image)
        if pixels.shape != (self.camera.height, self.camera.width, 4):
            raise AvatarError(
                f"{self.image} should be an RGBA image of {self.camera.width}x{self.camera.height} pixels."
            )
        values = to_float(pixels)
        return values[..., :3], values[..., 3]

    def read_depth(self) -> Float[Tensor, "h w"] | None:
        """True depth along the optical axis, metres, 0 where nobody is; None where the capture has none.

        Raises:
            AvatarError: the file is broken or not of the camera's size.
        """
        path = self.image.parent / "depth" / self.image.name
        if not path.is_file():
            return None
        depth = read_depth(path)
        if depth.shape != (self.camera.height, self.camera.width):
            raise AvatarError(f"{path} should be of {self.camera.width}x{self.camera.height} pixels.")
        return torch.from_numpy(depth)


@dataclass(frozen=True)
class Capture:
    """A whole capture.

    Attributes:
        held_out: the held-out images; missing: those whose files are missing.
        skeletons: the true poses of each group of held-out images.
    """

    folder: Path
    clips: dict[str, CaptureClip]
    held_out: tuple[HeldOut, ...] = ()
    missing: tuple[Path, ...] = ()
    skeletons: Mapping[str, Skeleton] = field(default_factory=dict)

    def clip(self, name: str) -> CaptureClip:
        """A clip by its name.

        Raises:
            UsageError: there is none.
        """
        if name not in self.clips:
            raise UsageError(f"{self.folder} has no clip {name!r}; it has {', '.join(self.clips)}.")
        return self.clips[name]


def load_capture(folder: Path) -> Capture:
    """Read a capture's truth; images and videos stay on disk until asked for.

    Raises:
        UsageError: the folder is not a capture.
        AvatarError: files of a clip are missing (each is named) or broken. Missing held-out images are no error:
            they are listed in `missing`.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.")
    names = [path.parent.name for path in sorted(folder.glob("*/video.mp4"))]
    if not names:
        raise UsageError(f"{folder} is not a capture: no folder in it holds a video.mp4 (see docs/formats/capture.md).")
    clips = {name: _clip(folder / name) for name in names}
    truths = {group: _Truth(folder / group) for group in GROUPS if (folder / group).is_dir()}
    images = [image for group, truth in truths.items() for image in _held_out(folder / group, truth)]
    available = tuple(image for image in images if image.image.is_file())
    missing = tuple(image.image for image in images if not image.image.is_file())
    return Capture(folder, clips, available, missing, {group: truth.skeleton for group, truth in truths.items()})


def _clip(folder: Path) -> CaptureClip:
    truth = _Truth(folder)
    count = len(truth.skeleton)
    masks = tuple(folder / "masks" / f"{index:04d}.png" for index in range(count))
    missing_masks = [path for path in masks if not path.is_file()]
    if missing_masks:
        raise AvatarError(f"The capture lacks {len(missing_masks)} masks: {', '.join(map(str, missing_masks[:5]))}.")
    fps = truth.cameras_json.get("fps")
    if not isinstance(fps, int | float) or not fps > 0:
        raise AvatarError(f"{folder / 'cameras.json'} does not give the frames per second of the clip (fps).")
    if len(truth.cameras) not in (1, count):
        raise AvatarError(
            f"{folder / 'gt.npz'} has {len(truth.cameras)} cameras for {count} frames; a clip has one that stands "
            "still, or one per frame."
        )
    cameras = truth.cameras if len(truth.cameras) == count else truth.cameras[[0] * count]
    exposure = None
    if "exposure_gain" in truth.arrays:
        exposure = _numbers(folder / "gt.npz", truth.arrays, "exposure_gain", (count,))
    return CaptureClip(
        folder.name,
        folder / "video.mp4",
        float(fps),
        truth.skeleton,
        cameras,
        ImageList(count, lambda index: read_mask(masks[index])),
        exposure,
    )


def _held_out(folder: Path, truth: _Truth) -> list[HeldOut]:
    """The images that a held-out folder should have: every pose from every camera."""
    sources = truth.arrays.get("source_sequence")
    frames = truth.arrays.get("source_frame")
    names = truth.arrays.get("camera_names")
    images = []
    for pose in range(len(truth.skeleton)):
        clip = None if sources is None else str(sources[pose])
        frame = None if frames is None else int(frames[pose])
        stem = f"{pose:04d}" if clip is None else f"{clip}{frame:04d}"
        for camera in range(len(truth.cameras)):
            suffix = "" if names is None else f"_{names[camera]}"
            image = folder / f"{stem}{suffix}.png"
            images.append(HeldOut(folder.name, image, truth.cameras[camera], pose, clip, frame))
    return images


class _Truth:
    """`gt.npz` and `cameras.json` of one folder, checked, in this program's world."""

    def __init__(self, folder: Path) -> None:
        path = folder / "gt.npz"
        missing = [str(file) for file in (path, folder / "cameras.json") if not file.is_file()]
        if missing:
            raise AvatarError(f"The capture lacks {', '.join(missing)}.")
        self.arrays = read_npz(path)
        self.cameras_json: dict[str, Any] = read_json(folder / "cameras.json")
        self.skeleton = _skeleton(path, self.arrays)
        self.cameras = _cameras(path, self.arrays)


def read_capture_cameras(path: Path) -> tuple[Cameras, tuple[str, ...]]:
    """Cameras and their names from a capture's cameras.json or gt.npz, in this program's world.

    Raises:
        UsageError: there is no such file.
        AvatarError: it is not such a file.
    """
    if path.suffix == ".npz":
        arrays = read_npz(path)
        cameras = _cameras(path, arrays)
        given = arrays.get("camera_names")
        names = range(len(cameras)) if given is None else given
        return cameras, tuple(str(name) for name in names)
    content = read_json(path)
    try:
        entries = _one_per_camera(content["cameras"])
        K = torch.tensor([entry["K"] for entry in entries.values()], dtype=torch.float32)
        R = torch.tensor([entry["R"] for entry in entries.values()], dtype=torch.float32)
        t = torch.tensor([entry["t"] for entry in entries.values()], dtype=torch.float32)
        sizes = {(int(entry["width"]), int(entry["height"])) for entry in entries.values()}
        (width, height), *others = sizes
        T = rigid(R @ torch.tensor(R_WORLD_CAPTURE).T, t)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise AvatarError(
            f"{path} is not a camera file of a capture (see docs/formats/capture.md): {error}."
        ) from error
    if others:
        raise AvatarError(f"{path} has cameras of different image sizes; give one file for each size.")
    return Cameras(K, T, width, height), tuple(entries)


def _one_per_camera(entries: Any) -> dict[str, Any]:
    """Cameras that move (`per_frame`) as one entry per frame, named by its number; the file may hold anything."""
    result: dict[str, Any] = {}
    for name, entry in entries.items():
        if entry.get("per_frame"):
            poses = enumerate(zip(entry["R"], entry["t"], strict=True))
            result |= {f"{name}{frame:04d}": entry | {"R": R, "t": t} for frame, (R, t) in poses}
        else:
            result[name] = entry
    return result


def read_capture_skeleton(path: Path) -> Skeleton:
    """The true poses of a capture's gt.npz, in this program's world.

    Raises:
        UsageError: there is no such file.
        AvatarError: it holds no joints, or a T-pose or rotations of another kind.
    """
    return _skeleton(path, read_npz(path))


def _skeleton(path: Path, arrays: dict[str, np.ndarray]) -> Skeleton:
    ours = torch.tensor(R_WORLD_CAPTURE)
    joints = _numbers(path, arrays, "joints", (None, JOINTS, 3)) @ ours.T
    rest = rotations = None
    if "rest_joints" in arrays:
        rest = _numbers(path, arrays, "rest_joints", (JOINTS, 3)) @ ours.T
    if "local_rotvec" in arrays:
        # The T-pose stands along the axes, so that turning the axes turns the rotations about them alike.
        rotations = rotation_from_rotvec(_numbers(path, arrays, "local_rotvec", (len(joints), JOINTS, 3)) @ ours.T)
    return Skeleton(joints, rest, rotations)


def _cameras(path: Path, arrays: dict[str, np.ndarray]) -> Cameras:
    K = _numbers(path, arrays, "K", (3, 3))
    R = _numbers(path, arrays, "cam_R", (None, 3, 3))
    t = _numbers(path, arrays, "cam_t", (len(R), 3))
    width, height = _numbers(path, arrays, "image_size", (2,)).int().tolist()
    return Cameras(K.expand(len(R), 3, 3).clone(), rigid(R @ torch.tensor(R_WORLD_CAPTURE).T, t), width, height)


def _numbers(path: Path, arrays: dict[str, np.ndarray], name: str, shape: tuple[int | None, ...]) -> Tensor:
    array = arrays.get(name)
    if array is None:
        raise AvatarError(f"{path} lacks the array {name}.")
    fits = array.ndim == len(shape) and all(b in (None, a) for a, b in zip(array.shape, shape, strict=True))
    if not fits or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        expected = " x ".join("n" if size is None else str(size) for size in shape)
        raise AvatarError(f"{path}: {name} should be {expected} finite numbers, not {array.shape}.")
    return torch.from_numpy(array.astype(np.float32))
