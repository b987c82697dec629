"""Meshcapade's `.smpl` files (smplcodec 2): an npz with camelCase names. It does not store which way is up."""

from __future__ import annotations

import numpy as np

from avatar.motion.formats.container import Content
from avatar.motion.formats.smpl import frame_rate, motion_from_rotvecs
from avatar.motion.motion import Motion, ReadOptions, numbers


class SmplCodecFormat:
    """Reads Meshcapade's `.smpl` files."""

    name = "smplcodec"
    description = "Meshcapade .smpl"

    def recognizes(self, content: Content) -> bool:
        return content.has("bodyPose", "bodyTranslation")

    def read(self, content: Content, options: ReadOptions) -> Motion:
        fields, path = content.fields, content.path
        version = int(numbers(path, np.ravel(fields.get("smplVersion", [0])), "smplVersion", 1)[0])
        pose = numbers(path, fields["bodyPose"], "bodyPose", None, 24 if version == 0 else 22, 3)
        transl = numbers(path, fields["bodyTranslation"], "bodyTranslation", len(pose), 3)
        family = "smplx" if version == 2 else "smpl"
        return motion_from_rotvecs(
            content, options, pose, transl, frame_rate(content, options), name="smplcodec", family=family
        )
