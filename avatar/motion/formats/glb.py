"""Animation clips of glTF 2.0 files: GLB, VRM, VRMA, or glTF with its buffers. Any rig whose joints are recognized."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import AvatarError, short_message
from avatar.geometry import quat_from_rotation, rotation_from_quat
from avatar.motion.formats.container import Content
from avatar.motion.formats.gltf_clip import Tracks, read_clip
from avatar.motion.formats.gltf_file import GltfFile, open_gltf
from avatar.motion.formats.rigs import complete_bind_pose, nearest_chosen, same_unit
from avatar.motion.motion import Motion, ReadOptions
from avatar.motion.skeletons import JointAnimation, motion_from_animation

# Extensions whose `humanoid` maps the bones of a person to nodes: VRM 1.0, VRM 0.x and VRM animations.
HUMANOIDS = ("VRMC_vrm_animation", "VRMC_vrm", "VRM")


class GlbFormat:
    """Reads an animation clip of a glTF or GLB file."""

    name = "glb"
    description = "glTF / GLB / VRMA animation clip (Mixamo, VRM, Rokoko, Blender exports)"

    def recognizes(self, content: Content) -> bool:
        return content.kind == "gltf"

    def read(self, content: Content, options: ReadOptions) -> Motion:
        path = content.path
        try:
            file = open_gltf(path, content.data)
            animation, face = _animation(file, options)
            motion = motion_from_animation(animation, options)
            return replace(motion, track=replace(motion.track, poses=replace(motion.track.poses, face=face)))
        except AvatarError:
            raise
        # A broken file can fail anywhere in its nested tables.
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError, struct.error) as error:
            raise AvatarError(f"{path} is a broken glTF file: {short_message(error)}.") from error


def _animation(file: GltfFile, options: ReadOptions) -> tuple[JointAnimation, Float[Tensor, "t 52"] | None]:
    """The skeleton over time, and the face where morph targets move it."""
    fps = options.fps or 30.0
    nodes = file.scene["nodes"]
    parents = _parents(nodes)
    times, tracks, face = read_clip(file, options.clip, fps)
    at_rest = [_node_parts(node) for node in nodes]
    still = _chained(file, torch.stack([_matrix(*(_row(x) for x in parts)) for parts in at_rest], 1), parents)[0]
    moving = _chained(file, _local(at_rest, tracks, len(times)), parents)
    rest = _bind_pose(file, still, parents)
    people = _humanoid_nodes(file.scene)
    chosen = _joints(file.scene, tracks, people)
    nearest = [nearest_chosen(parents, index, chosen) for index in chosen]
    rest_positions = rest[chosen, :3, 3]
    animation = JointAnimation(
        format="glb",
        path=file.path,
        names=tuple(people.get(index) or str(nodes[index].get("name", f"node{index}")) for index in chosen),
        parents=tuple(nearest),
        rest_rotations=_rotation(rest)[chosen],
        rest_positions=rest_positions * same_unit(rest_positions, moving[0, chosen, :3, 3], nearest),
        rotations=_rotation(moving)[:, chosen],
        positions=moving[:, chosen, :3, 3],
        fps=fps,
        up="y",
    )
    return animation, face


def _parents(nodes: list[dict[str, Any]]) -> list[int]:
    parents = [-1] * len(nodes)
    for index, node in enumerate(nodes):
        for child in node.get("children", []):
            parents[child] = index
    return parents


def _humanoid_nodes(scene: dict[str, Any]) -> dict[int, str]:
    """Node -> the bone of a person that it is, where VRM's own map says so; those are names that are recognized."""
    for name in HUMANOIDS:
        bones = scene.get("extensions", {}).get(name, {}).get("humanoid", {}).get("humanBones")
        if isinstance(bones, dict):  # since VRM 1.0
            return {int(bone["node"]): str(part) for part, bone in bones.items() if "node" in bone}
        if isinstance(bones, list):
            return {int(bone["node"]): str(bone["bone"]) for bone in bones if "node" in bone}
    return {}


def _joints(scene: dict[str, Any], tracks: Tracks, people: dict[int, str]) -> list[int]:
    """The nodes that can be joints: those of the skins, of the clip and of VRM's map; without skins all."""
    bound = {int(node) for skin in scene.get("skins", []) for node in skin["joints"]}
    return sorted(bound | set(tracks) | set(people)) if bound or people else list(range(len(scene["nodes"])))


