"""People sampled from `anny`, put into SMPL's T-pose and described by SMPL's 24 joints (for build_open_body.py)."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from avatar.body.parts import PARTS, parts_by_joint
from avatar.body.skeleton import SMPL_JOINTS
from avatar.body.skinning import skin
from avatar.geometry import rigid, rotation_from_6d, rotation_from_rotvec, rotation_to_rotvec, skew

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import anny
    from anny.shape_distribution import SimpleShapeDistribution

WORDS = ("height", "weight", "age", "gender", "muscle", "proportions")
"""Height in metres, age in years, the others anny's 0..1 scales (gender: 0 male, 1 female)."""

# The anny bones that follow each SMPL joint. A bone without a side stands for itself, one with "*" for the bone
# of the joint's own side. The thumb stays with the palm: SMPL's hand joint curls the four fingers.
BONES = {
    "pelvis": "root pelvis.L pelvis.R spine05 spine04",
    "hip": "upperleg01* upperleg02*",
    "spine1": "spine03",
    "knee": "lowerleg01* lowerleg02*",
    "spine2": "spine02",
    "ankle": "foot*",
    "spine3": "spine01",
    "foot": " ".join(f"toe{t}-{k}*" for t in range(1, 6) for k in (1, 2, 3) if (t, k) != (1, 3)),
    "neck": "neck01 neck02 neck03",
    "collar": "clavicle* shoulder01*",
    "head": "head eye.L eye.R",
    "shoulder": "upperarm01* upperarm02*",
    "elbow": "lowerarm01* lowerarm02*",
    "wrist": "wrist* metacarpal1* metacarpal2* metacarpal3* metacarpal4* finger1-1* finger1-2* finger1-3*",
    "hand": " ".join(f"finger{f}-{k}*" for f in range(2, 6) for k in (1, 2, 3)),
}
# Joints stand at the head of their first bone, except these, which lie between the heads of several. The pelvis
# is lifted from the hip line to about the height it has in SMPL, for motions to carry over.
CENTRES = {
    "pelvis": "root spine04",
    "foot": "toe2-1* toe3-1* toe4-1*",
    "collar": "clavicle* shoulder01*",
    "hand": "finger2-1* finger3-1* finger4-1*",
}
# Directions of the left limbs in SMPL's rest pose (X left, Y up, Z forward), which its motions take for granted:
# a leg slightly out and a shin slightly back, arms straight out with the elbows a little behind.
THIGH, SHIN = (0.092, -0.995, -0.012), (-0.035, -0.993, -0.109)
UPPER_ARM, FOREARM, HAND = (0.993, -0.050, -0.105), (0.999, 0.036, -0.004), (0.980, -0.090, -0.170)
# The shoulder girdle's share of raising the arms from MakeHuman's A-pose, degrees, as in its own T-pose.
CLAVICLE, SHOULDER_BLADE = 10.0, 8.0

# Vertices that a facial action moves by more than this belong to the face, metres.
FACE_MOTION = 1e-3


@dataclass(frozen=True)
class People:
    """Vertices (n, v, 3) and joints (n, 24, 3) at rest, and the words (n, 6) for each person."""

    vertices: Tensor
    joints: Tensor
    words: Tensor

    def __getitem__(self, index: slice) -> People:
        return People(self.vertices[index], self.joints[index], self.words[index])


@dataclass(frozen=True)
class Sculpture:
    """One person at rest (vertices (v, 3), joints (24, 3)), and as sculpted in the A-pose (v, 3) with the transforms
    (bones, 4, 4) that bring each bone from there to the rest pose."""

    vertices: Tensor
    joints: Tensor
    sculpture: Tensor
    Ts_rest_sculpture: Tensor


def bones_of(names: str, joint: str) -> list[str]:
    """Full bone names for a joint such as "left_knee"."""
    side = {"left": ".L", "right": ".R"}.get(joint.split("_")[0], "")
    return [name.replace("*", side) for name in names.split()]


