"""What images show of people: landmarks, masks and cameras beside them. Conventions: see `avatar.types`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, UInt8
from torch import Tensor

from avatar.types.cameras import Cameras
from avatar.types.images import ImageList, Images, Masks


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

    def part(self, rows: Sequence[int]) -> Observations:
        """Some of the frames, each of an instant of its own."""
        index = torch.tensor(list(rows))

        def images(values: Images | Masks) -> ImageList:
            return ImageList(len(rows) if len(values) else 0, lambda place: values[rows[place]])

        def tensor(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[index]

        return replace(
            self,
            images=images(self.images),
            masks=images(self.masks),
            trust=None if self.trust is None else images(self.trust),
            depth=None if self.depth is None else images(self.depth),
            iuv=None if self.iuv is None else images(self.iuv),
            keypoints=self.keypoints[index],
            keypoints_3d=self.keypoints_3d[index],
            instant=torch.arange(len(rows)),
            times=self.times[index],
            cameras=None if self.cameras is None else self.cameras[index],
            frame_weight=tensor(self.frame_weight),
            hands=tensor(self.hands),
            hands_3d=tensor(self.hands_3d),
            face=tensor(self.face),
            face_units=tensor(self.face_units),
        )


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
