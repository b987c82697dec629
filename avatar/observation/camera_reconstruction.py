"""The cameras of a video whose camera moves, by structure from motion on the background."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.errors import AvatarError, UsageError
from avatar.geometry import invert_rigid, quat_from_rotation, rigid, rotation_from_quat, slerp
from avatar.io.camera_motion_file import CameraMotion
from avatar.io.images import write_image
from avatar.observation.background_features import free_background, work_scale
from avatar.observation.distortion import VISIBLE, displacement
from avatar.observation.structure_from_motion import LEAST_SHARE
from avatar.observation.time_spans import spans_in_words
from avatar.runtime.cpus import available_cpus
from avatar.runtime.logging import logger
from avatar.runtime.thread_map import map_in_threads
from avatar.types import Cameras, Observations

PATIENCE_S = 20.0  # per frame
MISSING = "a moving camera needs pycolmap, which is not installed here: pip install pycolmap"
# Share of the focal length by which a reconstruction may change it: farther off, the images did not determine it.
PLAUSIBLE_FOCAL = (0.5, 2.0)


def reconstruct_cameras(observations: Observations, focal: float, focal_given: bool) -> CameraMotion:
    """The camera of each frame up to one similarity, and its focal length.

    Args:
        focal: given or assumed focal length, pixels.

    Raises:
        UsageError: pycolmap is not installed. AvatarError: the background does not determine the cameras.
    """
    if importlib.util.find_spec("pycolmap") is None:
        raise UsageError(MISSING)
    scale = work_scale(observations.width, observations.height)
    logger.info(f"reconstructing the scene from {len(observations)} frames: about half a second per frame")
    with tempfile.TemporaryDirectory(prefix="avatar-cameras-") as name:
        result = _run(Path(name), observations, focal, focal_given, scale)
    frames: dict[str, Any] = result.get("frames", {})
    count = len(observations)
    missing = np.array([_name(index) not in frames for index in range(count)])
    if len(frames) < LEAST_SHARE * count:
        where = spans_in_words(observations.times.numpy(), missing) if frames else "anywhere"
        raise AvatarError(
            f"only {len(frames)} of {count} frames could be reconstructed, none {where}: there the background has too "
            "little texture or parallax, or the camera moved too fast"
        )
    estimated = result["focal"] / scale
    if not PLAUSIBLE_FOCAL[0] < estimated / focal < PLAUSIBLE_FOCAL[1]:
        raise AvatarError(f"the focal length came out as {estimated:.0f} px, which cannot be")
    T = torch.eye(4).repeat(count, 1, 1)
    valid = torch.zeros(count, dtype=torch.bool)
    for index in range(count):
        if (frame := frames.get(_name(index))) is not None:
            T[index] = rigid(torch.tensor(frame["R"]), torch.tensor(frame["t"]))
            valid[index] = True
    T, notes = without_gaps(T, valid, observations.times)
    cameras = Cameras.centred(estimated, T, observations.width, observations.height)
    lens = float(result["distortion"]), 0.0, 0.0, 0.0
    visible = displacement(cameras.K[0], lens) > VISIBLE
    return CameraMotion(
        "moving", cameras, True, result["residual"] / scale, notes=notes, distortion=lens if visible else None
    )


def without_gaps(
    T: Float[Tensor, "n 4 4"], valid: Bool[Tensor, " n"], times: Float[Tensor, " n"]
) -> tuple[Float[Tensor, "n 4 4"], tuple[str, ...]]:
    """`filled_gaps`, and a note that says where there were any."""
    if valid.all():
        return T, ()
    where = spans_in_words(times.numpy(), ~valid.numpy())
    note = (
        f"the camera moved too fast, or showed too little background, {where}: its path was filled from the neighbours "
        f"in {int((~valid).sum())} of {len(valid)} frames"
    )
    return filled_gaps(T, valid, times), (note,)


def filled_gaps(
    T: Float[Tensor, "n 4 4"], valid: Bool[Tensor, " n"], times: Float[Tensor, " n"]
) -> Float[Tensor, "n 4 4"]:
    """Cameras interpolated where they are missing: centres linearly, rotations along the shortest arc."""
    indices = valid.nonzero()[:, 0]
    after = torch.searchsorted(indices, torch.arange(len(T))).clamp(1, len(indices) - 1)
    a, b = indices[after - 1], indices[after]
    share = ((times - times[a]) / (times[b] - times[a]).clamp_min(1e-6)).clamp(0, 1)
    q = quat_from_rotation(T[:, :3, :3])
    R = rotation_from_quat(slerp(q[a], q[b], share))
    centres = invert_rigid(T)[:, :3, 3]
    centre = centres[a] + share[:, None] * (centres[b] - centres[a])
    return torch.where(valid[:, None, None], T, rigid(R, -(R @ centre[..., None]).squeeze(-1)))


def _name(index: int) -> str:
    return f"{index:05d}.png"


def _run(folder: Path, observations: Observations, focal: float, given: bool, scale: float) -> dict[str, Any]:
    """Write the images and run COLMAP on them; empty where it fails."""
    import cv2

    size = round(observations.width * scale), round(observations.height * scale)
    for part in ("images", "masks"):
        (folder / part).mkdir()

    def write(index: int) -> None:
        image, mask = (
            cv2.resize(plane[index], size, interpolation=cv2.INTER_AREA)
            for plane in (observations.images, observations.masks)
        )
        write_image(folder / "images" / _name(index), image)
        write_image(folder / "masks" / f"{_name(index)}.png", 255 * free_background(mask).astype(np.uint8))

    list(map_in_threads(write, range(len(observations))))
    names = [_name(index) for index in range(len(observations))]
    task = {"names": names, "focal": focal * scale, "given": given, "size": size, "threads": available_cpus()}
    (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
    command = [sys.executable, "-m", "avatar.observation.structure_from_motion", str(folder)]
    try:
        subprocess.run(command, capture_output=True, timeout=PATIENCE_S * len(names), check=True)
        result: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (subprocess.SubprocessError, OSError, json.JSONDecodeError):
        return {}
    return result
