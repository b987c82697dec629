"""Bones for what hangs loose, skirts, coats and long hair: where they are, and how Gaussians follow them.

They form rings of nodes, one ring below the other. The body carries the uppermost ring; each other node hangs by a
rigid bone from the one above it. `avatar.model.spring_rings` places them, and `avatar.model.spring_motion` swings them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from avatar.geometry import quat_from_rotation, quat_multiply
from avatar.model.diffused_skinning import strongest
from avatar.model.mapped_tensors import with_tensors_mapped
from avatar.model.skinning import CanonicalSurface


@dataclass(frozen=True)
class SpringBones:
    """The nodes, and what follows them.

    Attributes:
        places: of the nodes at rest, metres; a ring stands before the one below it.
        above: the node that each hangs from, -1 for those of the uppermost rings.
        beside: neighbours in a ring, which cloth keeps together; no node occurs twice in a row of pairs that alternate.
        length: of the whole chain that each node belongs to, metres.
        guides: the Gaussians whose weights over the body's joints carry each node.
        capsules: pairs of joints between which something solid is.
        clearance: the least distance of each node from the line between the joints of each capsule, metres.
        followers: the Gaussians that follow; nodes: of each the four nearest nodes, and shares: how far it follows each
            of them. What is missing to one follows the body.
    """

    places: Float[Tensor, "nodes 3"]
    above: tuple[int, ...]
    beside: tuple[tuple[int, int], ...]
    length: Float[Tensor, " nodes"]
    guides: Int[Tensor, "nodes guides"]
    capsules: tuple[tuple[str, str], ...]
    clearance: Float[Tensor, "nodes capsules"]
    followers: Int[Tensor, " k"]
    nodes: Int[Tensor, "k 4"]
    shares: Float[Tensor, "k 4"]

    def __len__(self) -> int:
        return len(self.above)

    def to(self, device: torch.device | str) -> SpringBones:
        """The same bones on another device."""
        moved: SpringBones = with_tensors_mapped(self, lambda tensor: tensor.to(device), "SpringBones")
        return moved

    @cached_property
    def rings(self) -> tuple[tuple[int, ...], ...]:
        """The nodes by the number of bones above them."""
        depth: list[int] = []
        for above in self.above:
            depth.append(0 if above < 0 else depth[above] + 1)
        return tuple(tuple(node for node, at in enumerate(depth) if at == ring) for ring in range(max(depth) + 1))


@dataclass(frozen=True)
class SpringRig:
    """Spring bones on the skeleton of one body.

    Attributes:
        bones: the spring bones; weights: those of their nodes over the body's joints.
        surface: the body at rest under each Gaussian, with weights over the joints and then the nodes.
    """

    bones: SpringBones
    weights: Float[Tensor, "nodes joints"]
    surface: CanonicalSurface

    @staticmethod
    def of(surface: CanonicalSurface, bones: SpringBones) -> SpringRig:
        """These bones on a surface with weights over a body's joints.

        At most `avatar.model.diffused_skinning.STRONGEST` joints and nodes move a Gaussian.
        """
        body = surface.weights
        weights = torch.cat([body, body.new_zeros(len(body), len(bones))], dim=1)
        rows = weights[bones.followers] * (1 - bones.shares.sum(1, keepdim=True))
        weights[bones.followers] = strongest(rows.scatter_add(1, bones.nodes + body.shape[1], bones.shares))
        carried = strongest(body[bones.guides].mean(1))
        return SpringRig(bones, carried, replace(surface, weights=weights))

    def carried(self, joints: Float[Tensor, "joints 16"]) -> Float[Tensor, "nodes 16"]:
        """Transform (3x4) and quaternion that the body gives to each node; see `avatar.model.joint_transforms`."""
        rows = self.weights @ joints
        return torch.cat([rows[:, :12], F.normalize(rows[:, 12:], dim=1)], dim=1)

    def with_nodes(
        self, joints: Float[Tensor, "joints 16"], swing: Float[Tensor, "nodes 3 3"]
    ) -> Float[Tensor, "all 16"]:
        """The rows of the joints and then those of the nodes.

        Args:
            swing: see `avatar.types.BodyPose`; identities leave the nodes where the body carries them.
        """
        rows = self.carried(joints)
        transform = rows[:, :12].unflatten(1, (3, 4))
        carried = (transform[:, :, :3] @ self.bones.places[:, :, None]).squeeze(-1) + transform[:, :, 3]
        places = list(carried)
        for node, above in enumerate(self.bones.above):
            if above >= 0:
                places[node] = places[above] + swing[node] @ (carried[node] - carried[above])
        shift = torch.stack(places) + (swing @ (transform[:, :, 3] - carried)[:, :, None]).squeeze(-1)
        turned = torch.cat([swing @ transform[:, :, :3], shift[:, :, None]], dim=2)
        quats = quat_multiply(quat_from_rotation(swing), rows[:, 12:])
        return torch.cat([joints, torch.cat([turned.flatten(1), quats], dim=1)])
