"""Poses of a body, and how one body moved. Conventions: see `avatar.types`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.types.cameras import Cameras


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
        swing: rotations in the world of an avatar's spring bones (`avatar.model.spring_bones`) away from where the body
            carries them; None: loose clothes and hair follow the body alone.
    """

    root_position: Float[Tensor, "*b 3"]
    rotations: Float[Tensor, "*b joints 3 3"]
    fingers: Float[Tensor, "*b 30 3 3"] | None = None
    face: Float[Tensor, "*b 52"] | None = None
    swing: Float[Tensor, "*b nodes 3 3"] | None = None

    def __len__(self) -> int:
        return self.root_position.shape[0]

    def __getitem__(self, index: int | slice | Tensor | list[int] | None) -> BodyPose:
        return self._mapped(lambda tensor: tensor[index])

    @staticmethod
    def cat(poses: Sequence[BodyPose]) -> BodyPose:
        """Batches of poses one after the other.

        Raises:
            ValueError: some have fingers, a face or a swing and others not.
        """

        def joined(name: str) -> Tensor | None:
            tensors = [tensor for pose in poses if (tensor := getattr(pose, name)) is not None]
            if 0 < len(tensors) < len(poses):
                raise ValueError(f"Poses with and without {name} cannot be concatenated.")
            return torch.cat(tensors) if tensors else None

        roots, rotations = ([getattr(pose, name) for pose in poses] for name in ("root_position", "rotations"))
        return BodyPose(torch.cat(roots), torch.cat(rotations), joined("fingers"), joined("face"), joined("swing"))

    def to(self, device: torch.device | str) -> BodyPose:
        """The same poses on another device."""
        return self._mapped(lambda tensor: tensor.to(device))

    def detach(self) -> BodyPose:
        """The same poses without gradients."""
        return self._mapped(lambda tensor: tensor.detach())

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> BodyPose:
        others = (None if one is None else change(one) for one in (self.fingers, self.face, self.swing))
        return BodyPose(change(self.root_position), change(self.rotations), *others)


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
