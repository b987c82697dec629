"""Animation of FBX files, binary and ASCII, through ufbx (Raivio 2020), where its Python package is installed."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import AvatarError, UsageError
from avatar.motion.formats.clips import choose_clip
from avatar.motion.formats.container import Content
from avatar.motion.formats.rigs import complete_bind_pose, nearest_chosen, same_unit
from avatar.motion.motion import Motion, ReadOptions
from avatar.motion.skeletons import JointAnimation, motion_from_animation

WORKER = Path(__file__).with_name("fbx_worker.py")
PATIENCE = 600.0  # seconds
CONVERT = (
    "convert the file with Blender, which is free: File > Import > FBX, then File > Export > glTF 2.0 (.glb) with its "
    "animation"
)


class FbxFormat:
    """Reads an animation clip ("take") of an FBX file."""

    name = "fbx"
    description = "FBX animation, binary or ASCII (Mixamo, Rokoko, MotionBuilder, Maya, Unreal)"

    def recognizes(self, content: Content) -> bool:
        return content.kind == "fbx"

    def read(self, content: Content, options: ReadOptions) -> Motion:
        if content.kind != "fbx":
            raise AvatarError(f"{content.path} is not an FBX file.")
        if importlib.util.find_spec("ufbx") is None:
            raise UsageError(
                f"{content.path} is an FBX file: install the reader by `pip install 'splat-avatar[fbx]'`, or {CONVERT}."
            )
        listed = _ask_worker(content, "clips")
        names = [str(name) or f"clip {number}" for number, name in enumerate(listed["names"], start=1)]
        clip = choose_clip(content.path, names, options.clip, lambda index: bool(listed["moves"][index]))
        scene = _ask_worker(content, "read", str(clip), str(options.fps or 0))
        return motion_from_animation(_animation(content, scene), options)


def _ask_worker(content: Content, *question: str) -> dict[str, np.ndarray]:
    """What `fbx_worker` says about the file.

    Raises:
        AvatarError: the file is broken, or the reader fails on it.
    """
    # -I: neither the current folder nor the environment changes what is imported.
    command = [sys.executable, "-I", str(WORKER), *question]
    try:
        run = subprocess.run(command, input=content.data, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise AvatarError(f"{content.path} is not read in {PATIENCE:.0f} s: {CONVERT}.") from error
    reason = run.stderr.decode(errors="replace").strip().partition("refused: ")[2].splitlines()
    if reason:
        raise AvatarError(f"{content.path} is a broken FBX file: {reason[0][:200]}.")
    if run.returncode:
        raise AvatarError(f"{content.path} could not be read as FBX: {CONVERT}.")
    with np.load(io.BytesIO(run.stdout), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _animation(content: Content, scene: dict[str, np.ndarray]) -> JointAnimation:
    parents = [int(parent) for parent in scene["parents"]]
    still, moving = torch.from_numpy(scene["still"]), torch.from_numpy(scene["moving"])
    frames = torch.from_numpy(scene["bind_frames"])
    bound = {
        int(node): frame
        for node, frame in zip(scene["bound"], frames, strict=True)
        if float(torch.linalg.det(frame).abs()) > 1e-18
    }
    rest = complete_bind_pose(bound, still, parents)
    chosen = _joints(scene, bound)
    nearest = [nearest_chosen(parents, index, chosen) for index in chosen]
    rest_positions = rest[chosen, :3, 3]
    return JointAnimation(
        format="fbx",
        path=content.path,
        names=tuple(str(scene["names"][index]) for index in chosen),
        parents=tuple(nearest),
        rest_rotations=_rotation(rest)[chosen],
        rest_positions=rest_positions * same_unit(rest_positions, moving[0, chosen, :3, 3], nearest),
        rotations=_rotation(moving)[:, chosen],
        positions=moving[:, chosen, :3, 3],
        fps=float(scene["fps"]),
        up="y",
    )


def _joints(scene: dict[str, np.ndarray], bound: dict[int, Tensor]) -> list[int]:
    """The nodes that can be joints: bones and what is in the bind pose; without any, all that are no mesh."""
    others = set(np.flatnonzero(scene["others"]).tolist())
    chosen = (set(np.flatnonzero(scene["bones"]).tolist()) | set(bound)) - others
    return sorted(chosen or set(range(len(scene["names"]))) - others)


def _rotation(M: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 3 3"]:
    R: Tensor = M[..., :3, :3] / M[..., :3, :3].norm(dim=-2, keepdim=True).clamp_min(1e-12)
    return R
