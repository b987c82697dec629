"""TRAM (Wang et al. 2024): `hps/hps_track_*.npy` in the camera's frame; `camera.npy` beside it moves the camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from avatar.errors import AvatarError
from avatar.motion.formats.container import Content, open_content
from avatar.motion.formats.persons import at_frames
from avatar.motion.formats.smpl import REST_PELVIS, motion_from_rotations
from avatar.motion.motion import Motion, ReadOptions, numbers


class TramFormat:
    """Reads results of TRAM."""

    name = "tram"
    description = "TRAM hps_track npy"

    def recognizes(self, content: Content) -> bool:
        return content.has("pred_rotmat", "pred_trans")

    def read(self, content: Content, options: ReadOptions) -> Motion:
        fields, path = content.fields, content.path
        matrices = numbers(path, fields["pred_rotmat"], "pred_rotmat", None, 24, 3, 3)
        transl = numbers(path, np.reshape(fields["pred_trans"], (-1, 3)), "pred_trans", len(matrices), 3)
        frames = fields.get("frame", range(len(matrices)))
        rotations, transl = at_frames(content, frames, torch.from_numpy(matrices), transl)
        camera = _camera_file(path)
        if camera is not None:
            first = int(np.ravel(frames)[0])
            R, T = _world_cameras(camera, first, len(transl))
            pelvis = np.asarray(options.rest_pelvis or REST_PELVIS["smpl"])
            rotations = torch.cat([torch.from_numpy(R)[:, None] @ rotations[:, :1], rotations[:, 1:]], 1)
            # The translation applies to the pelvis, so the camera's rotation acts on their sum.
            transl = (R @ (transl + pelvis)[..., None])[..., 0] + T - pelvis
        return motion_from_rotations(content, options, rotations, transl, options.fps or 30.0, "-y", "tram")


def _camera_file(path: Path) -> Path | None:
    places = (path.parent / "camera.npy", path.parent.parent / "camera.npy")
    return next((place for place in places if place.is_file()), None)


def _world_cameras(path: Path, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Camera-to-world rotations and places for the person's frames; the first camera is the world."""
    content = open_content(path)
    if not content.has("pred_cam_R", "pred_cam_T"):
        raise AvatarError(f"{path} lacks pred_cam_R and pred_cam_T: remove it to use the motion before the camera.")
    R = numbers(path, content.fields["pred_cam_R"], "pred_cam_R", None, 3, 3)
    T = numbers(path, content.fields["pred_cam_T"], "pred_cam_T", len(R), 3)
    if first < 0 or first + count > len(R):
        raise AvatarError(f"{path} has {len(R)} cameras, but the person is tracked up to frame {first + count}.")
    return R[first : first + count], T[first : first + count]
