"""What moves the Gaussians: the joints and skinning weights, correctives and face units of one body under them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body import Body, RestBody
from avatar.body.face import FaceUnits
from avatar.model.blend_shapes import PoseCorrectives
from avatar.model.skinning import CanonicalSurface
from avatar.model.spring_bones import SpringBones, SpringRig
from avatar.types import BodyPose


@dataclass(frozen=True)
class GaussianFace:
    """The face units at the Gaussians; most Gaussians are not on the face.

    Attributes:
        on_face: indices of the Gaussians that some unit moves.
        directions: displacement of each of them at rest, metres, at a coefficient of one.
    """

    on_face: Int[Tensor, " k"]
    directions: Float[Tensor, "k 3 52"]

    @staticmethod
    def at_points(units: FaceUnits, corners: Int[Tensor, "n 3"], bary: Float[Tensor, "n 3"]) -> GaussianFace:
        """The units at points on triangles with these corners."""
        moved = (units.directions != 0).flatten(1).any(1)
        on_face = moved[corners].any(1).nonzero()[:, 0]
        directions = torch.einsum("nc,ncxu->nxu", bary[on_face], units.directions[corners[on_face]])
        return GaussianFace(on_face, directions)

    def offsets(self, face: Float[Tensor, " 52"], count: int) -> Float[Tensor, "n 3"]:
        """Displacements at rest of all `count` Gaussians, metres."""
        return face.new_zeros(count, 3).index_add(0, self.on_face, self.directions @ face)


@dataclass(frozen=True)
class Rig:
    """One body's skeleton under the Gaussians.

    Attributes:
        joints: their places at rest, metres; parents: parent of each, -1 for the root.
        surface: the body at rest under each Gaussian, with this body's skinning weights.
        correctives: its pose correctives at the Gaussians, or None.
        face: its face units there, or None.
        springs: the spring bones of loose clothes and hair, or None.
    """

    joints: Float[Tensor, "joints 3"]
    parents: tuple[int, ...]
    surface: CanonicalSurface
    correctives: PoseCorrectives | None
    face: GaussianFace | None
    springs: SpringRig | None = None

    @staticmethod
    def of(
        body: Body, rest: RestBody, surface: CanonicalSurface, corners: Int[Tensor, "n 3"], bary: Float[Tensor, "n 3"]
    ) -> Rig:
        """The rig of a body under Gaussians on its triangles.

        Args:
            rest: the person's body at rest, of this body or of the one with fewer joints.
            surface: with this body's weights.
            corners, bary: vertices of each Gaussian's triangle, and its barycentric coordinates.
        """
        correctives, face = None, None
        if body.pose_dirs is not None:
            correctives = PoseCorrectives(body.pose_dirs, corners, bary)
        if body.face_units is not None:
            face = GaussianFace.at_points(body.face_units, corners, bary)
        joints = rest.joints if len(rest.joints) == len(body.parents) else body.joint_regressor @ rest.vertices
        return Rig(joints, body.parents, surface, correctives, face)

    def with_springs(self, bones: SpringBones | None) -> Rig:
        """The same rig with these spring bones, or without any."""
        return replace(self, springs=None if bones is None else SpringRig.of(self.surface, bones))

    def swinging(
        self, joints: Float[Tensor, "joints 16"], swing: Float[Tensor, "nodes 3 3"] | None
    ) -> tuple[Float[Tensor, "all 16"], CanonicalSurface]:
        """What moves the Gaussians in a pose: the rows of the joints, with those of the spring bones if they swing,
        and the surface with the weights over both."""
        if self.springs is None or swing is None:
            return joints, self.surface
        return self.springs.with_nodes(joints, swing.to(joints)), self.springs.surface

    def offsets(self, pose: BodyPose) -> Float[Tensor, "n 3"] | None:
        """Displacements at rest of the Gaussians in a pose of all the body's joints, metres; None: nothing moves."""
        moved = None if self.correctives is None else self.correctives(pose.rotations)
        if self.face is None or pose.face is None:
            return moved
        face = self.face.offsets(pose.face, len(self.surface.anchors))
        return face if moved is None else moved + face
