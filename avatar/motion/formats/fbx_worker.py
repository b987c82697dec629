"""Reads the skeleton of an FBX file with ufbx, as a program of its own: bytes on stdin, an npz on stdout.

A separate process keeps the effects of a broken or hostile file outside ours, as for videos, and allows what ufbx 0.0.5
needs: nothing that it returns may be freed before the end, neither by a lost reference (see `held`) nor by the garbage
collector. It imports nothing of this package, so that it starts at once.

    python fbx_worker.py clips          names of the clips, and whether something moves in each
    python fbx_worker.py read CLIP FPS  the frames of all nodes over a clip, by its index; 0 is the file's own rate
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import ufbx

LONGEST_SECONDS = 3600.0
USUAL_RATES = (5.0, 240.0)  # frames per second; files that state another are read at 30


def held(element: Any) -> Any:
    """The element, with a reference more.

    ufbx 0.0.5 gives no reference along with an element that it has returned before, so that the first name to go would
    free it under the others.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(element))
    return element


def elements(listed: Iterable[Any]) -> list[Any]:
    """The elements of one of ufbx's lists."""
    return [held(element) for element in listed]


def clips(scene: Any) -> dict[str, Any]:
    """Names of the clips, and whether something moves in each."""
    stacks = elements(scene.anim_stacks)
    return {"names": np.array([stack.name for stack in stacks], str), "moves": [_moves(scene, s) for s in stacks]}


def _moves(scene: Any, stack: Any) -> bool:
    with ufbx.bake_anim(scene, held(stack.anim)) as baked:
        tracks = [keys for node in elements(baked.nodes) for keys in (node.rotation_keys, node.translation_keys)]
        values = [np.array([key.value for key in elements(keys)]) for keys in tracks if len(keys) > 1]
        return any(float(np.abs(rows - rows[0]).max()) > 1e-4 * (1 + np.abs(rows[0]).max()) for rows in values)


def read(scene: Any, clip: int, fps: float) -> dict[str, Any]:
    """All nodes: names, parents, frames at rest, when the skin was bound, and over the clip."""
    own_rate = float(scene.settings.frames_per_second)
    fps = fps or (own_rate if USUAL_RATES[0] <= own_rate <= USUAL_RATES[1] else 30.0)
    nodes = elements(scene.nodes)
    place = {node.typed_id: index for index, node in enumerate(nodes)}
    parents = [held(node.parent) for node in nodes]
    anim = held(elements(scene.anim_stacks)[clip].anim)
    with ufbx.bake_anim(scene, anim) as baked:
        start, end = float(baked.key_time_min), float(baked.key_time_max)
    if not 0 <= end - start <= LONGEST_SECONDS:
        raise ValueError(f"its animation lasts {end - start:g} s")
    moving = []
    for number in range(int((end - start) * fps + 1e-4) + 1):
        posed = held(scene.evaluate(anim, start + number / fps))
        moving.append(_worlds(elements(posed.nodes)))
        posed.free()
    bound = _bind_pose(scene, place)
    return {
        "names": np.array([node.name for node in nodes], str),
        "parents": [-1 if parent is None else place[parent.typed_id] for parent in parents],
        "bones": [node.attrib_type == ufbx.ElementType.BONE for node in nodes],
        "others": [held(node.mesh) is not None or node.is_root for node in nodes],
        "still": _worlds(nodes),
        "moving": np.stack(moving),
        "bound": list(bound),
        "bind_frames": _square(np.array(list(bound.values())).reshape(-1, 4, 3)),
        "fps": fps,
    }


def _bind_pose(scene: Any, place: dict[int, int]) -> dict[int, Any]:
    """Node -> its frame when the skin was bound, by the file's bind poses or else by its skin clusters."""
    bound: dict[int, Any] = {}
    for pose in elements(scene.poses):
        for bone in elements(pose.bone_poses) if pose.is_bind_pose else ():
            bound[place[held(bone.bone_node).typed_id]] = bone.bone_to_world
    for cluster in elements(scene.skin_clusters):
        node = held(cluster.bone_node)
        if node is not None:
            bound.setdefault(place[node.typed_id], cluster.bind_to_world)
    return bound


def _worlds(nodes: list[Any]) -> np.ndarray:
    return _square(np.array([node.node_to_world for node in nodes]))


def _square(columns: np.ndarray) -> np.ndarray:
    """4x4 matrices of ufbx's four columns of three."""
    square = np.tile(np.eye(4), (len(columns), 1, 1))
    square[:, :3] = columns.swapaxes(1, 2)
    return square


def main() -> None:
    """Answer one question."""
    gc.disable()
    try:
        # Only what is in the file is read, and no other file.
        scene = ufbx.load_memory(
            sys.stdin.buffer.read(),
            ignore_embedded=True,
            load_external_files=False,
            target_axes=ufbx.axes_right_handed_y_up,
            target_unit_meters=1.0,
        )
        result = clips(scene) if sys.argv[1] == "clips" else read(scene, int(sys.argv[2]), float(sys.argv[3]))
    except (ufbx.UfbxError, ValueError) as error:
        sys.exit(f"refused: {error}")
    np.savez(sys.stdout.buffer, **result)
    sys.stdout.flush()
    os._exit(0)  # without freeing anything


if __name__ == "__main__":
    main()
