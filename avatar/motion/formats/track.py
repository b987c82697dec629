"""Our own track files (`track.npz`) and motion files (JSON: see `avatar.motion.formats.player_json`)."""

from __future__ import annotations

from dataclasses import replace

import torch

from avatar.body import load_body, smpl_pose
from avatar.body.skeleton import smpl_joint_indices
from avatar.errors import AvatarError
from avatar.motion.bone_lengths import leg_length
from avatar.motion.formats.container import Content
from avatar.motion.formats.player_json import is_player_motion, parse_player_motion
from avatar.motion.motion import MEAN_LEG, Motion, ReadOptions, uniform_track

TRACK_FORMAT = "avatar-track"


class TrackFormat:
    """Reads this project's own track and motion files."""

    name = "own"
    description = "our track.npz and motion JSON"

    def recognizes(self, content: Content) -> bool:
        if content.kind == "json":
            return is_player_motion(content.data)
        return content.has("format") and str(content.fields["format"]) == TRACK_FORMAT

    def read(self, content: Content, options: ReadOptions) -> Motion:
        if content.kind == "json":
            poses, fps = parse_player_motion(content.path, content.data)
            timed = uniform_track(poses.rotations, poses.root_position, options.fps or fps)
            return Motion("own", replace(timed, poses=poses))
        # The track room brings the whole fit along, which most motions do not need.
        from avatar.io.track_file import load_track

        track = load_track(content.path)
        track = replace(
            track,
            poses=smpl_pose(track.poses),
            confidence=track.confidence[:, smpl_joint_indices(track.confidence.shape[1])],
            cameras=None,
            instant=torch.arange(len(track)),
        )
        return Motion("own", track, leg_of_body(track.body, track.betas) or MEAN_LEG)


def leg_of_body(name: str, betas: torch.Tensor) -> float | None:
    """Length of the legs of the body that a track was fitted with, where that body is at hand."""
    try:
        return leg_length(load_body(name).rest(betas).joints)
    except (AvatarError, RuntimeError):
        return None  # a track of a body that is not available here still has its rotations
