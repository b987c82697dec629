"""The avatar: Gaussians on a body, that any pose of the body puts into the world. It never sees a camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from avatar import __version__
from avatar.body import Body, load_body
from avatar.body.shape_attributes import load_shape_attributes
from avatar.errors import AvatarError
from avatar.geometry import rotation_from_quat
from avatar.io.files import atomic_write
from avatar.model.avatar_file import FORMAT, AvatarHeader, check_gaussians, read_avatar_file
from avatar.model.blend_shapes import PoseCorrectives
from avatar.model.deformation import DeformMLP, nearby_joints, place_features
from avatar.model.gaussians import TriangleGaussians, triangle_frames
from avatar.model.joint_transforms import joint_transforms_and_quats
from avatar.model.lighting import Light
from avatar.model.skinning import CanonicalSurface, GaussianAttributes, skin_gaussians
from avatar.types import BodyPose, Gaussians


class Avatar(nn.Module):
    """A person as Gaussians on a fitted body.

    Attributes:
        body: the body model; betas: its shape coefficients; rest: the shaped body at rest.
        gaussians: the raw Gaussians on the triangles.
        light: gains by the direction of the surface, fixed in the world.
        deform: the pose-driven MLP, or None.
        weights: skinning weights of each Gaussian over the body's joints.
    """

    def __init__(self, body: Body, betas: Float[Tensor, " shapes"], gaussians: TriangleGaussians, deform: bool) -> None:
        super().__init__()
        self.body, self.betas = body, betas
        self.rest = body.rest(betas)
        self.gaussians = gaussians
        self.light = Light()
        self.deform = DeformMLP(len(body.parents)) if deform else None
        # What the deformation moved in the last call of `pose`, for training to hold it back.
        self.moved: Tensor | None = None
        self.refresh()

    def refresh(self) -> None:
        """Recompute what follows from the body and from which triangle each Gaussian sits on."""
        body, gaussians = self.body, self.gaussians
        self.__dict__.pop("neighbors", None)
        self.frames = triangle_frames(self.rest.vertices, body.faces)
        corners = body.faces[gaussians.face]
        self.weights = torch.einsum("nc,ncj->nj", gaussians.bary, body.weights[corners])
        self.surface = CanonicalSurface(
            anchors=gaussians.anchors(self.frames),
            frames=self.frames.rotation[gaussians.face],
            quats=gaussians.frame_quats(self.frames),
            normals=gaussians.normals(self.frames),
            weights=self.weights,
        )
        self.near = nearby_joints(self.weights, body.parents)
        self.places = place_features(self.surface.anchors)
        self.correctives = None
        if body.pose_dirs is not None:
            self.correctives = PoseCorrectives(body.pose_dirs, corners, gaussians.bary)

    @property
    def device(self) -> torch.device:
        return self.betas.device

    @property
    def observed(self) -> Float[Tensor, " n"]:
        """How well the pictures showed each Gaussian, in [0, 1]."""
        return self.gaussians.observed

    def __len__(self) -> int:
        return len(self.gaussians)

    def on(self, device: torch.device | str) -> Avatar:
        """Move everything, the body included, to `device`; returns itself."""
        self.body, self.betas = self.body.to(device), self.betas.to(device)
        self.rest = self.body.rest(self.betas)
        self.to(device)
        self.refresh()
        return self

    def reshape(self, betas: Float[Tensor, " shapes"]) -> Avatar:
        """Give the body another shape, on which the Gaussians keep their places; returns itself."""
        self.betas = betas.to(self.betas)
        return self.on(self.device)

    def reshape_by(self, words: Mapping[str, float]) -> Avatar:
        """Give the body the shape that words say (`avatar.body.shape_attributes`), all else as it is; returns itself.

        Raises:
            UsageError: there are words, and the body's shape has none.
        """
        return self.reshape(load_shape_attributes(self.body.name).reshaped(self.betas, words)) if words else self

    def rest_means(self) -> Float[Tensor, "n 3"]:
        """Centres of the Gaussians on the body at rest, metres."""
        return self.surface.means(self.gaussians.offset)

    @cached_property
    def neighbors(self) -> Int[Tensor, "n 4"]:
        """Indices of the four Gaussians nearest to each on the body at rest."""
        from scipy.spatial import cKDTree

        means = self.rest_means().detach().cpu().numpy()
        return torch.from_numpy(cKDTree(means).query(means, k=5)[1][:, 1:]).to(self.device)

    def pose(self, body_pose: BodyPose, lit: bool = True) -> Gaussians:
        """The Gaussians in the world, for one pose.

        Args:
            body_pose: an unbatched pose of the common 24 joints or of all the body's joints.
            lit: with the learned light of the room, fixed in the world; otherwise the plain colours.
        """
        full = self.body.complete(body_pose)
        displacement, brightness = self._bend(full)
        motions = joint_transforms_and_quats(self.rest.joints, self.body.parents, full)
        own = GaussianAttributes(
            self.gaussians.offset, self.gaussians.quats, self.gaussians.colors, displacement, brightness
        )
        carried = skin_gaussians(self.surface, own, motions, self.light.coefficients if lit else None)
        return Gaussians(
            means=carried.means,
            quats=carried.quats,
            scales=self.gaussians.scales,
            opacities=self.gaussians.opacities,
            colors=carried.colors,
        )

    def bent(self, pose: BodyPose) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"] | None]:
        """Rest positions with the body's pose correctives and the learned deformation, and log brightness.

        `pose` must hold all the body's joints; see `Body.complete`.
        """
        displacement, brightness = self._bend(pose)
        means = self.rest_means()
        return means if displacement is None else means + displacement, brightness

    def posed_normals(self, body_pose: BodyPose) -> Float[Tensor, "n 3"]:
        """Unit normals, in the world, of the surface under each Gaussian, for one pose."""
        full = self.body.complete(body_pose)
        motions = joint_transforms_and_quats(self.rest.joints, self.body.parents, full)
        turn = F.normalize(self.weights @ motions[:, 12:], dim=-1)
        return (rotation_from_quat(turn) @ self.surface.normals[..., None]).squeeze(-1)

    def _bend(self, pose: BodyPose) -> tuple[Float[Tensor, "n 3"] | None, Float[Tensor, " n"] | None]:
        """Displacement in the rest frame, metres, and log brightness in one pose; None where there is none."""
        displacement, brightness = None, None
        if self.deform is not None and self.deform.awake:
            displacement, brightness = self.deform(pose.rotations, self.places, self.near)
        self.moved = displacement
        if self.correctives is not None:
            corrected = self.correctives(pose.rotations)
            displacement = corrected if displacement is None else displacement + corrected
        return displacement, brightness

    def save(self, path: Path) -> None:
        """Write everything but the body model itself to one safetensors file, in one step."""
        from safetensors.torch import save

        header = AvatarHeader(
            FORMAT, __version__, self.body.name, self.body.digest, "none" if self.deform is None else "mlp"
        )
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        with atomic_write(path) as temporary:
            temporary.write_bytes(save({**tensors, "betas": self.betas.cpu()}, metadata=asdict(header)))

    @staticmethod
    def load(path: Path, body: Body | None = None) -> Avatar:
        """Read an avatar that `save` wrote.

        Args:
            path: the safetensors file.
            body: the body model it was made with, where that is not the open body or lies elsewhere now.

        Raises:
            UsageError: there is no such file.
            AvatarError: it is not an avatar, is damaged, or was made with another body model.
        """
        header, tensors = read_avatar_file(path)
        body = body or _body_of(header, path)
        if body.digest != header.body_digest:
            raise AvatarError(
                f"{path} was made with another version of the body {header.body!r} (by avatar {header.written_by}): "
                "give the body file it was made with by --body."
            )
        check_gaussians(path, tensors, faces=body.faces.shape[0])
        if tensors["betas"].shape != body.shape_dirs.shape[-1:]:
            raise AvatarError(f"{path} is damaged: its body has another number of shape coefficients.")
        gaussians = TriangleGaussians(
            tensors["gaussians.face"],
            tensors["gaussians.bary"],
            tensors["gaussians.log_scales"].exp(),
            torch.zeros(len(tensors["gaussians.face"]), 3),
        )
        avatar = Avatar(body, tensors.pop("betas"), gaussians, deform=header.deform == "mlp")
        try:
            avatar.load_state_dict(tensors)
        except RuntimeError as error:
            raise AvatarError(f"{path} is damaged: its arrays do not fit together.") from error
        avatar.refresh()
        return avatar


def _body_of(header: AvatarHeader, path: Path) -> Body:
    try:
        return load_body(header.body)
    except AvatarError as error:
        raise AvatarError(f"{path} needs the body it was made with: {error}") from error


def part_of_gaussians(avatar: Avatar) -> Int[Tensor, " n"]:
    """Index into `PARTS` of each Gaussian: that of the nearest corner of its triangle."""
    gaussians = avatar.gaussians
    nearest = gaussians.bary.argmax(1, keepdim=True)
    return avatar.body.parts[avatar.body.faces[gaussians.face].gather(1, nearest).squeeze(1)]
