"""The nouns that cross from one room to another, on one page.

Conventions, written once here and linked from everywhere:

- metres, radians, seconds; tensors are float32 unless said otherwise;
- world: right-handed, Y up, floor near y = 0, a person in the rest pose faces +Z with the left hand at +X;
- cameras: OpenCV (x right, y down, z forward); pixel centres at +0.5, the image spans 0..width x 0..height;
- `T_a_b` maps points given in frame b to frame a; `Ts_world_joint` is a stack of such transforms;
- quaternions are wxyz and of unit length;
- images are HWC float32 sRGB in [0, 1];
- the common skeleton is SMPL's 24 joints in SMPL's order;
- values are activated: scales in metres, opacities in [0, 1]. Raw logits and logs stay inside the model;
- a frame carries an index into the list of body poses, `instant`: a phone video has one frame per instant,
  a multi-camera capture many, one photo with K generated views K frames of one instant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, UInt8
from torch import Tensor

from avatar.geometry import quat_from_rotation, quat_multiply, rotation_from_quat, transform


@dataclass(frozen=True)
class Cameras:
    """Pinhole cameras without distortion, one per frame, all of one image size.

    Attributes:
        K: intrinsics in pixels.
        T_camera_world: rigid world-to-camera transforms, metres.
        width: image width in pixels.
        height: image height in pixels.
    """

    K: Float[Tensor, "frames 3 3"]
    T_camera_world: Float[Tensor, "frames 4 4"]
    width: int
    height: int

    def __len__(self) -> int:
        return self.K.shape[0]

    def __getitem__(self, index: int | slice | Tensor | list[int]) -> Cameras:
        """The chosen cameras; a single index keeps the leading axis."""
        chosen = slice(index, index + 1 or None) if isinstance(index, int) else index
        return replace(self, K=self.K[chosen], T_camera_world=self.T_camera_world[chosen])

    @staticmethod
    def centred(focal: float, T_camera_world: Float[Tensor, "frames 4 4"], width: int, height: int) -> Cameras:
        """Cameras of one focal length in pixels, their optical axes in the middle of the image."""
        K = T_camera_world.new_tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        return Cameras(K.repeat(len(T_camera_world), 1, 1), T_camera_world, width, height)

    @staticmethod
    def cat(cameras: Sequence[Cameras]) -> Cameras:
        """The cameras one after the other.

        Raises:
            ValueError: their images are of different sizes.
        """
        sizes = sorted({(camera.width, camera.height) for camera in cameras})
        if len(sizes) != 1:
            raise ValueError(f"Cameras of different image sizes cannot be concatenated: {sizes}.")
        K, T = (torch.cat([getattr(camera, name) for camera in cameras]) for name in ("K", "T_camera_world"))
        return Cameras(K, T, *sizes[0])

    def to(self, device: torch.device | str) -> Cameras:
        """The same cameras on another device."""
        return replace(self, K=self.K.to(device), T_camera_world=self.T_camera_world.to(device))

    def resized(self, width: int, height: int) -> Cameras:
        """The same cameras for images scaled to `width` x `height`."""
        factor = self.K.new_tensor([width / self.width, height / self.height, 1.0])
        return replace(self, K=self.K * factor[:, None], width=width, height=height)

    def cropped(self, left: int, top: int, width: int, height: int) -> Cameras:
        """The same cameras for the crop whose upper left corner lies at pixel (left, top)."""
        K = self.K.clone()
        K[:, 0, 2] -= left
        K[:, 1, 2] -= top
        return replace(self, K=K, width=width, height=height)


@runtime_checkable
class Images(Protocol):
    """Images read one at a time, when asked for: `len(images)` and `images[i] -> (h, w, 3) uint8`."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> UInt8[np.ndarray, "h w 3"]: ...


