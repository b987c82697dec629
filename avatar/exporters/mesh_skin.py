"""What moves the vertices of an exported mesh: the skinning weights and face units of the splats beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body import Body
from avatar.body.face import unit_turns
from avatar.body.skinning import skinning_transforms
from avatar.exporters.skin_weights import strongest_joints
from avatar.exporters.surface import Surface, adjacency, surface_normals
from avatar.geometry import rotation_from_rotvec
from avatar.model.rig import Rig
from avatar.types import BodyPose, Gaussians

NEIGHBOURS = 12  # splats that one vertex takes after
NEAR = 0.003  # metres: closer splats count alike
OTHER_SIDE = 0.02  # how much a splat counts whose surface faces away: fingers and thighs stay apart
SMOOTHING_STEPS = 3


@dataclass(frozen=True)
class SplatsBeside:
    """The splats nearest to each vertex, and how much each counts."""

    index: Int[Tensor, "v k"]
    share: Float[Tensor, "v k"]

    def mean(self, values: Float[Tensor, "n c"]) -> Float[Tensor, "v c"]:
        """The mean over these splats of something that each splat has."""
        return torch.einsum("vk,vkc->vc", self.share, values[self.index])


@dataclass(frozen=True)
class Skin:
    """How joints move the vertices.

    Attributes:
        joints: four joints of each vertex, 0 where the weight is 0.
        weights: theirs, which add up to 255.
        rest: the vertices in the rest pose, metres.
    """

    joints: Int[Tensor, "v 4"]
    weights: Int[Tensor, "v 4"]
    rest: Float[Tensor, "v 3"]

    def share_of(self, joint: int) -> Float[Tensor, " v"]:
        """The weight of one joint at each vertex, in [0, 1]."""
        return torch.where(self.joints == joint, self.weights, 0).sum(1) / 255


@torch.no_grad()
def splats_beside(gaussians: Gaussians, normals: Float[Tensor, "n 3"], surface: Surface) -> SplatsBeside:
    """The splats around each vertex that face the same way.

    Args:
        gaussians: in the pose of the surface; normals: of theirs.
    """
    from scipy.spatial import cKDTree

    count = min(NEIGHBOURS, len(gaussians))
    distance, index = cKDTree(gaussians.means.numpy()).query(surface.vertices.numpy(), k=range(1, count + 1))
    index, near = torch.from_numpy(index), torch.from_numpy(distance.astype(np.float32)) + NEAR
    facing = torch.einsum("vkx,vx->vk", normals.cpu()[index], surface_normals(surface)).clamp_min(OTHER_SIDE)
    share = gaussians.opacities[index] * facing / near.square()
    return SplatsBeside(index, share / share.sum(1, keepdim=True))


def skin_of(body: Body, rig: Rig, surface: Surface, beside: SplatsBeside, pose: BodyPose) -> Skin:
    """The skin of a surface that was made in a pose."""
    edges = adjacency(surface)
    weights = beside.mean(rig.surface.weights.cpu()).numpy()
    for _ in range(SMOOTHING_STEPS):
        weights = (weights + edges @ weights / np.asarray(edges.sum(1))) / 2
    joints, steps = strongest_joints(torch.from_numpy(weights.astype(np.float32)), 4)
    # The file's own weights undo the pose, so that in this pose a player shows the surface as it was fused.
    moves = skinning_transforms(rig.joints.cpu(), rig.parents, body.to("cpu").complete(pose))[:, :3]
    T = torch.einsum("vk,vkxy->vxy", steps / 255, moves[joints])
    rest = torch.linalg.solve(T[..., :3], surface.vertices - T[..., 3])
    return Skin(joints, steps, rest)


def face_targets(body: Body, rig: Rig, skin: Skin, beside: SplatsBeside) -> Float[Tensor, "52 v 3"] | None:
    """What each unit of the face adds to the vertices at rest, jaw and eyes turned; None without face units.

    Args:
        body, rig: with jaw and eyes.
    """
    if rig.face is None:
        return None
    directions = torch.zeros(len(rig.surface.anchors), rig.face.directions[0].numel())
    directions[rig.face.on_face.cpu()] = rig.face.directions.flatten(1).cpu()
    targets: Tensor = beside.mean(directions).unflatten(1, rig.face.directions.shape[1:]).permute(2, 0, 1)
    jaw = body.joint_names.index("jaw")
    turns = rotation_from_rotvec(unit_turns().permute(2, 0, 1)) - torch.eye(3)  # per unit and joint
    for offset in range(3):
        share, arm = skin.share_of(jaw + offset), skin.rest - rig.joints[jaw + offset].cpu()
        targets = targets + share[:, None] * torch.einsum("uxy,vy->uvx", turns[:, offset], arm)
    return targets
