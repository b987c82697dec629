"""Vertices of SMPL or SMPL-X over time, with the user's own body file: each bone turns as the skin around it does."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body, load_body, smpl_pose
from avatar.errors import UsageError
from avatar.geometry import nearest_rotation
from avatar.motion.formats.container import Content
from avatar.motion.formats.smpl import estimate_up, frame_rate
from avatar.motion.motion import Motion, ReadOptions, check_path, numbers, uniform_track, up_rotation
from avatar.motion.skeletons import leg_length
from avatar.types import BodyPose

VERTICES = {6890: "SMPL or SMPL-H", 10475: "SMPL-X"}
KEYS = ("vertices", "verts", "smpl_vertices", "pred_vertices", "v")
OWN_SKIN = 0.5  # weight of a joint from which a vertex belongs to it


class VerticesFormat:
    """Reads vertices (frames, 6890, 3) of SMPL or (frames, 10475, 3) of SMPL-X."""

    name = "vertices"
    description = "vertices (frames, 6890, 3) of SMPL or (frames, 10475, 3) of SMPL-X, with --source-body"

    def recognizes(self, content: Content) -> bool:
        value = _array(content)
        return value is not None and value.shape[-2] in VERTICES

    def read(self, content: Content, options: ReadOptions) -> Motion:
        value = _array(content)
        if value is None:
            raise UsageError(f"{content.path} holds no vertices (frames, {' or '.join(map(str, VERTICES))}, 3).")
        count = value.shape[-2]
        if options.body is None:
            raise UsageError(
                f"{content.path} holds vertices of {VERTICES.get(count, 'a body')}, whose pose only its body file "
                "tells: give it with --source-body, or store poses instead of vertices."
            )
        body = load_body(options.body)
        if len(body.template) != count:
            raise UsageError(f"{content.path} has {count} vertices per frame, {options.body} has {len(body.template)}.")
        vertices = torch.from_numpy(numbers(content.path, value.reshape(-1, count, 3), "vertices", None, count, 3))
        rotations, joints = pose_of_vertices(body, vertices)
        fps = frame_rate(content, options)
        pose = smpl_pose(BodyPose(joints[:, 0], rotations))
        R = up_rotation(options.up or estimate_up(content, pose.rotations[:, 0])).double()
        turned = pose.rotations.clone()
        turned[:, 0] = R @ turned[:, 0]
        check_path(content.path, joints[:, 0].numpy(), fps)
        fingers = rotations[:, -30:].float() if rotations.shape[1] in (52, 55) else None
        return Motion("vertices", uniform_track(turned, joints[:, 0] @ R.T, fps), leg_length(joints[0]), fingers)


def pose_of_vertices(
    body: Body, vertices: Float[Tensor, "t v 3"]
) -> tuple[Float[Tensor, "t j 3 3"], Float[Tensor, "t j 3"]]:
    """Rotations of all joints and their places.

    The skin that belongs to one bone alone is laid onto its place in the mean shape by the best rotation (Kabsch
    1976); a person's own shape changes the fit of a whole limb little.
    """
    joints = torch.einsum("jv,tvc->tjc", body.joint_regressor.double(), vertices)
    template = body.template.double()
    rest = body.joint_regressor.double() @ template
    world = []
    for joint, parent in enumerate(body.parents):
        weights = body.weights[:, joint].double()
        weights = torch.where(weights >= OWN_SKIN, weights, torch.zeros_like(weights))
        if float(weights.sum()) == 0:
            world.append(world[parent])
            continue
        mine = weights > 0
        there = vertices[:, mine] - joints[:, joint, None]
        here = (template[mine] - rest[joint]) * weights[mine, None]
        world.append(nearest_rotation(torch.einsum("tvi,vj->tij", there, here)))
    local = [G if p < 0 else world[p].mT @ G for G, p in zip(world, body.parents, strict=True)]
    return torch.stack(local, 1), joints


def _array(content: Content) -> np.ndarray | None:
    value = content.data
    if content.fields:
        value = next((content.fields[key] for key in KEYS if key in content.fields), None)
    if (
        not isinstance(value, np.ndarray)
        or value.dtype == object
        or value.ndim not in (2, 3, 4)
        or value.shape[-1] != 3
    ):
        return None
    return value if value.ndim < 4 or value.shape[0] == 1 else None
