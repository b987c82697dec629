"""The person as a textured mesh in binary glTF 2.0: skeleton, skin, face morphs, motions as animations.

glTF is Y up, in metres, and its models face +Z, like ours, so nothing is rotated. Blender, three.js, Unity and
other programs open the file as a rigged character.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.body import Body
from avatar.body.face import FACE_UNITS
from avatar.exporters.gltf_file import (
    ARRAY_BUFFER,
    ELEMENT_ARRAY_BUFFER,
    Buffer,
    animation,
    array,
    joint_nodes,
    skin_table,
    write_gltf,
)
from avatar.exporters.mesh_skin import Skin, face_targets, skin_of, splats_beside
from avatar.exporters.mesh_texture import Unwrapped, baked, unwrapped
from avatar.exporters.surface import MeshQuality, Surface, parted_pose, surface_normals, surface_of
from avatar.io.exposure import linear_light
from avatar.model.avatar import Avatar
from avatar.model.props import PlacedProp
from avatar.types import BodyPose, BodyTrack

QUALITY = MeshQuality()
JPEG_QUALITY = 92
LEAST_MORPH = 1e-4  # metres: what moves less stays out of a morph target
HEAD_JOINTS = ("head", "jaw", "left_eye", "right_eye")
LINEAR, MIPMAPS, CLAMP = 9729, 9987, 33071


@torch.no_grad()
def write_glb(
    avatar: Avatar,
    path: Path,
    pose: BodyPose | None = None,
    motions: Mapping[str, BodyTrack] | None = None,
    lit: bool = False,
) -> int:
    """Write the surface that the splats show as a rigged, textured mesh, with the props as meshes below their joints.

    Args:
        avatar: the avatar.
        path: the file to write.
        pose: the pose of the skeleton; the rest pose if not given.
        motions: animations by name.
        lit: with the light that the avatar stands in baked into the texture; otherwise its plain colours.

    Returns:
        How many triangles the person has.

    Raises:
        AvatarError: the file cannot be written, or the splats show no surface.
    """
    body, rig = avatar.richest_rig
    parted = body.to("cpu").complete(parted_pose(avatar))
    gaussians = avatar.pose_with_offsets(parted, lit)[0].to("cpu")  # with open, empty hands
    surface = surface_of(gaussians, QUALITY)
    beside = splats_beside(gaussians, avatar.posed_normals(parted), surface)
    skin = skin_of(body, rig, surface, beside, parted)
    of_head = [joint for joint, name in enumerate(body.joint_names) if name in HEAD_JOINTS]
    head = torch.stack([skin.share_of(joint) for joint in of_head]).sum(0)
    chart = unwrapped(surface, head, QUALITY.texture)
    texture = baked(surface, chart, head, gaussians, QUALITY)

    buffer, joints = Buffer(), len(body.parents)
    targets = face_targets(body, rig, skin, beside)
    image = {"name": "skin and clothes", "mimeType": "image/jpeg", "bufferView": buffer.add_bytes(_jpeg(texture))}
    pose = None if pose is None else avatar.gripping(pose)
    nodes = [*joint_nodes(body, rig, pose), {"name": "avatar", "mesh": 0, "skin": 0}]
    meshes = [_mesh(skin, surface_normals(Surface(skin.rest, surface.faces)), chart, targets, buffer)]
    for placed in avatar.placed_props:
        joint = body.joint_names.index(placed.joint)
        meshes.append({"name": placed.prop.name, "primitives": [_prop_primitive(placed, rig.joints[joint], buffer)]})
        nodes[joint].setdefault("children", []).append(len(nodes))
        nodes.append({"name": placed.prop.name, "mesh": len(meshes) - 1})
    content = {
        "scenes": [{"nodes": [0, joints]}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": _materials()[: 2 if avatar.props else 1],
        "textures": [{"source": 0, "sampler": 0}],
        "samplers": [{"magFilter": LINEAR, "minFilter": MIPMAPS, "wrapS": CLAMP, "wrapT": CLAMP}],
        "images": [image],
        "skins": [skin_table(rig, buffer)],
        "animations": [
            _animation(avatar, body, name, track, buffer, None if targets is None else joints)
            for name, track in (motions or {}).items()
        ],
    }
    write_gltf(path, content, buffer)
    return len(surface.faces)


def _mesh(
    skin: Skin,
    normals: Float[Tensor, "v 3"],
    chart: Unwrapped,
    targets: Float[Tensor, "52 v 3"] | None,
    buffer: Buffer,
) -> dict[str, Any]:
    rows = chart.source
    attributes = {
        "POSITION": buffer.add(array(skin.rest[rows]), "VEC3", ARRAY_BUFFER, bounds=True),
        "NORMAL": buffer.add(array(normals[rows]), "VEC3", ARRAY_BUFFER),
        "TEXCOORD_0": buffer.add(array(chart.uv), "VEC2", ARRAY_BUFFER),
        "JOINTS_0": buffer.add(array(skin.joints[rows], "<u1"), "VEC4", ARRAY_BUFFER),
        "WEIGHTS_0": buffer.add(array(skin.weights[rows], "<u1"), "VEC4", ARRAY_BUFFER, normalized=True),
    }
    indices = buffer.add(array(chart.faces.flatten(), "<u4"), "SCALAR", ELEMENT_ARRAY_BUFFER)
    primitive: dict[str, Any] = {"attributes": attributes, "indices": indices, "material": 0}
    mesh: dict[str, Any] = {"name": "avatar", "primitives": [primitive]}
    if targets is None:
        return mesh
    primitive["targets"] = [{"POSITION": _morph(target[rows], buffer)} for target in targets]
    # The names that three.js, Blender and others show.
    return mesh | {"weights": [0.0] * len(FACE_UNITS), "extras": {"targetNames": list(FACE_UNITS)}}


def _morph(target: Float[Tensor, "v 3"], buffer: Buffer) -> int:
    moved = (target.norm(dim=1) > LEAST_MORPH).nonzero()[:, 0]
    return buffer.add_sparse(array(target), moved.numpy(), "VEC3")


def _prop_primitive(placed: PlacedProp, joint: Float[Tensor, " 3"], buffer: Buffer) -> dict[str, Any]:
    """The mesh of a prop in the frame of its joint, which is parallel to the world's at rest."""
    mesh = placed.shape.as_mesh()
    attributes = {
        "POSITION": buffer.add(array(mesh.vertices - joint), "VEC3", ARRAY_BUFFER, bounds=True),
        "NORMAL": buffer.add(array(surface_normals(Surface(mesh.vertices, mesh.faces))), "VEC3", ARRAY_BUFFER),
        "COLOR_0": buffer.add(linear_light(array(mesh.colors)).astype("<f4"), "VEC3", ARRAY_BUFFER),
    }
    indices = buffer.add(array(mesh.faces.flatten(), "<u4"), "SCALAR", ELEMENT_ARRAY_BUFFER)
    return {"attributes": attributes, "indices": indices, "material": 1}


def _materials() -> list[dict[str, Any]]:
    """That of the person and that of props."""
    person = {"baseColorTexture": {"index": 0}, "metallicFactor": 0, "roughnessFactor": 0.9}
    prop = {"metallicFactor": 0, "roughnessFactor": 0.8}
    return [
        {"name": "skin and clothes", "pbrMetallicRoughness": person},
        {"name": "prop", "doubleSided": True, "pbrMetallicRoughness": prop},
    ]


def _animation(
    avatar: Avatar, body: Body, name: str, track: BodyTrack, buffer: Buffer, face_node: int | None
) -> dict[str, Any]:
    """A motion; where the mesh has morph targets, they move the face instead of jaw and eyes."""
    poses = avatar.gripping(track.poses)
    if poses.face is None or face_node is None:
        return animation(body, name, replace(track, poses=poses), buffer)
    still = replace(track, poses=replace(poses, face=None))
    return animation(body, name, still, buffer, (face_node, array(poses.face)))


def _jpeg(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