class AnnyRig:
    """anny's model with its axes turned to ours: Y up, facing +Z, left at +X."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model = anny.Anny().float()
        self.labels: list[str] = self.model.bone_labels
        self.parents: list[int] = self.model.bone_parents
        self.faces: Tensor = self.model.faces
        self.bone_weights: Tensor = self.model.dense_vertex_bone_weights.to_dense()
        self.weights = torch.stack(
            [self.bone_weights[:, self._indices(BONES, joint)].sum(1) for joint in SMPL_JOINTS], dim=1
        )
        self.weights /= self.weights.sum(1, keepdim=True)
        moved_by = {bone: j for j, joint in enumerate(SMPL_JOINTS) for bone in self._indices(BONES, joint)}
        self.joint_of_bone = [moved_by[bone] for bone in range(len(self.labels))]
        self.parts = self._parts()

    def rest(self, phenotypes: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Vertices (n, v, 3) and bone heads (n, bones, 3) in MakeHuman's A-pose."""
        with torch.no_grad():
            output = self.model(phenotype_kwargs=phenotypes)
        turn = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
        return output["rest_vertices"] @ turn.T, output["rest_bone_heads"] @ turn.T

    def bone_transforms(self, heads: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
        """Transforms (n, bones, 4, 4) and new heads when each bone turns by its world rotation away from rest."""
        moved = [heads[:, 0]]
        for bone, parent in list(enumerate(self.parents))[1:]:
            offset = heads[:, bone] - heads[:, parent]
            moved.append(moved[parent] + (rotations[:, parent] @ offset[..., None])[..., 0])
        new_heads = torch.stack(moved, dim=1)
        return rigid(rotations, new_heads - (rotations @ heads[..., None])[..., 0]), new_heads

    def t_pose_rotations(self, heads: Tensor) -> Tensor:
        """World rotations (n, bones, 3, 3) that bring the A-pose to SMPL's T-pose."""
        at = dict(zip(self.labels, heads.unbind(1), strict=True))
        rotations = torch.eye(3).repeat(*heads.shape[:2], 1, 1)
        for side, mirror in ((".L", torch.ones(3)), (".R", torch.tensor([-1.0, 1, 1]))):
            for name, R in _limb_rotations({k: v * mirror for k, v in at.items()}, side).items():
                R_side = mirror[:, None] * R * mirror
                below = self._subtree(name + side)
                rotations[:, below] = R_side[:, None].expand(-1, len(below), -1, -1)
        return rotations

    def joints(self, heads: Tensor) -> Tensor:
        """SMPL's 24 joints (n, 24, 3) from the bone heads."""
        first = {name: bones.split()[0] for name, bones in BONES.items()}
        return torch.stack([heads[:, self._indices(first | CENTRES, j)].mean(1) for j in SMPL_JOINTS], dim=1)

    def _indices(self, table: dict[str, str], joint: str) -> list[int]:
        return [self.labels.index(bone) for bone in bones_of(table[joint.split("_")[-1]], joint)]

    def _subtree(self, name: str) -> list[int]:
        inside = {self.labels.index(name)}
        for bone, parent in enumerate(self.parents):
            if parent in inside:
                inside.add(bone)
        return sorted(inside)

    def _parts(self) -> Tensor:
        """Part of each vertex: by the joint that moves it most; the face is what anny's facial actions move."""
        parts = parts_by_joint(self.weights, SMPL_JOINTS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            actor = anny.Anny(facial_actions="all").float()
        actions = torch.eye(len(actor.facial_action_labels))
        with torch.no_grad():
            faces = actor(facial_actions=actions)["rest_vertices"] - actor()["rest_vertices"]
        moved = faces.norm(dim=-1).amax(0) > FACE_MOTION
        parts[moved & (parts == PARTS.index("head"))] = PARTS.index("face")
        return parts


def _limb_rotations(at: dict[str, Tensor], side: str) -> dict[str, Tensor]:
    """World rotations (n, 3, 3) of a limb's bones, outermost last; right limbs come mirrored to the left."""
    clavicle, girdle = (_raised(angle) for angle in (CLAVICLE, CLAVICLE + SHOULDER_BLADE))

    def along(start: str, end: str) -> Tensor:
        return at[end + side] - at[start + side]

    upper, lower = along("upperarm01", "lowerarm01"), along("lowerarm01", "wrist")
    hinge = torch.linalg.cross(upper, lower)
    down = torch.tensor([0.0, -1.0, 0.0]).expand_as(hinge)
    forward = torch.tensor([0.0, 0.0, 1.0]).expand_as(hinge)
    elbow = _frame_turn(lower, hinge, FOREARM, down)
    # Palms face the floor: the row of knuckles, little finger to index, runs forward.
    wrist = _frame_turn(along("wrist", "finger3-1"), along("finger5-1", "finger2-1"), HAND, forward)
    twist = rotation_to_rotvec(wrist @ elbow.mT)
    return {
        "clavicle": clavicle.expand_as(elbow),
        "shoulder01": girdle.expand_as(elbow),
        "upperarm01": _frame_turn(upper, hinge, UPPER_ARM, down),
        "lowerarm01": elbow,
        # Half of the turn of the palm happens in the forearm, as in a living arm.
        "lowerarm02": rotation_from_rotvec(twist / 2) @ elbow,
        "wrist": wrist,
        "upperleg01": _shortest_turn(along("upperleg01", "lowerleg01"), THIGH),
        "lowerleg01": _shortest_turn(along("lowerleg01", "foot"), SHIN),
        # The feet were sculpted flat on the floor and stay so.
        "foot": torch.eye(3).expand_as(elbow),
    }


def _raised(degrees: float) -> Tensor:
    return rotation_from_rotvec(torch.tensor([0.0, 0.0, math.radians(degrees)]))


def _frame_turn(axis: Tensor, second: Tensor, to_axis: tuple[float, ...], to_second: Tensor) -> Tensor:
    """The rotation that takes `axis` to `to_axis` and `second` as close as possible to `to_second`."""

    def frame(a: Tensor, b: Tensor) -> Tensor:
        return rotation_from_6d(torch.cat([a, b], dim=-1))

    return frame(torch.tensor(to_axis).expand_as(axis), to_second) @ frame(axis, second).mT


def _shortest_turn(direction: Tensor, to: tuple[float, ...]) -> Tensor:
    a, b = F.normalize(direction, dim=-1), F.normalize(torch.tensor(to), dim=-1).expand_as(direction)
    axis, cosine = torch.linalg.cross(a, b), (a * b).sum(-1)
    K = skew(axis)
    return torch.eye(3) + K + K @ K / (1 + cosine)[:, None, None]


def sample_phenotypes(rig: AnnyRig, count: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Ages in years and anny's phenotypes of adults of 18 to 80, by its own calibration to WHO statistics."""
    ages = torch.distributions.Uniform(18.0, 80.0)
    age, phenotypes = SimpleShapeDistribution(rig.model, morphological_age_distribution=ages).sample(count)
    # anny takes gender as uniform; people are near either end, with some overlap.
    near_end = torch.distributions.Beta(1.0, 5.0).sample((count,))
    phenotypes["gender"] = torch.where(phenotypes["gender"] < 0.5, near_end, 1 - near_end)
    return age, phenotypes


def sample_people(rig: AnnyRig, count: int) -> People:
    """Adults, half men and half women, at rest in the T-pose."""
    age, phenotypes = sample_phenotypes(rig, count)
    vertices, joints = [], []
    for i in range(0, count, 100):
        v, j, _, _ = t_posed(rig, *rig.rest({name: values[i : i + 100] for name, values in phenotypes.items()}))
        vertices.append(v)
        joints.append(j)
    at_rest = torch.cat(vertices)
    height = at_rest[..., 1].amax(1) - at_rest[..., 1].amin(1)
    table = phenotypes | {"height": height, "age": age}
    return People(at_rest, torch.cat(joints), torch.stack([table[word].float() for word in WORDS], dim=1))


def sample_sculptures(rig: AnnyRig, count: int) -> list[Sculpture]:
    """Some people as `sample_people` draws them, with what is needed to pose them by anny's bones."""
    _, phenotypes = sample_phenotypes(rig, count)
    sculptures, heads = rig.rest(phenotypes)
    vertices, joints, Ts, _ = t_posed(rig, sculptures, heads)
    return [Sculpture(*person) for person in zip(vertices, joints, sculptures, Ts, strict=True)]


def t_posed(rig: AnnyRig, sculptures: Tensor, heads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """T-posed vertices and joints, soles on the floor y = 0, the pelvis above the origin; the bones' transforms and
    heads."""
    Ts, heads = rig.bone_transforms(heads, rig.t_pose_rotations(heads))
    vertices, joints = skin(sculptures, rig.bone_weights, Ts), rig.joints(heads)
    origin = joints[:, :1] * torch.tensor([1.0, 0.0, 1.0])
    origin[..., 1] = vertices[..., 1].amin(1, keepdim=True)
    Ts[..., :3, 3] -= origin
    return vertices - origin, joints - origin, Ts, heads - origin
