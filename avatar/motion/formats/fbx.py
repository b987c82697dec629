"""Animation of FBX files, binary and ASCII, through ufbx (Raivio 2020), where that package is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import AvatarError, UsageError, short_message
from avatar.motion.formats.clips import choose_clip
from avatar.motion.formats.container import Content
from avatar.motion.formats.rigs import complete_bind_pose, nearest_chosen, same_unit
from avatar.motion.motion import Motion, ReadOptions
from avatar.motion.skeletons import JointAnimation, motion_from_animation

LONGEST_SECONDS = 3600.0
USUAL_RATES = (5.0, 240.0)  # frames per second; files that state another are read at 30
ADVICE = (
    "install the reader by `pip install 'splat-avatar[fbx]'`, or convert the file with Blender, which is free: File > "
    "Import > FBX, then File > Export > glTF 2.0 (.glb) with its animation"
)


class FbxFormat:
    """Reads an animation clip ("take") of an FBX file."""

    name = "fbx"
    description = "FBX animation, binary or ASCII (Mixamo, Rokoko, MotionBuilder, Maya, Unreal)"

    def recognizes(self, content: Content) -> bool:
        return content.kind == "fbx"

    def read(self, content: Content, options: ReadOptions) -> Motion:
        try:
            import ufbx
        except ImportError:
            raise UsageError(f"{content.path} is an FBX file: {ADVICE}.") from None
        if content.kind != "fbx":
            raise AvatarError(f"{content.path} is not an FBX file.")
        try:
            # Only the skeleton is read, and no other file.
            scene = ufbx.load_memory(
                content.data,
                ignore_embedded=True,
                load_external_files=False,
                target_axes=ufbx.axes_right_handed_y_up,
                target_unit_meters=1.0,
            )
            with scene:
                animation = _animation(ufbx, content, scene, options)
        except ufbx.UfbxError as error:
            raise AvatarError(f"{content.path} is a broken FBX file: {short_message(error)}.") from error
        return motion_from_animation(animation, options)


def _animation(ufbx: Any, content: Content, scene: Any, options: ReadOptions) -> JointAnimation:
    stacks = list(scene.anim_stacks)
    names = [stack.name or f"clip {number}" for number, stack in enumerate(stacks, start=1)]
    stack = stacks[choose_clip(content.path, names, options.clip, lambda index: _moves(ufbx, scene, stacks[index]))]
    fps = options.fps or float(scene.settings.frames_per_second)
    fps = fps if options.fps or USUAL_RATES[0] <= fps <= USUAL_RATES[1] else 30.0
    nodes = list(scene.nodes)
    place = {node.typed_id: index for index, node in enumerate(nodes)}
    parents = [-1 if node.parent is None else place[node.parent.typed_id] for node in nodes]
    still = _worlds(nodes)
    moving = _moving(ufbx, content, scene, stack, fps)
    bound = _bind_pose(scene, place)
    rest = complete_bind_pose(bound, still, parents)
    chosen = _joints(ufbx, nodes, bound)
    nearest = [nearest_chosen(parents, index, chosen) for index in chosen]
    rest_positions = rest[chosen, :3, 3]
    return JointAnimation(
        format="fbx",
        path=content.path,
        names=tuple(str(nodes[index].name) for index in chosen),
        parents=tuple(nearest),
        rest_rotations=_rotation(rest)[chosen],
        rest_positions=rest_positions * same_unit(rest_positions, moving[0, chosen, :3, 3], nearest),
        rotations=_rotation(moving)[:, chosen],
        positions=moving[:, chosen, :3, 3],
        fps=fps,
        up="y",
    )


def _moves(ufbx: Any, scene: Any, stack: Any) -> bool:
    with ufbx.bake_anim(scene, stack.anim) as baked:
        tracks = [keys for node in baked.nodes for keys in (node.rotation_keys, node.translation_keys)]
        values = [np.array([key.value for key in keys]) for keys in tracks if len(keys) > 1]
        return any(float(np.abs(rows - rows[0]).max()) > 1e-4 * (1 + np.abs(rows[0]).max()) for rows in values)


def _moving(ufbx: Any, content: Content, scene: Any, stack: Any, fps: float) -> Float[Tensor, "t n 4 4"]:
    """The frames of all nodes from the first key of the clip to the last."""
    with ufbx.bake_anim(scene, stack.anim) as baked:
        start, end = float(baked.key_time_min), float(baked.key_time_max)
    if not 0 <= end - start <= LONGEST_SECONDS:
        raise AvatarError(f"{content.path}: its animation lasts {end - start:g} s.")
    frames = []
    for number in range(int((end - start) * fps + 1e-4) + 1):
        with scene.evaluate(stack.anim, start + number / fps) as posed:
            frames.append(_worlds(list(posed.nodes)))
    return torch.stack(frames)


def _bind_pose(scene: Any, place: dict[int, int]) -> dict[int, Tensor]:
    """Node -> its frame when the skin was bound, by the file's bind poses or else by its skin clusters."""
    bound = {}
    for pose in scene.poses:
        if pose.is_bind_pose:
            for bone in pose.bone_poses:
                bound[place[bone.bone_node.typed_id]] = _matrix(bone.bone_to_world)
    for cluster in scene.skin_clusters:
        if cluster.bone_node is not None:
            bound.setdefault(place[cluster.bone_node.typed_id], _matrix(cluster.bind_to_world))
    return {node: M for node, M in bound.items() if float(torch.linalg.det(M).abs()) > 1e-18}


def _joints(ufbx: Any, nodes: list[Any], bound: dict[int, Tensor]) -> list[int]:
    """The nodes that can be joints: bones and what is in the bind pose; without any, all that are no mesh."""
    bones = {index for index, node in enumerate(nodes) if node.attrib_type == ufbx.ElementType.BONE}
    chosen = bones | {index for index in bound if nodes[index].mesh is None}
    return sorted(chosen or {index for index, node in enumerate(nodes) if node.mesh is None and not node.is_root})


def _worlds(nodes: list[Any]) -> Float[Tensor, "n 4 4"]:
    columns = np.array([node.node_to_world for node in nodes])  # (nodes, columns, rows)
    worlds = torch.eye(4, dtype=torch.float64).repeat(len(nodes), 1, 1)
    worlds[:, :3] = torch.from_numpy(columns).mT
    return worlds


def _matrix(matrix: Any) -> Float[Tensor, "4 4"]:
    full = torch.eye(4, dtype=torch.float64)
    full[:3] = torch.from_numpy(np.array(matrix)).mT
    return full


def _rotation(M: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 3 3"]:
    R: Tensor = M[..., :3, :3] / M[..., :3, :3].norm(dim=-2, keepdim=True).clamp_min(1e-12)
    return R
