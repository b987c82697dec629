"""The images of a training run, cut to the person and held compactly in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import AvatarError
from avatar.io.images import to_float
from avatar.metrics.images import person_box
from avatar.runtime.progress import progress
from avatar.training.background import Background
from avatar.training.rim_colors import replace_rim_colors
from avatar.types import Cameras, Observations

# Free border around the person, as a share of the image's long side, so that splats that stick out of the mask
# are rendered and penalised.
MARGIN = 0.05


@dataclass(frozen=True)
class TrainingView:
    """One frame cut to the person, at one resolution.

    Attributes:
        image: sRGB in [0, 1]; mask: coverage of the person in [0, 1]; camera: of the cropped image.
        index: frame of the observations; instant: index of its body pose; weight: trust in the whole frame.
        trust: weight of each pixel, in [0, 1]; None weights all by 1.
        behind: the background in [0, 1], and 1 where it is known; None: masks say where the person ends.
        whole: longer side of the image cut to the person, pixels, if this is only a part of it.
    """

    image: Float[Tensor, "h w 3"]
    mask: Float[Tensor, "h w"]
    camera: Cameras
    index: int
    instant: int
    weight: float
    trust: Float[Tensor, "h w"] | None = None
    behind: Float[Tensor, "h w 4"] | None = None
    whole: int | None = None

    def cropped(self, box: tuple[slice, slice]) -> TrainingView:
        """A copy of some rows and columns of it."""
        rows, columns = box
        corner, size = (columns.start, rows.start), (columns.stop - columns.start, rows.stop - rows.start)
        return replace(
            self,
            image=self.image[box].clone(),
            mask=self.mask[box].clone(),
            camera=self.camera.cropped(*corner, *size),
            trust=None if self.trust is None else self.trust[box].clone(),
            behind=None if self.behind is None else self.behind[box].clone(),
            whole=self.size,
        )

    @property
    def size(self) -> int:
        """Longer side of the image cut to the person, pixels."""
        return self.whole or max(self.mask.shape)

    @property
    def trusted_mask(self) -> Float[Tensor, "h w"]:
        """The mask where it is trusted, 0 elsewhere: what surely shows the person."""
        return self.mask if self.trust is None else self.mask * (self.trust > 0)

    @property
    def possible_mask(self) -> Float[Tensor, "h w"]:
        """The mask where it is trusted, 1 elsewhere: where the person may be, perhaps hidden."""
        return self.mask if self.trust is None else torch.where(self.trust > 0, self.mask, 1.0)


class TrainingViews:
    """All frames of a video, cut to the person, in two resolutions, held as bytes.

    Args:
        observations: the images and masks; cameras: one per frame, for the full images.
        long_side: images whose long side is longer are scaled down to it, pixels.
        device: where they are held; backdrop: the background behind the person, if it is to be learned from.

    Raises:
        AvatarError: a frame has an empty mask.
    """

    def __init__(
        self,
        observations: Observations,
        cameras: Cameras,
        long_side: int,
        device: torch.device | str,
        backdrop: Background | None = None,
    ) -> None:
        self.observations, self.backdrop = observations, backdrop
        self.scale = min(1.0, long_side / max(observations.width, observations.height))
        self.levels: list[list[tuple[dict[str, Tensor], Cameras]]] = [[], []]
        for index in progress(range(len(observations)), "reading images"):
            full = self._cut(index, cameras)
            for level, scale in zip(self.levels, (self.scale, self.scale / 2), strict=True):
                planes, camera = _scaled(*full, scale)
                level.append(({name: plane.to(device) for name, plane in planes.items()}, camera.to(device)))

    def __len__(self) -> int:
        return len(self.levels[0])

    def get(self, index: int, level: int = 0) -> TrainingView:
        """Frame `index`, at full resolution (level 0) or half of it (level 1)."""
        planes, camera = self.levels[level][index]
        shown = {name: plane.float() / 255 for name, plane in planes.items()}
        weight = self.observations.frame_weight
        return TrainingView(
            image=shown["image"],
            mask=shown["mask"],
            trust=shown.get("trust"),
            behind=shown.get("behind"),
            camera=camera,
            index=index,
            instant=int(self.observations.instant[index]),
            weight=1.0 if weight is None else float(weight[index]),
        )

    def _cut(self, index: int, cameras: Cameras) -> tuple[dict[str, np.ndarray], Cameras]:
        """The fields of a `TrainingView` that are images, as bytes, and the camera."""
        image, mask = self.observations.images[index], self.observations.masks[index]
        box = person_box(to_float(mask), round(MARGIN * max(mask.shape)))
        if box is None:
            raise AvatarError(f"Frame {index} has an empty person mask: remove it or observe the video again.")
        rows, columns = box
        camera = cameras[index].cropped(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        planes = {"image": image[box], "mask": mask[box]}
        if self.observations.trust is not None:
            planes["trust"] = self.observations.trust[index][box]
        if self.backdrop is None:
            planes["image"] = replace_rim_colors(image[box], mask[box])
        else:  # the rim mixes both, as the composited image does
            planes["behind"] = self.backdrop.behind(index, box)
        return planes, camera


def _scaled(planes: dict[str, np.ndarray], camera: Cameras, scale: float) -> tuple[dict[str, Tensor], Cameras]:
    """Images and camera scaled by area averaging."""
    import cv2

    if scale < 1:
        size = (max(round(camera.width * scale), 1), max(round(camera.height * scale), 1))
        planes = {name: cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for name, plane in planes.items()}
        camera = camera.resized(*size)
    # A copy, so that the cut does not keep the whole image in memory.
    return {name: torch.from_numpy(plane.copy()) for name, plane in planes.items()}, camera
