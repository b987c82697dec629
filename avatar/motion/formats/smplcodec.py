"""Meshcapade's `.smpl` files (smplcodec 2): an npz with camelCase names. It does not store which way is up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from avatar.body.face import face_of_turns
from avatar.geometry import rotation_from_rotvec, rotation_to_rotvec
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
        motion = motion_from_rotvecs(
            content, options, pose, transl, frame_rate(content, options), name="smplcodec", family=family
        )
        return self._with_hands_and_head(content, motion)

    def _with_hands_and_head(self, content: Content, motion: Motion) -> Motion:
        """The same with fingers, jaw and eyes, where the file has them."""
        count = len(motion.track)
        parts = {
            name: rotation_from_rotvec(
                torch.from_numpy(numbers(content.path, content.fields[name], name, count, joints, 3))
            ).float()
            for name, joints in (("leftHandPose", 15), ("rightHandPose", 15), ("headPose", 3))
            if np.size(content.fields.get(name, ()))
        }
        poses = motion.track.poses
        if "leftHandPose" in parts and "rightHandPose" in parts:
            poses = replace(poses, fingers=torch.cat([parts["leftHandPose"], parts["rightHandPose"]], dim=1))
        if "headPose" in parts:
            poses = replace(poses, face=face_of_turns(rotation_to_rotvec(parts["headPose"])))
        return replace(motion, track=replace(motion.track, poses=poses))
