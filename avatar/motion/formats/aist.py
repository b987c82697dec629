"""AIST++ (Li et al. 2021): one pkl per sequence, SMPL at 60 frames per second, Y up, translation in scaled units."""

from __future__ import annotations

import numpy as np

from avatar.motion.formats.container import Content
from avatar.motion.formats.smpl import frame_rate, motion_from_rotvecs, translation
from avatar.motion.motion import Motion, ReadOptions, numbers


class AistFormat:
    """Reads motions of the AIST++ data set."""

    name = "aist"
    description = "AIST++ pkl"

    def recognizes(self, content: Content) -> bool:
        return content.has("smpl_poses", "smpl_trans", "smpl_scaling")

    def read(self, content: Content, options: ReadOptions) -> Motion:
        poses = numbers(content.path, content.fields["smpl_poses"], "smpl_poses", None, 72)
        fps = frame_rate(content, options, default=60.0)
        transl = translation(content, len(poses))
        return motion_from_rotvecs(content, options, np.reshape(poses, (-1, 24, 3)), transl, fps, up="y", name="aist")
