"""The cameras that estimators of human motion write beside their results: TRAM, WHAM and GVHMR.

- `camera.npy` of TRAM (Wang et al. 2024): `pred_cam_R`, `pred_cam_T` from camera to world, in metres; `img_focal`,
  `img_center`;
- `slam_results.pth` of WHAM (Shin et al. 2024) and `slam_results.pt` of GVHMR (Shen et al. 2024) with DPVO: (n, 7),
  place and quaternion xyzw from camera to world; with GVHMR's own odometry (n, 4, 4), from world to camera;
- `hmr4d_results.pt` of GVHMR: the person in the world and before the camera, `K_fullimg`.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import invert_rigid, rigid, rotation_from_quat, rotation_from_rotvec
from avatar.io.files import require_file
from avatar.io.pickles import read_npy_header, read_pickle
from avatar.types import Cameras

SUFFIXES = (".npy", ".pt", ".pth", ".pkl")
REST_PELVIS = (0.003, -0.351, 0.012)  # of SMPL-X's mean body, metres: `transl` is not the pelvis
MOST_BYTES = 2**30


def read_estimated_cameras(path: Path) -> tuple[Cameras, bool]:
    """The camera of each frame, and whether their scale is in metres.

    Cameras without intrinsics have images of 1x1 pixels.

    Raises:
        UsageError: there is no such file. AvatarError: it is broken or holds more than arrays.
        KeyError, ValueError: it is none of these files.
    """
    content = _content(path)
    if isinstance(content, Mapping):
        if {"pred_cam_R", "pred_cam_T"} <= content.keys():
            return _tram(content), True
        if {"smpl_params_global", "smpl_params_incam"} <= content.keys():
            return _gvhmr(content), True
        raise KeyError("neither pred_cam_R and pred_cam_T nor smpl_params_global and smpl_params_incam")
    return _slam(_tensor(content)), False


def _content(path: Path) -> Any:
    require_file(path)
    if path.stat().st_size > MOST_BYTES:
        raise ValueError("the file is too large")
    if not zipfile.is_zipfile(path):
        data = path.read_bytes()
        if data[:6] == b"\x93NUMPY" and not read_npy_header(io.BytesIO(data)).hasobject:
            return np.load(io.BytesIO(data), allow_pickle=False)
        return read_pickle(path)
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError:  # what torch.save writes of a NumPy array
        with zipfile.ZipFile(path) as archive:
            member = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            return read_pickle(archive.read(member), str(path))


def _tensor(value: Any) -> Tensor:
    return torch.as_tensor(np.asarray(value, dtype=np.float32))


def _tram(content: Mapping[str, Any]) -> Cameras:
    R, places = _tensor(content["pred_cam_R"]), _tensor(content["pred_cam_T"])
    if R.shape != (len(places), 3, 3) or places.shape != (len(R), 3):
        raise ValueError(f"pred_cam_R and pred_cam_T of shapes {tuple(R.shape)} and {tuple(places.shape)}")
    focal, centre = float(np.ravel(content["img_focal"])[0]), np.ravel(content["img_center"])
    K = torch.tensor([[focal, 0, float(centre[0])], [0, focal, float(centre[1])], [0, 0, 1]])
    T = invert_rigid(rigid(R, places))
    return Cameras(K.repeat(len(R), 1, 1), T, round(2 * float(centre[0])), round(2 * float(centre[1])))


def _slam(poses: Tensor) -> Cameras:
    if poses.ndim == 2 and poses.shape[1] == 7:
        T = invert_rigid(rigid(rotation_from_quat(poses[:, [6, 3, 4, 5]]), poses[:, :3]))
    elif poses.ndim == 3 and poses.shape[1:] == (4, 4):
        T = poses
    else:
        raise ValueError(f"an array of shape {tuple(poses.shape)}, neither (n, 7) nor (n, 4, 4)")
    return Cameras(torch.eye(3).repeat(len(T), 1, 1), T, 1, 1)


def _gvhmr(content: Mapping[str, Any]) -> Cameras:
    """The cameras that put the person of the world where the person before the camera is."""
    K = _tensor(content["K_fullimg"])
    world, before = (_pelvis(content[name]) for name in ("smpl_params_global", "smpl_params_incam"))
    if K.shape != (len(world), 3, 3) or len(before) != len(world):
        raise ValueError(
            f"{len(world)} poses in the world, {len(before)} before the camera, {tuple(K.shape)} K_fullimg"
        )
    return Cameras(K, before @ invert_rigid(world), round(2 * float(K[0, 0, 2])), round(2 * float(K[0, 1, 2])))


def _pelvis(params: Mapping[str, Any]) -> Float[Tensor, "n 4 4"]:
    place = _tensor(params["transl"]) + torch.tensor(REST_PELVIS)
    return rigid(rotation_from_rotvec(_tensor(params["global_orient"])), place)
