"""Splats in binary glTF 2.0 with `KHR_gaussian_splatting` (release candidate of July 2026): of one pose, or rigged.

Rigged splats carry the core attributes `JOINTS_0` and `WEIGHTS_0` and a skin besides. The extension does not forbid
them and says nothing about them: a reader that skins splats moves them, any other shows the rest pose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from avatar.exporters.gltf_file import (
    ARRAY_BUFFER,
    Buffer,
    animation,
    array,
    joint_nodes,
    skin_table,
    write_gltf,
)
from avatar.exporters.skin_weights import strongest_joints
from avatar.io.exposure import linear_light
from avatar.io.splat_files import SH_C0
from avatar.model.avatar import Avatar
from avatar.types import BodyPose, BodyTrack, Gaussians

EXTENSION = "KHR_gaussian_splatting"


@torch.no_grad()
def write_glb_splats(gaussians: Gaussians, path: Path) -> None:
    """Write the splats of one pose.

    Raises:
        AvatarError: the file cannot be written.
    """
    buffer = Buffer()
    mesh = _mesh(_attributes(gaussians, buffer))
    content = {"scenes": [{"nodes": [0]}], "nodes": [{"name": "splats", "mesh": 0}], "meshes": [mesh]}
    write_gltf(path, {"extensionsUsed": [EXTENSION], **content}, buffer)


@torch.no_grad()
def write_rigged_splats(avatar: Avatar, path: Path, motions: Mapping[str, BodyTrack], lit: bool = False) -> None:
    """Write the splats in the rest pose with skeleton, weights and motions.

    Args:
        motions: animations by name.
        lit: with the light that the avatar stands in baked into the colours; otherwise its plain colours.

    Raises:
        AvatarError: the file cannot be written.
    """
    buffer = Buffer()
    body, rig = avatar.richest_rig
    still = BodyPose(rig.joints[0], torch.eye(3).expand(len(body.parents), 3, 3))
    # Without what the network adds in this one pose.
    rest = replace(avatar.pose_with_offsets(still, lit)[0], means=avatar.rest_means())
    splats = Gaussians.cat([rest, *avatar.posed_props(still, lit)])
    shares = [rig.surface.weights]
    for placed in avatar.placed_props:
        carrier = torch.tensor(body.joint_names.index(placed.joint), device=avatar.device)
        shares.append(F.one_hot(carrier, len(body.parents)).float().expand(len(placed.shape.gaussians), -1))
    joints, weights = strongest_joints(torch.cat(shares), 4)
    attributes = _attributes(splats, buffer) | {
        "JOINTS_0": buffer.add(array(joints, "<u1"), "VEC4", ARRAY_BUFFER),
        "WEIGHTS_0": buffer.add(array(weights, "<u1"), "VEC4", ARRAY_BUFFER, normalized=True),
    }
    count = len(body.parents)
    content = {
        "scenes": [{"nodes": [0, count]}],
        "nodes": [*joint_nodes(body, rig, None), {"name": "splats", "mesh": 0, "skin": 0}],
        "meshes": [_mesh(attributes)],
        "skins": [skin_table(rig, buffer)],
        "animations": [
            animation(body, name, replace(track, poses=avatar.gripping(track.poses)), buffer)
            for name, track in motions.items()
        ],
    }
    write_gltf(path, {"extensionsUsed": [EXTENSION], **content}, buffer)


def _mesh(attributes: dict[str, int]) -> dict[str, Any]:
    settings = {
        "kernel": "ellipse",
        "colorSpace": "srgb_rec709_display",
        "projection": "perspective",
        "sortingMethod": "cameraDistance",
    }
    points = {"attributes": attributes, "mode": 0, "extensions": {EXTENSION: settings}}
    return {"name": "splats", "primitives": [points]}


def _attributes(gaussians: Gaussians, buffer: Buffer) -> dict[str, int]:
    """The extension's attributes, and colours for programs that show the points only."""
    straight = F.normalize(gaussians.quats, dim=-1)[:, [1, 2, 3, 0]]
    color = torch.cat([torch.from_numpy(linear_light(array(gaussians.colors))), gaussians.opacities[:, None].cpu()], 1)
    named = {
        "ROTATION": (straight, "VEC4"),
        "SCALE": (gaussians.scales, "VEC3"),
        "OPACITY": (gaussians.opacities, "SCALAR"),
        "SH_DEGREE_0_COEF_0": ((gaussians.colors - 0.5) / SH_C0, "VEC3"),
    }
    return {
        "POSITION": buffer.add(array(gaussians.means), "VEC3", ARRAY_BUFFER, bounds=True),
        "COLOR_0": buffer.add(array(color.clamp(0, 1)), "VEC4", ARRAY_BUFFER),
        **{f"{EXTENSION}:{name}": buffer.add(array(values), kind, ARRAY_BUFFER)
           for name, (values, kind) in named.items()},
    }  # fmt: skip
