"""A body of the SMPL family: a template that shape coefficients change and joint rotations pose."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body.face import FaceUnits, jaw_and_eyes
from avatar.body.hands import as_rested, straight_turns
from avatar.body.skeleton import FINGER_JOINTS, SMPL_JOINTS, smpl_joint_indices
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
        pose_dirs: change of the rest vertices with the entries of `R - I` of the first joints but the root, row by
            row; None for bodies without pose correctives.
        parents: parent of each joint, -1 for the root; parents stand before their children.
        joint_names: SMPL's names for the joints it shares with SMPL.
        rest_rotations: rotations that joints outside SMPL's 24 take when nothing drives them (relaxed hands).
        parts: index into `avatar.body.parts.PARTS` of each vertex.
        face_units: how the surface moves with the units of the face; None for bodies without.
        with_hands_and_face: the same body with joints for fingers, jaw and eyes, which plays poses that move those;
            None where this body has them itself, or has none.
        earlier_digests: of the files that this one replaces, on whose avatars it fits.
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
    face_units: FaceUnits | None = None
    with_hands_and_face: Body | None = None
    earlier_digests: tuple[str, ...] = ()

    def to(self, device: torch.device | str) -> Body:
        """The same body with its tensors on `device`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors: dict[str, Any] = {name: v.to(device) for name, v in values.items() if isinstance(v, Tensor)}
        if self.face_units is not None:
            tensors["face_units"] = FaceUnits(self.face_units.directions.to(device))
        if self.with_hands_and_face is not None:
            tensors["with_hands_and_face"] = self.with_hands_and_face.to(device)
        return replace(self, **tensors)

    def playing(self, pose: BodyPose) -> Body:
        """The body whose joints play this pose: the one with fingers, jaw and eyes if the pose moves any of them."""
        rich = self.with_hands_and_face
        moves = pose.fingers is not None or pose.face is not None or pose.rotations.shape[-3] > len(self.parents)
        return rich if rich is not None and moves else self

    @cached_property
    def finger_joints(self) -> slice:
        """Where the 30 finger joints stand among the joints; empty for bodies without."""
        start = self.joint_names.index(FINGER_JOINTS[0]) if FINGER_JOINTS[0] in self.joint_names else 0
        return slice(start, start + (len(FINGER_JOINTS) if start else 0))

    @cached_property
    def straight_hand(self) -> Float[Tensor, "30 3 3"] | None:
        """For each finger bone the rotation from its rest to the straight hand; None: it rests straight, as SMPL-H's.

        See `avatar.body.hands`.
        """
        if self.face_units is None:
            return None
        joints = self.joint_regressor @ self.template
        return straight_turns(joints[20:22], joints[self.finger_joints])

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

        Without fingers of its own the pose's hand joints turn the four fingers on top of the relaxed hand; without a
        face jaw and eyes rest. A body of SMPL's 24 joints ignores fingers and face.
        """
        pose = pose.to(self.template.device)  # poses come from files, on the CPU
        count = pose.rotations.shape[-3]
        if count == len(self.parents):
            return pose
        if count != len(SMPL_JOINTS):
            return self._with_jaw_and_eyes_at_rest(pose)
        rest = self.rest_rotations.to(pose.rotations)
        rotations = rest.expand(*pose.rotations.shape[:-3], -1, 3, 3).clone()
        rotations[..., :22, :, :] = pose.rotations[..., :22, :, :]
        if pose.fingers is not None:
            straight = self.straight_hand
            own = pose.fingers if straight is None else as_rested(pose.fingers, straight.to(pose.fingers))
            rotations[..., self.finger_joints, :, :] = own
        else:
            for smpl_joint, side in ((22, "left"), (23, "right")):
                curl = pose.rotations[..., smpl_joint, :, :]
                # One by one: an index made of a list would make a GPU wait.
                for finger in _FINGERS_ON_HAND_JOINT:
                    joint = self.joint_names.index(f"{side}_{finger}")
                    rotations[..., joint, :, :] = curl @ rest[joint]
        if pose.face is not None and "jaw" in self.joint_names:
            jaw = self.joint_names.index("jaw")
            rotations[..., jaw : jaw + 3, :, :] = jaw_and_eyes(pose.face)
        return replace(pose, rotations=rotations)

    def _with_jaw_and_eyes_at_rest(self, pose: BodyPose) -> BodyPose:
        """A pose of SMPL-H's 52 joints for the body that adds jaw and eyes to them."""
        missing = len(self.parents) - pose.rotations.shape[-3]
        if self.face_units is None or missing != 3:
            raise ValueError(f"a pose of {pose.rotations.shape[-3]} joints for a body of {len(self.parents)}")
        still = torch.eye(3, dtype=pose.rotations.dtype, device=pose.rotations.device)
        rest = still.expand(*pose.rotations.shape[:-3], missing, 3, 3)
        return replace(pose, rotations=torch.cat([pose.rotations, rest], dim=-3))

    def vertices(self, rest: RestBody, pose: BodyPose) -> Float[Tensor, "*b v 3"]:
        """World vertices of a person in one pose or many (of SMPL's 24 joints or of all the body's)."""
        body = self.playing(pose)
        full = body.complete(pose)
        points, joints = rest.vertices, rest.joints
        if body is not self:
            joints = body.joint_regressor @ rest.vertices
        if body.pose_dirs is not None:
            points = points + body.pose_offsets(full)
        if body.face_units is not None and pose.face is not None:
            points = points + body.face_units.offsets(pose.face)
        return skin(points, body.weights, skinning_transforms(joints, body.parents, full))

    def pose_offsets(self, pose: BodyPose) -> Float[Tensor, "*b v 3"]:
        """Pose correctives: offsets of the rest vertices before skinning (Loper et al. 2015, eq. 9)."""
        assert self.pose_dirs is not None
        eye = torch.eye(3, dtype=pose.rotations.dtype, device=pose.rotations.device)
        feature = (pose.rotations[..., 1:, :, :] - eye).flatten(-3)[..., : self.pose_dirs.shape[-1]]
        return torch.unflatten(feature @ self.pose_dirs.flatten(0, 1).T, -1, (-1, 3))


def smpl_pose(pose: BodyPose) -> BodyPose:
    """A pose of SMPL's 24 joints from one of a body with fingers; a pose without fingers is returned unchanged.

    Such bodies have SMPL's first 22 joints, then jaw, eyes and fingers, which SMPL lacks. SMPL's hands stay straight.
    """
    if pose.rotations.shape[-3] <= len(SMPL_JOINTS):
        return pose
    rotations = pose.rotations[..., : len(SMPL_JOINTS), :, :].clone()
    rotations[..., 22:, :, :] = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
    return replace(pose, rotations=rotations)
