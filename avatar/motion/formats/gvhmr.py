"""GVHMR (Shen et al. 2024): `hmr4d_results.pt`, SMPL-X in a world with gravity down, and in the camera's frame."""

from __future__ import annotations

import numpy as np

from avatar.errors import AvatarError
from avatar.motion.formats.container import Content
from avatar.motion.formats.smpl import motion_from_rotvecs
from avatar.motion.motion import Motion, ReadOptions, numbers

IN_WORLD, IN_CAMERA = "smpl_params_global", "smpl_params_incam"


class GvhmrFormat:
    """Reads results of GVHMR."""

    name = "gvhmr"
    description = "GVHMR hmr4d_results.pt"

    def recognizes(self, content: Content) -> bool:
        return content.has(IN_WORLD) or content.has(IN_CAMERA)

    def read(self, content: Content, options: ReadOptions) -> Motion:
        """The motion in world coordinates if the file has them. Mixing the two frames would lay people flat."""
        key, up = (IN_WORLD, "y") if content.has(IN_WORLD) else (IN_CAMERA, "-y")
        params = content.fields[key]
        if not isinstance(params, dict) or not {"body_pose", "global_orient", "transl"} <= params.keys():
            raise AvatarError(f"{content.path}: {key} lacks body_pose, global_orient or transl.")
        body = numbers(content.path, params["body_pose"], "body_pose", None, 63)
        root = numbers(content.path, params["global_orient"], "global_orient", len(body), 3)
        transl = numbers(content.path, params["transl"], "transl", len(body), 3)
        rotvecs = np.concatenate([root, body], axis=1).reshape(len(body), 22, 3)
        fps = options.fps or 30.0
        return motion_from_rotvecs(content, options, rotvecs, transl, fps, up, "gvhmr", family="smplx")
