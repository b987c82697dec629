"""Vertices of SMPL or SMPL-X over time, with the user's own body file: the bones are solved for from the skin."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body, load_body, smpl_pose
from avatar.errors import UsageError
from avatar.geometry import nearest_rotation
from avatar.motion.bone_lengths import leg_length
from avatar.motion.formats.container import Content
from avatar.motion.formats.smpl import estimate_up, frame_rate
from avatar.motion.motion import Motion, ReadOptions, check_path, numbers, uniform_track, up_rotation
from avatar.types import BodyPose

VERTICES = {6890: "SMPL or SMPL-H", 10475: "SMPL-X"}
KEYS = ("vertices", "verts", "smpl_vertices", "pred_vertices", "v")


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
        fingers = rotations[:, -30:] if rotations.shape[1] in (52, 55) else None
        track = uniform_track(turned, joints[:, 0] @ R.T, fps, fingers=fingers)
        return Motion("vertices", track, leg_length(joints[0]))


def pose_of_vertices(
    body: Body, vertices: Float[Tensor, "t v 3"]
) -> tuple[Float[Tensor, "t j 3 3"], Float[Tensor, "t j 3"]]:
    """Rotations of all joints and their places.

    Skinning is linear in the bones' transforms, so that all frames are one least-squares problem with one matrix
    (James and Twigg 2005). A person's own shape stretches the transforms, whose nearest rotations are taken.
    """
    template, weights = body.template.double(), body.weights.double()
    homogeneous = torch.cat([template, torch.ones_like(template[:, :1])], dim=1)
    X = (weights[:, :, None] * homogeneous[:, None]).flatten(1)
    transforms = torch.einsum("nv,tvc->tnc", torch.linalg.pinv(X, rtol=1e-4), vertices).unflatten(1, (-1, 4))
    world = nearest_rotation(transforms[:, :, :3].mT)
    at_rest = body.joint_regressor.double() @ homogeneous
    joints = torch.einsum("jk,tjkc->tjc", at_rest, transforms)
    local = [world[:, j] if p < 0 else world[:, p].mT @ world[:, j] for j, p in enumerate(body.parents)]
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
