"""The avatar: Gaussians on a body, posed into the world by any pose of the body. It never sees a camera."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from avatar import __version__
from avatar.body import Body, load_body, smpl_pose
from avatar.body.shape_attributes import load_shape_attributes
from avatar.body.skinning import skinning_transforms
from avatar.errors import AvatarError
from avatar.geometry import rotation_from_quat
from avatar.io.files import atomic_write
from avatar.model.avatar_file import FORMAT, AvatarHeader, check_gaussians, read_avatar_file
from avatar.model.deformation import DeformMLP, PoseOffsets, joint_influence, positional_encoding
from avatar.model.diffused_skinning import diffused_weights
from avatar.model.gaussians import TriangleGaussians, triangle_frames
from avatar.model.grip import Grip, grips_of, with_grips
from avatar.model.joint_transforms import joint_transforms_and_quats
from avatar.model.lighting import Light
from avatar.model.mapped_tensors import with_tensors_mapped
from avatar.model.props import PlacedProp, Prop, placed_prop
from avatar.model.rig import Rig
from avatar.model.skin_shading import skin_shading
from avatar.model.skinning import CanonicalSurface, GaussianAttributes, skin_gaussians
from avatar.model.spring_bones import SpringBones
from avatar.types import BodyPose, Gaussians


class Avatar(nn.Module):
    """A person as Gaussians on a fitted body. Posing an avatar changes nothing in it.

    `to`, `cuda`, `cpu` and `double` move or convert everything: parameters, the body model and all that is derived
    from it.

    Attributes:
        body: the body model; betas: its shape coefficients; rest: the shaped body at rest.
        gaussians: the raw Gaussians on the triangles.
        light: gains by the direction of the surface, fixed in the world.
        other_light: coefficients of a light that the avatar stands in instead, see `relight`; None: in its own.
        deform: the pose-driven MLP, or None.
        diffused: whether Gaussians away from the body get the weights of `avatar.model.diffused_skinning`; otherwise
            those of their triangles, wherever they are.
        hanging: the Gaussians' offsets when their weights were diffused; training moves them on.
        weights: skinning weights of each Gaussian over the body's joints.
        surface: the body at rest under each Gaussian; frames: the frames of its triangles.
        props: what the person wears or holds; they are no part of the avatar's file.
        springs: bones by which loose clothes and hair swing, or None; they are no part of the file either.
        joint_influence, positional_encoding: inputs of the MLP, see `avatar.model.deformation`.
        rig: what moves the Gaussians with the body's joints; hand_face_rig: with those of fingers, jaw and eyes too.
    """

    def __init__(
        self,
        body: Body,
        betas: Float[Tensor, " shapes"],
        gaussians: TriangleGaussians,
        deform: bool,
        diffused: bool = False,
    ) -> None:
        super().__init__()
        self.body, self.betas, self.diffused = body, betas, diffused
        self.rest = body.rest(betas)
        self.gaussians = gaussians
        self.light = Light()
        self.other_light: Float[Tensor, "8 3"] | None = None
        self.deform = DeformMLP(len(body.parents)) if deform else None
        self.props: tuple[Prop, ...] = ()
        self.refresh()

    def refresh(self, hanging: Float[Tensor, "n 3"] | None = None) -> None:
        """Recompute everything derived from the body and from the Gaussians' triangles.

        Args:
            hanging: the offsets by which the weights are diffused, see `hanging`; None: those of now.
        """
        body, gaussians = self.body, self.gaussians
        self.hanging = gaussians.offset.detach().clone() if hanging is None else hanging
        for derived in ("neighbors", "hand_face_rig", "placed_props", "grips", "skin_shading"):
            self.__dict__.pop(derived, None)
        self.springs: SpringBones | None = None
        self.frames = triangle_frames(self.rest.vertices, body.faces)
        corners = body.faces[gaussians.face]
        self.weights = self._weights_of(body)
        self.surface = CanonicalSurface(
            anchors=gaussians.anchors(self.frames),
            frames=self.frames.rotation[gaussians.face],
            quats=gaussians.frame_quats(self.frames),
            normals=gaussians.normals(self.frames),
            weights=self.weights,
        )
        self.joint_influence = joint_influence(self.weights, body.parents)
        self.positional_encoding = positional_encoding(self.surface.anchors)
        self.rig = Rig.of(body, self.rest, self.surface, corners, gaussians.bary)

    @cached_property
    def hand_face_rig(self) -> Rig:
        """The rig of `Body.with_hands_and_face`, made when the first pose moves fingers or face."""
        body, gaussians = self.body.with_hands_and_face, self.gaussians
        assert body is not None
        surface = replace(self.surface, weights=self._weights_of(body))
        return Rig.of(body, self.rest, surface, body.faces[gaussians.face], gaussians.bary).with_springs(self.springs)

    def _weights_of(self, body: Body) -> Float[Tensor, "n joints"]:
        """Skinning weights of the Gaussians over the joints of this body, which has the avatar's triangles."""
        gaussians = self.gaussians
        weights = torch.einsum("nc,ncj->nj", gaussians.bary, body.weights[body.faces[gaussians.face]])
        if not self.diffused:
            return weights
        means = gaussians.anchors(self.frames) + (self.frames.rotation[gaussians.face] * self.hanging[:, None]).sum(-1)
        return diffused_weights(means, self.hanging.norm(dim=1), weights, body, self.frames)

    def with_springs(self, springs: SpringBones | None) -> Avatar:
        """Let loose clothes and hair swing by these bones, in poses that say how; returns itself.

        They belong to the body and the Gaussians of now: `reshape` and `refresh` take them off.
        """
        self.springs = springs
        self.rig = self.rig.with_springs(springs)
        self.__dict__.pop("hand_face_rig", None)
        return self

    def rig_for(self, poses: Iterable[BodyPose]) -> tuple[Body, Rig]:
        """The body and the rig that play all of these poses: with fingers, jaw and eyes if any pose moves them."""
        plain = all(self.body.playing(pose) is self.body for pose in poses)
        return (self.body, self.rig) if plain else self.richest_rig

    @property
    def richest_rig(self) -> tuple[Body, Rig]:
        """The body and the rig with the most joints: with fingers, jaw and eyes where the body has them."""
        rich = self.body.with_hands_and_face
        return (self.body, self.rig) if rich is None else (rich, self.hand_face_rig)

    def _playing(self, pose: BodyPose) -> tuple[Rig, BodyPose]:
        """The rig that plays a pose, and the pose of all its joints."""
        body = self.body.playing(pose)
        return self.rig if body is self.body else self.hand_face_rig, body.complete(pose)

    @property
    def device(self) -> torch.device:
        """The device that holds the parameters."""
        return self.betas.device

    @property
    def observed(self) -> Float[Tensor, " n"]:
        """How well the images show each Gaussian, in [0, 1]."""
        return self.gaussians.observed

    def __len__(self) -> int:
        return len(self.gaussians)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Avatar:
        """Move or convert every tensor; what `to`, `cuda`, `cpu`, `double` and the like call.

        `nn.Module` alone would leave behind what is neither a parameter nor a buffer.

        Raises:
            TypeError: an attribute is of a kind that cannot be moved.
        """
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch's
        for name, value in vars(self).items():
            if not name.startswith("_"):
                vars(self)[name] = with_tensors_mapped(value, fn, f"Avatar.{name}")
        return self

    def reshape(self, betas: Float[Tensor, " shapes"]) -> Avatar:
        """Give the body another shape; the Gaussians stay on their triangles. Returns itself."""
        self.betas = betas.to(self.betas)
        self.rest = self.body.rest(self.betas)
        self.refresh()
        return self

    def reshape_by(self, words: Mapping[str, float]) -> Avatar:
        """Give the body the shape that `words` describe (`avatar.body.shape_attributes`); returns itself.

        Raises:
            UsageError: this body's shape cannot be described in words.
        """
        return self.reshape(load_shape_attributes(self.body.name).reshaped(self.betas, words)) if words else self

    def relight(self, coefficients: Float[Tensor, "8 3"] | None) -> Avatar:
        """Put the avatar into another light; None brings that of the recording back. Returns itself.

        Args:
            coefficients: of `avatar.model.lighting.irradiance_gain`; zeros are even light. The shading that is left in
                the colours of skin is taken out too.
        """
        self.other_light = None if coefficients is None else coefficients.to(self.betas)
        return self

    @cached_property
    def skin_shading(self) -> Float[Tensor, " n"]:
        """Log brightness of the shading that is left in the colours of skin; see `avatar.model.skin_shading`."""
        gaussians = self.gaussians
        colors = gaussians.colors.detach()
        return skin_shading(colors, self.surface.normals, self.observed, self.weights, self.body.joint_names)

    def _lighting(self, lit: bool) -> tuple[Float[Tensor, "8 3"] | None, Float[Tensor, "n 3"]]:
        """The light that shines, and the colours that it shines on."""
        colors = self.gaussians.colors
        if not lit:
            return None, colors
        if self.other_light is None:
            return self.light.coefficients, colors
        return self.other_light, colors * (-self.skin_shading).exp()[:, None]

    def rest_means(self) -> Float[Tensor, "n 3"]:
        """Centres of the Gaussians on the body at rest, metres."""
        return self.surface.means(self.gaussians.offset)

    @cached_property
    def neighbors(self) -> Int[Tensor, "n 4"]:
        """Indices of the four Gaussians nearest to each on the body at rest."""
        from scipy.spatial import cKDTree

        means = self.rest_means().detach().cpu().numpy()
        return torch.from_numpy(cKDTree(means).query(means, k=5)[1][:, 1:]).to(self.device)

    def with_props(self, props: Sequence[Prop]) -> Avatar:
        """Let the person wear and hold these things, and nothing else; returns itself."""
        self.props = tuple(props)
        for derived in ("placed_props", "grips"):
            self.__dict__.pop(derived, None)
        return self

    @cached_property
    def placed_props(self) -> tuple[PlacedProp, ...]:
        """The props on this body at rest."""
        return tuple(placed_prop(prop, self.body, self.rest) for prop in self.props)

    @cached_property
    def grips(self) -> tuple[Grip, ...]:
        """The fingers of each hand that holds something."""
        return grips_of(self.body, self.rest, self.placed_props)

    def gripping(self, pose: BodyPose) -> BodyPose:
        """The pose, or batch of poses, with the fingers closed on what the hands hold."""
        return with_grips(pose, self.grips) if self.props else pose

    def posed_props(self, pose: BodyPose, lit: bool = True) -> list[Gaussians]:
        """The splats of each prop in the world, for one pose."""
        light, _ = self._lighting(lit)
        pose = self.gripping(pose)
        return [placed.shape.posed(self.carried_by(placed.joint, pose), light) for placed in self.placed_props]

    def carried_by(self, joint: str, pose: BodyPose) -> Float[Tensor, "4 4"]:
        """The rigid transform from the rest frame to the world that a joint gives to what it carries."""
        body = self.body.playing(pose)
        rig = self.rig if body is self.body else self.hand_face_rig
        return skinning_transforms(rig.joints, rig.parents, body.complete(pose))[body.joint_names.index(joint)]

    def pose(self, body_pose: BodyPose, lit: bool = True) -> Gaussians:
        """The Gaussians in the world, for one pose: those of the avatar and then those of its props.

        Args:
            body_pose: an unbatched pose of the common 24 joints or of all the body's joints, with or without fingers
                and face.
            lit: with the learned light of the room, or that of `relight`, fixed in the world; otherwise the plain
                colours.
        """
        if not self.props:
            return self.own_pose(body_pose, lit)
        return Gaussians.cat([self.own_pose(body_pose, lit), *self.posed_props(body_pose, lit)])

    def own_pose(self, body_pose: BodyPose, lit: bool = True) -> Gaussians:
        """The same as `pose` without the props, which the hands hold nevertheless."""
        return self.pose_with_offsets(self.gripping(body_pose), lit)[0]

    def pose_with_offsets(self, body_pose: BodyPose, lit: bool = True) -> tuple[Gaussians, PoseOffsets]:
        """The avatar's own Gaussians, and what the pose changed about them at rest (training regularises it)."""
        rig, full = self._playing(body_pose)
        offsets = self._pose_offsets(rig, full)
        light, colors = self._lighting(lit)
        own = GaussianAttributes(
            self.gaussians.offset,
            self.gaussians.quats,
            colors,
            offsets.displacement,
            offsets.brightness,
        )
        joints, surface = rig.swinging(joint_transforms_and_quats(rig.joints, rig.parents, full), full.swing)
        skinned = skin_gaussians(surface, own, joints, light)
        posed = Gaussians(
            means=skinned.means,
            quats=skinned.quats,
            scales=self.gaussians.scales,
            opacities=self.gaussians.opacities,
            colors=skinned.colors,
        )
        return posed, offsets

    def deformed_means(self, pose: BodyPose) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"] | None]:
        """Rest positions with the body's pose correctives and the learned deformation, and log brightness.

        `pose` must hold all the body's joints; see `Body.complete`.
        """
        offsets = self._pose_offsets(*self._playing(pose))
        means = self.rest_means()
        return means if offsets.displacement is None else means + offsets.displacement, offsets.brightness

    def posed_normals(self, body_pose: BodyPose) -> Float[Tensor, "n 3"]:
        """Unit normals, in the world, of the surface under each Gaussian, for one pose."""
        rig, full = self._playing(body_pose)
        motions = joint_transforms_and_quats(rig.joints, rig.parents, full)
        turn = F.normalize(rig.surface.weights @ motions[:, 12:], dim=-1)
        return (rotation_from_quat(turn) @ self.surface.normals[..., None]).squeeze(-1)

    def _pose_offsets(self, rig: Rig, pose: BodyPose) -> PoseOffsets:
        """What a pose of all the rig's joints changes about the Gaussians at rest."""
        learned, brightness = None, None
        if self.deform is not None and self.deform.enabled:
            # The network knows the joints of the body it was trained with: fingers and face deform nothing.
            rotations = pose.rotations if rig is self.rig else smpl_pose(pose).rotations
            learned, brightness = self.deform(rotations, self.positional_encoding, self.joint_influence)
        displacement = moved = rig.offsets(pose)
        if learned is not None:
            displacement = learned if moved is None else learned + moved
        return PoseOffsets(displacement, learned, brightness)

    def save(self, path: Path) -> None:
        """Write everything but the body model itself to one safetensors file, atomically."""
        from safetensors.torch import save

        header = AvatarHeader(
            FORMAT,
            __version__,
            self.body.name,
            self.body.digest,
            "none" if self.deform is None else "mlp",
            "diffused" if self.diffused else "triangle",
        )
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        with atomic_write(path) as temporary:
            temporary.write_bytes(save({**tensors, "betas": self.betas.cpu()}, metadata=asdict(header)))

    @staticmethod
    def load(path: Path, body: Body | None = None) -> Avatar:
        """Read an avatar that `save` wrote.

        Args:
            path: the safetensors file.
            body: the body model it was made with, unless that is the open body or still lies at the same path.

        Raises:
            UsageError: the file does not exist.
            AvatarError: it is not an avatar, is damaged, or was made with another body model.
        """
        header, tensors = read_avatar_file(path)
        body = body or _body_of(header, path)
        if header.body_digest not in (body.digest, *body.earlier_digests):
            raise AvatarError(
                f"{path} was made with another version of the body {header.body!r} (by avatar {header.written_by}): "
                "give the body file it was made with by --body."
            )
        check_gaussians(path, tensors, faces=body.faces.shape[0])
        if tensors["betas"].shape != body.shape_dirs.shape[-1:]:
            raise AvatarError(f"{path} is damaged: its shape coefficients do not fit the body.")
        gaussians = TriangleGaussians(
            tensors["gaussians.face"],
            tensors["gaussians.bary"],
            tensors["gaussians.log_scales"].exp(),
            torch.zeros(len(tensors["gaussians.face"]), 3),
        )
        deform, diffused = header.deform == "mlp", header.skinning == "diffused"
        avatar = Avatar(body, tensors.pop("betas"), gaussians, deform, diffused)
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