def _bind_pose(file: GltfFile, still: Float[Tensor, "n 4 4"], parents: list[int]) -> Float[Tensor, "n 4 4"]:
    """The frames of all nodes in the pose in which the skin was bound, whatever pose the nodes hold.

    The unit and the axes are those of the mesh.
    """
    bound: dict[int, Tensor] = {}
    skins = sorted(file.scene.get("skins", []), key=lambda skin: -len(skin["joints"]))
    for skin in (skin for skin in skins if "inverseBindMatrices" in skin):
        own = _bind_matrices(file, skin)
        shared = next((node for node in own if node in bound), None)
        if bound and shared is None:
            continue  # in a space of its own; its joints hang on those of the larger skin
        # Every mesh may be quantised in another way; a joint that two skins share brings both into one space.
        G = torch.eye(4, dtype=torch.float64) if shared is None else bound[shared] @ torch.linalg.inv(own[shared])
        bound = {node: G @ matrix for node, matrix in own.items()} | bound
    return complete_bind_pose(bound, still, parents)


def _bind_matrices(file: GltfFile, skin: dict[str, Any]) -> dict[int, Tensor]:
    """Joint node -> its frame when this skin was bound."""
    inverse = torch.from_numpy(file.accessor(skin["inverseBindMatrices"]).reshape(-1, 4, 4)).mT
    frames = {
        int(node): torch.linalg.inv(matrix)
        for node, matrix in zip(skin["joints"], inverse, strict=False)
        if float(torch.linalg.det(matrix).abs()) > 1e-24
    }
    if not frames:
        return {}
    # A quantised mesh stretches its axes; without that, the rows of every frame have one length.
    lengths = torch.stack([matrix[:3, :3].norm(dim=1) for matrix in frames.values()]).median(0).values
    stretch = torch.cat([lengths / lengths.mean(), torch.ones(1, dtype=lengths.dtype)])
    return {node: matrix / stretch[:, None] for node, matrix in frames.items()}


def _node_parts(node: dict[str, Any]) -> tuple[list[float], list[float], list[float]]:
    """Translation, quaternion xyzw and scale of a node at rest."""
    if "matrix" not in node:
        usual = {"translation": [0.0, 0.0, 0.0], "rotation": [0.0, 0.0, 0.0, 1.0], "scale": [1.0, 1.0, 1.0]}
        T, R, S = ([float(x) for x in node.get(name, value)] for name, value in usual.items())
        return T, R, S
    M = torch.tensor(node["matrix"], dtype=torch.float64).reshape(4, 4).T
    w, x, y, z = quat_from_rotation(_rotation(M)).tolist()
    return M[:3, 3].tolist(), [x, y, z, w], M[:3, :3].norm(dim=0).tolist()


def _row(values: list[float]) -> Float[Tensor, "1 d"]:
    return torch.tensor([values], dtype=torch.float64)


def _local(
    at_rest: list[tuple[list[float], list[float], list[float]]], tracks: Tracks, frames: int
) -> Float[Tensor, "t n 4 4"]:
    """Each node's matrix relative to its parent; what the clip does not move stays at rest."""
    local = []
    for index, (T, R, S) in enumerate(at_rest):
        own, usual = tracks.get(index, {}), {"translation": T, "rotation": R, "scale": S}
        local.append(_matrix(*(own.get(kind, _row(value).expand(frames, -1)) for kind, value in usual.items())))
    return torch.stack(local, 1)


def _matrix(T: Float[Tensor, "t 3"], q: Float[Tensor, "t 4"], S: Float[Tensor, "t 3"]) -> Float[Tensor, "t 4 4"]:
    M = torch.zeros(len(T), 4, 4, dtype=torch.float64)
    M[:, :3, :3] = rotation_from_quat(torch.nn.functional.normalize(q[:, [3, 0, 1, 2]], dim=-1)) * S[:, None, :]
    M[:, :3, 3] = T
    M[:, 3, 3] = 1
    return M


def _chained(file: GltfFile, local: Float[Tensor, "t n 4 4"], parents: list[int]) -> Float[Tensor, "t n 4 4"]:
    """World matrices of all nodes; a node may be listed before its parent."""
    done: dict[int, Tensor] = {}
    waiting = list(range(len(parents)))
    while waiting:
        ready = [n for n in waiting if parents[n] < 0 or parents[n] in done]
        if not ready:
            raise AvatarError(f"{file.path} is a broken glTF file: its node hierarchy has a cycle.")
        for n in ready:
            done[n] = local[:, n] if parents[n] < 0 else done[parents[n]] @ local[:, n]
        waiting = [n for n in waiting if n not in done]
    return torch.stack([done[n] for n in range(len(parents))], 1)


def _rotation(M: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 3 3"]:
    R: Tensor = M[..., :3, :3] / M[..., :3, :3].norm(dim=-2, keepdim=True).clamp_min(1e-12)
    return R
