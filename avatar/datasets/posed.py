"""The common form of public datasets: images with known cameras, masks and SMPL poses, split by a protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.body import Body
from avatar.body.files import load_hand_components
from avatar.body.model import Kind
from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import AvatarError, UsageError
from avatar.geometry import rigid, rotation_from_rotvec, rotation_to_rotvec
from avatar.types import BodyPose, Cameras

USUAL_GENDERS = "of the person's gender for PeopleSnapshot, neutral for ZJU-MoCap and NeuMan"
NAMED_MISSING = 20  # an error names at most this number of missing files

ReadImage = Callable[[], tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]]


@dataclass(frozen=True)
class SmplPoses:
    """Parameters of SMPL or SMPL-X as a dataset gives them, in the dataset's own world but in metres.

    Attributes:
        betas: shape coefficients.
        rotvecs: axis-angle of SMPL's 24 joints, or of SMPL-X's 55, the root's in the world.
        transl: SMPL's translation: how far the pelvis moved from its place at rest.
        about: turns of the whole model about its origin before that (EasyMocap's Rh, which `rotvecs` contains
            already); None: the body turns about its pelvis, as SMPL itself does.
        from_mean_hand: whether SMPL-X's fingers are given away from the model's mean hand, not from the straight one.
        hand_components: principal components of the left and the right hand instead of the fingers' axis-angle.
        gender: of the model that the parameters mean; None: not given.
    """

    betas: Float[Tensor, " s"]
    rotvecs: Float[Tensor, "t j 3"]
    transl: Float[Tensor, "t 3"]
    about: Float[Tensor, "t 3 3"] | None = None
    from_mean_hand: bool = False
    hand_components: Float[Tensor, "t 2 c"] | None = None
    gender: str | None = None

    def __getitem__(self, rows: list[int]) -> SmplPoses:
        about, hands = (None if x is None else x[rows] for x in (self.about, self.hand_components))
        rotvecs, transl = self.rotvecs[rows], self.transl[rows]
        return replace(self, rotvecs=rotvecs, transl=transl, about=about, hand_components=hands)

    @property
    def kind(self) -> Kind:
        """The model: "smpl" or "smplx"."""
        return "smpl" if self.rotvecs.shape[1] == len(SMPL_JOINTS) else "smplx"

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
            UsageError: the body is of another model or gender, so these parameters do not mean the same on it, or the
                hands need principal components that its file does not have.
        """
        return self.poses_in(body, self.upright())

    def poses_in(self, body: Body, R: Float[Tensor, "3 3"]) -> BodyPose:
        """The poses in a world turned by R from the dataset's. Raises: see `poses`."""
        self.require(body)
        rotations = rotation_from_rotvec(self._with_hands(body))
        pelvis = body.rest(self.shape(body)).joints[0]
        root = self.transl + (pelvis if self.about is None else self.about @ pelvis)
        rotations[:, 0] = R @ rotations[:, 0]
        return BodyPose(root @ R.T, rotations)

    def require(self, body: Body) -> None:
        """Refuse a body on which these parameters mean something else.

        Raises:
            UsageError: it is of another model or gender.
        """
        if body.kind != self.kind or body.name == "open":
            name = {"smpl": "SMPL", "smplx": "SMPL-X"}[self.kind]
            raise UsageError(
                f"The dataset's poses are {name}'s and the body is {body.name}: give your {name} file by --body "
                f"({self.gender or USUAL_GENDERS})."
            )
        if self.gender is not None and self.gender != body.gender:
            raise UsageError(
                f"The dataset's shape is that of a {self.gender} body and {body.name} is {body.gender}: give the "
                f"{self.gender} one by --body."
            )

    def _with_hands(self, body: Body) -> Float[Tensor, "t j 3"]:
        """The axis-angles with the fingers as SMPL-X's skeleton means them."""
        rotvecs = self.rotvecs.clone()
        fingers = body.finger_joints
        if self.hand_components is not None:
            count = self.hand_components.shape[-1]
            _, components = load_hand_components(Path(body.name))
            hands = torch.einsum("tsc,scd->tsd", self.hand_components, components[:, :count])
            rotvecs[:, fingers] = hands.reshape(len(rotvecs), -1, 3)
        if self.from_mean_hand and body.kind == "smplx":
            rotvecs[:, fingers] += rotation_to_rotvec(body.rest_rotations[fingers])
        return rotvecs


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


def numbers(
    path: Path, table: Mapping[str, Any], name: str, *shapes: tuple[int | None, ...]
) -> Float[np.ndarray, "..."]:
    """A named array of a file, as float64 and of the first of some shapes that it fits; None stands for any length.

    A flat array of as many numbers fits too, one whose rows are arranged otherwise, and one with more axes of length 1.

    Raises:
        AvatarError: it is missing, of another shape, or holds what is no finite number.
    """
    if not isinstance(table, Mapping) or name not in table:
        raise AvatarError(f"{path} has no {name}: it is another file or another version of the dataset.")
    array = np.asarray(table[name])
    if array.dtype.kind in "fiu" and np.isfinite(array).all():
        for shape in shapes:
            own = (*array.shape, *[1] * len(shape))
            wanted = tuple(own[axis] if n is None else n for axis, n in enumerate(shape))
            same_rows = array.ndim <= 1 or array.shape[:1] == wanted[:1] or _long(array.shape) == _long(wanted)
            if array.size == np.prod(wanted, dtype=int) and same_rows:
                return array.reshape(wanted).astype(np.float64)
    expected = " or ".join(" x ".join("n" if n is None else str(n) for n in shape) or "one" for shape in shapes)
    raise AvatarError(f"{path}: {name} should be {expected} finite numbers, not {array.shape} of {array.dtype}.")


def _long(shape: tuple[int, ...]) -> list[int]:
    return [length for length in shape if length != 1]


def floats(array: np.ndarray) -> Tensor:
    """A float32 tensor of its own memory."""
    return torch.from_numpy(np.array(array, np.float32))


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
    T = rigid(floats(R).reshape(3, 3) @ upright.T, floats(t).reshape(3))[None]
    return Cameras(floats(K).reshape(1, 3, 3), T, width, height).resized(width // shrink, height // shrink)


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