@runtime_checkable
class Masks(Protocol):
    """Soft person masks read one at a time: `masks[i] -> (h, w) uint8`, 0 background, 255 person."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> UInt8[np.ndarray, "h w"]: ...


@dataclass(frozen=True)
class ImageList:
    """Images or masks that are read when asked for.

    Attributes:
        count: how many there are; read: gives the one with an index from 0 to count - 1.
    """

    count: int
    read: Callable[[int], np.ndarray]

    @staticmethod
    def of(images: Sequence[np.ndarray]) -> ImageList:
        """A list of images that lie in memory."""
        return ImageList(len(images), images.__getitem__)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> np.ndarray:
        if not -self.count <= index < self.count:
            raise IndexError(index)
        return self.read(index % self.count)


@dataclass(frozen=True)
class Detection:
    """One person in one image.

    Attributes:
        keypoints: x, y in pixels of that image and a confidence in [0, 1], in the detector's layout.
        keypoints_3d: the detector's estimate in metres, hip-centred, camera axes; NaN without one.
        mask: soft mask of the person, 0 to 255.
    """

    keypoints: Float32[np.ndarray, "joints 3"]
    keypoints_3d: Float32[np.ndarray, "joints 3"]
    mask: UInt8[np.ndarray, "h w"]


@dataclass(frozen=True)
class KeypointClip:
    """2D key points of everyone in a clip, as another program estimated them.

    Attributes:
        people: for each frame the persons in it: x, y in pixels and a confidence in [0, 1]; NaN where a point is
            missing.
        labels: for each frame the names of these persons, or None where the file does not follow them over time.
        names: the landmark that each point is (see `avatar.landmark_layouts`), "" for one without use.
        times: of each frame in seconds.
        width, height: image size in pixels.
        source: where it came from, for people.
        notes: what the user should know about it, one sentence each.
    """

    people: tuple[tuple[Float[np.ndarray, "points 3"], ...], ...]
    labels: tuple[tuple[str, ...], ...] | None
    names: tuple[str, ...]
    times: Float[np.ndarray, " frames"]
    width: int
    height: int
    source: str = ""
    notes: tuple[str, ...] = ()


@runtime_checkable
class LandmarkDetector(Protocol):
    """Finds people and their landmarks. `detect` may be called from several threads."""

    layout: str

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Detection]:
        """All persons in one image, the most certain first."""
        ...


@dataclass(frozen=True)
class Observations:
    """Images of one person with the landmarks and masks detected in them.

    Attributes:
        images: read lazily (uint8 on disk; divide by 255 for [0, 1]); empty where only landmarks are given.
        masks: soft person masks of the same size, read lazily; empty where only landmarks are given.
        keypoints: x, y in pixels and a confidence in [0, 1], in the layout `layout`.
        keypoints_3d: the detector's own estimate of the landmarks in metres, hip-centred, axes as the camera's
            (x right, y down, z forward); NaN without one.
        layout: name of the landmark layout, a key of `avatar.landmark_layouts.LAYOUTS` (e.g. "blazepose33").
        instant: for each frame the index of the body pose it shows.
        times: time of each frame in seconds.
        cameras: cameras, or None where they must be estimated.
        width, height: image size in pixels.
        frame_weight: how far each whole frame is trusted, in [0, 1] (generated views and blurred frames less).
        trust: how far each pixel is trusted, 0 to 255, read lazily; None: all wholly (repaired faces).
        depth: what a depth camera measured along the optical axis, metres (float32), 0 where nothing, read lazily; it
            covers the image at its own resolution. None without one.
        iuv: part (0 where nobody is, else 1 to 24), U and V of the body's surface in each pixel, read lazily; they
            cover the image at their own resolution. None without a dense detector.
        hands: the 21 points of the left and the right hand (wrist, then thumb to little finger, from root to tip):
            x, y in pixels and a confidence in [0, 1], 0 where the hand was not detected; None without a hand network.
        hands_3d: the network's estimate of the same points, metres, axes as the camera's; NaN where not detected.
        face: the 478 points of the face mesh likewise; face_units: the network's estimate of the 52 coefficients of
            `avatar.body.face.FACE_UNITS`, NaN where no face was detected; None without a face network.
        source: where it came from, for people; start: where in it the times begin, seconds.
        notes: what the user should know about it, one sentence each: lost frames, other persons.
    """

    images: Images
    masks: Masks
    keypoints: Float[Tensor, "frames joints 3"]
    keypoints_3d: Float[Tensor, "frames joints 3"]
    layout: str
    instant: Int[Tensor, " frames"]
    times: Float[Tensor, " frames"]
    width: int
    height: int
    cameras: Cameras | None = None
    frame_weight: Float[Tensor, " frames"] | None = None
    trust: Masks | None = None
    depth: ImageList | None = None
    iuv: ImageList | None = None
    hands: Float[Tensor, "frames 2 21 3"] | None = None
    hands_3d: Float[Tensor, "frames 2 21 3"] | None = None
    face: Float[Tensor, "frames 478 3"] | None = None
    face_units: Float[Tensor, "frames 52"] | None = None
    source: str = ""
    notes: tuple[str, ...] = ()
    start: float = 0.0

    def __len__(self) -> int:
        return self.keypoints.shape[0]


@dataclass(frozen=True)
class PosedImage:
    """One image of the person with its camera, as large as the photo.

    Attributes:
        image: sRGB; mask: soft mask of the person; camera: one frame's.
        weight: trust in the whole image; trust: in each pixel, 0 to 255, or None for all wholly.
        name: for messages.
    """

    image: UInt8[np.ndarray, "h w 3"]
    mask: UInt8[np.ndarray, "h w"]
    camera: Cameras
    weight: float = 1.0
    trust: UInt8[np.ndarray, "h w"] | None = None
    name: str = "the photo"


@dataclass(frozen=True)
class BodyPose:
    """A pose, or a batch of poses, of an articulated body.

    Attributes:
        root_position: world position of the root joint (the pelvis), metres. This is not SMPL's `transl`, which
            differs from it by the shaped body's rest position of the pelvis.
        rotations: rotation of each joint relative to its parent, away from the rest (T) pose; entry 0 is the
            orientation of the root in the world.
        fingers: rotations of SMPL-H's 30 finger joints (`avatar.body.skeleton.FINGER_JOINTS`), each relative to its
            parent, away from the straight hand that SMPL-H and SMPL-X mean by zero; None: the body's hand at rest,
            which the hand joints of `rotations` close as a mitten. With fingers those two joints are ignored.
        face: coefficients of the 52 units of `avatar.body.face.FACE_UNITS` in [0, 1]; None: the face at rest.
    """

    root_position: Float[Tensor, "*b 3"]
    rotations: Float[Tensor, "*b joints 3 3"]
    fingers: Float[Tensor, "*b 30 3 3"] | None = None
    face: Float[Tensor, "*b 52"] | None = None

    def __len__(self) -> int:
        return self.root_position.shape[0]

    def __getitem__(self, index: int | slice | Tensor | list[int]) -> BodyPose:
        return self._mapped(lambda tensor: tensor[index])

    @staticmethod
    def cat(poses: Sequence[BodyPose]) -> BodyPose:
        """Batches of poses one after the other.

        Raises:
            ValueError: some have fingers or a face and others not.
        """

        def joined(name: str) -> Tensor | None:
            tensors = [tensor for pose in poses if (tensor := getattr(pose, name)) is not None]
            if 0 < len(tensors) < len(poses):
                raise ValueError(f"Poses with and without {name} cannot be concatenated.")
            return torch.cat(tensors) if tensors else None

        roots, rotations = ([getattr(pose, name) for pose in poses] for name in ("root_position", "rotations"))
        return BodyPose(torch.cat(roots), torch.cat(rotations), joined("fingers"), joined("face"))

    def to(self, device: torch.device | str) -> BodyPose:
        """The same poses on another device."""
        return self._mapped(lambda tensor: tensor.to(device))

    def detach(self) -> BodyPose:
        """The same poses without gradients."""
        return self._mapped(lambda tensor: tensor.detach())

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> BodyPose:
        fingers = None if self.fingers is None else change(self.fingers)
        face = None if self.face is None else change(self.face)
        return BodyPose(change(self.root_position), change(self.rotations), fingers, face)


@dataclass(frozen=True)
class BodyTrack:
    """How one body moved: its shape, its pose at each instant, and which frame shows which instant.

    Attributes:
        body: name of the body model ("open") or the path of its file.
        betas: shape coefficients.
        poses: one per instant.
        times: time of each instant in seconds.
        confidence: how far each joint is trusted at each instant, in [0, 1].
        instant: for each frame the index of its pose.
        cameras: one per frame, or None for a motion without a video.
    """

    body: str
    betas: Float[Tensor, " shapes"]
    poses: BodyPose
    times: Float[Tensor, " instants"]
    confidence: Float[Tensor, "instants joints"]
    instant: Int[Tensor, " frames"]
    cameras: Cameras | None = None

    def __len__(self) -> int:
        """Number of instants."""
        return self.times.shape[0]

    @property
    def fps(self) -> float:
        """Mean rate of the instants, 1/s; 30 for a single instant."""
        if len(self) < 2:
            return 30.0
        return float((len(self) - 1) / (self.times[-1] - self.times[0]))

    @property
    def is_even(self) -> bool:
        """Whether the instants are evenly spaced, to half of their distance."""
        even = torch.linspace(float(self.times[0]), float(self.times[-1]), len(self))
        return float((self.times.cpu() - even).abs().max()) < 0.5 / self.fps


@dataclass(frozen=True)
class Gaussians:
    """Splats in the world, activated.

    Attributes:
        means: centres, metres.
        quats: orientations, wxyz, unit length.
        scales: standard deviations along the local axes, metres.
        opacities: in [0, 1].
        colors: sRGB in [0, 1], as they shine from everywhere.
    """

    means: Float[Tensor, "n 3"]
    quats: Float[Tensor, "n 4"]
    scales: Float[Tensor, "n 3"]
    opacities: Float[Tensor, " n"]
    colors: Float[Tensor, "n 3"]

    def __len__(self) -> int:
        return self.means.shape[0]

    @staticmethod
    def cat(parts: Sequence[Gaussians]) -> Gaussians:
        """All of these together, in this order, as one image shows them; at least one."""
        return Gaussians(
            *(torch.cat([getattr(part, name) for part in parts]) for name in parts[0].__dataclass_fields__)
        )

    def where(self, chosen: Bool[Tensor, " n"]) -> Gaussians:
        """Some of the Gaussians."""
        return Gaussians(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    @property
    def inner_box(self) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
        """Opposite corners of all but the outermost hundredth of the centres on each side."""
        ordered = self.means.sort(dim=0).values
        cut = len(self) // 100
        return ordered[cut], ordered[len(self) - 1 - cut]

    @property
    def rotations(self) -> Float[Tensor, "n 3 3"]:
        """The orientations as matrices, whose columns are the local axes."""
        return rotation_from_quat(self.quats)

    def stretched(self, factors: Float[Tensor, " 3"]) -> Gaussians:
        """The same Gaussians in a space that is larger by a factor along each axis."""
        axes, scales, _ = torch.linalg.svd(factors[:, None] * self.rotations * self.scales[:, None])
        proper = axes * torch.linalg.det(axes).sign()[:, None, None]
        return replace(self, means=self.means * factors, quats=quat_from_rotation(proper), scales=scales)

    def moved(self, T_world_own: Float[Tensor, "4 4"]) -> Gaussians:
        """The same Gaussians carried along by a rigid transform."""
        turn = quat_from_rotation(T_world_own[:3, :3]).expand_as(self.quats)
        return replace(self, means=transform(T_world_own, self.means), quats=quat_multiply(turn, self.quats))

    def to(self, device: torch.device | str) -> Gaussians:
        """The same Gaussians on another device."""
        return Gaussians(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))

    def detach(self) -> Gaussians:
        """The same Gaussians without gradients."""
        return Gaussians(*(getattr(self, name).detach() for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class RenderOutput:
    """Rendered images of Gaussians, one per camera, without a background.

    Attributes:
        rgb: colour premultiplied by alpha (that is, on black).
        alpha: coverage in [0, 1].
        depth: expected depth along the optical axis, metres, premultiplied by alpha.
    """

    rgb: Float[Tensor, "cameras h w 3"]
    alpha: Float[Tensor, "cameras h w"]
    depth: Float[Tensor, "cameras h w"]

    def to(self, device: torch.device | str) -> RenderOutput:
        """The same images on another device."""
        return RenderOutput(self.rgb.to(device), self.alpha.to(device), self.depth.to(device))

    def composite(self, background: Float[Tensor, " 3"] | Sequence[float]) -> Float[Tensor, "cameras h w 3"]:
        """The images over one background colour."""
        color = torch.as_tensor(background, dtype=self.rgb.dtype, device=self.rgb.device)
        return self.rgb + (1 - self.alpha[..., None]) * color

    def on_white(self) -> Float[Tensor, "cameras h w 3"]:
        """The images over white."""
        return self.composite((1.0, 1.0, 1.0))
