"""A body of the SMPL family: a template that shape coefficients change and joint rotations pose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS, smpl_joint_indices
from avatar.body.skinning import skin, skinning_transforms
from avatar.types import BodyPose

Kind = Literal["smpl", "smplh", "smplx"]

_FINGERS_ON_HAND_JOINT = ("index1", "middle1", "pinky1", "ring1")


@dataclass(frozen=True)
class RestBody:
    """One person's body at rest (T-pose): vertices and joints in metres, where the model's file puts them."""

    vertices: Float[Tensor, "v 3"]
    joints: Float[Tensor, "j 3"]

    @property
    def smpl_joints(self) -> Float[Tensor, "24 3"]:
        """The joints that play SMPL's 24, in SMPL's order."""
        return self.joints[smpl_joint_indices(len(self.joints))]


@dataclass(frozen=True)
class Body:
    """A body model (Loper et al. 2015), as read from its file by `load_body`.

    At rest it faces +Z in a T-pose, Y up, its left hand at +X; lengths are metres.

    Attributes:
        name: "open" or the path of the file.
        kind: which of the family's skeletons it has: SMPL 24 joints, SMPL-H 52, SMPL-X 55.
        gender: "neutral", "female" or "male".
        digest: short hash of the file, by which an avatar knows the body it was made with.
        template: vertices of the mean person at rest.
        faces: triangles, counter-clockwise seen from outside.
        joint_regressor: weights that give the joints of the shaped vertices.
        weights: share of each joint in each vertex, rows summing to one.
        shape_dirs: change of the vertices with each shape coefficient; unit variance over people.
        expression_dirs: the same for facial expression; no columns for bodies without expression.
        pose_dirs: change of the rest vertices with the entries of `R - I` of each joint but the root, row by row;
            None for bodies without pose correctives.
        parents: parent of each joint, -1 for the root; parents stand before their children.
        joint_names: SMPL's names for the joints it shares with SMPL.
        rest_rotations: rotations that joints outside SMPL's 24 take when nothing drives them (relaxed hands).
        parts: index into `avatar.body.parts.PARTS` of each vertex.
    """

    name: str
    kind: Kind
    gender: str
    digest: str
    template: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    joint_regressor: Float[Tensor, "j v"]
    weights: Float[Tensor, "v j"]
    shape_dirs: Float[Tensor, "v 3 s"]
    expression_dirs: Float[Tensor, "v 3 e"]
    pose_dirs: Float[Tensor, "v 3 p"] | None
    parents: tuple[int, ...]
    joint_names: tuple[str, ...]
    rest_rotations: Float[Tensor, "j 3 3"]
    parts: Int[Tensor, " v"]

    def to(self, device: torch.device | str) -> Body:
        """The same body with its tensors on `device`."""
        tensors: dict[str, Any] = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **tensors)

    @cached_property
    def smpl_index(self) -> tuple[int, ...]:
        """For each of SMPL's 24 joints the body's joint that plays it, see `smpl_joint_indices`."""
        return tuple(smpl_joint_indices(self.joint_names))

    def rest(self, betas: Float[Tensor, " s"], expression: Float[Tensor, " e"] | None = None) -> RestBody:
        """The body of a person with these shape (and expression) coefficients, in the T-pose."""
        vertices = self.template + self.shape_dirs @ betas
        if expression is not None:
            vertices = vertices + self.expression_dirs @ expression
        return RestBody(vertices, self.joint_regressor @ vertices)

    def complete(self, pose: BodyPose) -> BodyPose:
        """A pose of all the body's joints, on the body's device, from one of SMPL's 24 joints or of all joints.

        The four fingers follow the rotation of SMPL's hand joint on top of the relaxed hand; jaw and eyes rest.
        """
        pose = pose.to(self.template.device)  # poses come from files, on the CPU
        if pose.rotations.shape[-3] == len(self.parents):
            return pose
        rest = self.rest_rotations.to(pose.rotations)
        rotations = rest.expand(*pose.rotations.shape[:-3], -1, 3, 3).clone()
        rotations[..., :22, :, :] = pose.rotations[..., :22, :, :]
        for smpl_joint, side in ((22, "left"), (23, "right")):
            curl = pose.rotations[..., smpl_joint, :, :]
            # One by one: an index made of a list would make a GPU wait.
            for finger in _FINGERS_ON_HAND_JOINT:
                joint = self.joint_names.index(f"{side}_{finger}")
                rotations[..., joint, :, :] = curl @ rest[joint]
        return BodyPose(pose.root_position, rotations)

    def vertices(self, rest: RestBody, pose: BodyPose) -> Float[Tensor, "*b v 3"]:
        """World vertices of a person in one pose or many (of SMPL's 24 joints or of all the body's)."""
        pose = self.complete(pose)
        points = rest.vertices
        if self.pose_dirs is not None:
            points = points + self.pose_offsets(pose)
        return skin(points, self.weights, skinning_transforms(rest.joints, self.parents, pose))

    def pose_offsets(self, pose: BodyPose) -> Float[Tensor, "*b v 3"]:
        """Pose correctives: offsets of the rest vertices before skinning (Loper et al. 2015, eq. 9)."""
        assert self.pose_dirs is not None
        eye = torch.eye(3, dtype=pose.rotations.dtype, device=pose.rotations.device)
        feature = (pose.rotations[..., 1:, :, :] - eye).flatten(-3)
        return torch.unflatten(feature @ self.pose_dirs.flatten(0, 1).T, -1, (-1, 3))


def smpl_pose(pose: BodyPose) -> BodyPose:
    """A pose of SMPL's 24 joints from one of a body with fingers; a pose without fingers is returned unchanged.

    Such bodies have SMPL's first 22 joints, then jaw, eyes and fingers, which SMPL lacks. SMPL's hands stay straight.
    """
    if pose.rotations.shape[-3] <= len(SMPL_JOINTS):
        return pose
    rotations = pose.rotations[..., : len(SMPL_JOINTS), :, :].clone()
    rotations[..., 22:, :, :] = torch.eye(3).to(rotations)
    return BodyPose(pose.root_position, rotations)
