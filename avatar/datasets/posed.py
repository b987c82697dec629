"""The common form of public datasets: images with known cameras, masks and SMPL poses, split by a protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.body import Body
from avatar.errors import AvatarError, UsageError
from avatar.geometry import rigid, rotation_from_rotvec
from avatar.types import BodyPose, Cameras

NAMED_MISSING = 20  # an error names at most this number of missing files

ReadImage = Callable[[], tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]]


@dataclass(frozen=True)
class SmplPoses:
    """SMPL's parameters as a dataset gives them, in the dataset's own world but in metres.

    Attributes:
        betas: shape coefficients.
        rotvecs: axis-angle of SMPL's 24 joints, the root's in the world.
        transl: SMPL's translation: how far the pelvis moved from its place at rest.
        about: turns of the whole model about its origin before that (EasyMocap's Rh, which `rotvecs` contains
            already); None: the body turns about its pelvis, as SMPL itself does.
    """

    betas: Float[Tensor, " s"]
    rotvecs: Float[Tensor, "t 24 3"]
    transl: Float[Tensor, "t 3"]
    about: Float[Tensor, "t 3 3"] | None = None

    def upright(self) -> Float[Tensor, "3 3"]:
        """The rotation from the dataset's world to ours, in which people stand along Y on the average."""
        up = torch.nn.functional.normalize(rotation_from_rotvec(self.rotvecs[:, 0])[:, :, 1].mean(0), dim=0)
        axis = torch.linalg.cross(up, torch.tensor([0.0, 1.0, 0.0]))
        angle = torch.atan2(axis.norm(), up[1])
        if axis.norm() < 1e-6:  # parallel already, or upside down
            axis = torch.tensor([1.0, 0.0, 0.0])
        return rotation_from_rotvec(torch.nn.functional.normalize(axis, dim=0) * angle)

    def shape(self, body: Body) -> Float[Tensor, " s"]:
        """The shape coefficients for as many directions as the body has."""
        betas = torch.zeros(body.shape_dirs.shape[-1])
        count = min(len(betas), len(self.betas))
        betas[:count] = self.betas[:count]
        return betas

    def poses(self, body: Body) -> BodyPose:
        """The poses in our upright world.

        Raises:
            UsageError: the body is not SMPL, so these parameters do not mean the same on it.
        """
        if body.kind != "smpl" or body.name == "open":
            raise UsageError(
                f"The dataset's poses are SMPL's and the body is {body.name}: give your SMPL file by --body "
                "(of the person's gender for PeopleSnapshot, neutral for ZJU-MoCap and NeuMan)."
            )
        R = self.upright()
        rotations = rotation_from_rotvec(self.rotvecs)
        pelvis = body.rest(self.shape(body)).joints[0]
        root = self.transl + (pelvis if self.about is None else self.about @ pelvis)
        rotations[:, 0] = R @ rotations[:, 0]
        return BodyPose(root @ R.T, rotations)


@dataclass(frozen=True)
class DatasetFrame:
    """One image of a dataset as a protocol shows it.

    Attributes:
        name: for people; frame: number of the frame in the dataset's video; pose: row among the dataset's poses.
        camera: in our upright world, of the prepared image.
        read: gives the prepared straight colours and coverage.
    """

    name: str
    frame: int
    pose: int
    camera: Cameras
    read: ReadImage


@dataclass(frozen=True)
class PosedDataset:
    """A dataset divided by a protocol; `about_poses` says where its poses come from."""

    poses: SmplPoses
    train: tuple[DatasetFrame, ...]
    test: tuple[DatasetFrame, ...]
    about_poses: str


def require_all(folder: Path, paths: Iterable[Path]) -> None:
    """Raise unless the folder and all the files in it are there.

    Raises:
        UsageError: there is no such folder.
        AvatarError: files are missing; each is named.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.")
    missing = [str(path.relative_to(folder)) for path in dict.fromkeys(paths) if not path.is_file()]
    if missing:
        more = f" and {len(missing) - NAMED_MISSING} more" if len(missing) > NAMED_MISSING else ""
        raise AvatarError(f"{folder} lacks {len(missing)} files: {', '.join(missing[:NAMED_MISSING])}{more}.")


def camera_in(
    upright: Float[Tensor, "3 3"],
    K: np.ndarray,
    R: np.ndarray,
    t: np.ndarray,
    size: tuple[int, int],
    shrink: int = 1,
) -> Cameras:
    """One camera of a dataset, x_camera = R x + t in metres, for our upright world and images `shrink` times smaller.

    Args:
        size: width and height of the whole image, pixels.
    """
    width, height = size
    T = rigid(_floats(R).reshape(3, 3) @ upright.T, _floats(t).reshape(3))[None]
    return Cameras(_floats(K).reshape(1, 3, 3), T, width, height).resized(width // shrink, height // shrink)


def prepared(
    image: UInt8[np.ndarray, "h w 3"],
    mask: UInt8[np.ndarray, "h w"],
    K: np.ndarray,
    distortion: np.ndarray,
    shrink: int = 1,
) -> tuple[UInt8[np.ndarray, "h2 w2 3"], UInt8[np.ndarray, "h2 w2"]]:
    """An image and its mask without lens distortion, `shrink` times smaller.

    Pixels are averaged with the background already black, as these protocols do, and given back as straight colour.
    """
    import cv2

    if np.any(distortion):
        camera, lens = np.asarray(K, np.float64), np.asarray(distortion, np.float64).ravel()
        image, mask = cv2.undistort(image, camera, lens), cv2.undistort(mask, camera, lens)
    if shrink == 1:
        return image, mask
    alpha = mask.astype(np.float32) / 255
    size = (mask.shape[1] // shrink, mask.shape[0] // shrink)
    small_alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    premultiplied = cv2.resize(image * alpha[..., None], size, interpolation=cv2.INTER_AREA)
    color = premultiplied / np.maximum(small_alpha, 1e-3)[..., None]
    return color.clip(0, 255).round().astype(np.uint8), (small_alpha * 255).round().astype(np.uint8)


def _floats(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))
