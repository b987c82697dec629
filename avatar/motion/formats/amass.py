"""AMASS (Mahmood et al. 2019): SMPL-H in `*_poses.npz`, SMPL-X in `*_stageii.npz`. Its world has Z up."""

from __future__ import annotations

from avatar.motion.formats.container import Content
from avatar.motion.formats.smpl import frame_rate, motion_from_rotvecs, translation
from avatar.motion.motion import Motion, ReadOptions, numbers


class AmassFormat:
    """Reads motions of the AMASS collection."""

    name = "amass"
    description = "AMASS npz, SMPL-H or SMPL-X"

    def recognizes(self, content: Content) -> bool:
        # The two releases spell the frame_rate differently, and nobody else uses either spelling.
        return content.has("poses", "trans") and (content.has("mocap_framerate") or content.has("mocap_frame_rate"))

    def read(self, content: Content, options: ReadOptions) -> Motion:
        poses = content.fields["poses"]
        poses = numbers(content.path, poses, "poses", None, 165 if getattr(poses, "shape", (0, 0))[-1] == 165 else 156)
        rotvecs = poses.reshape(len(poses), -1, 3)
        transl = translation(content, len(poses))
        return motion_from_rotvecs(
            content, options, rotvecs, transl, frame_rate(content, options), up="z", name="amass"
        )
