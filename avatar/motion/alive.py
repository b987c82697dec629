"""What makes a standing person look alive: blinking and breath; and a face played on another motion."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.face import FACE_UNITS
from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import UsageError
from avatar.geometry import rotation_from_rotvec
from avatar.motion.motion import Motion
from avatar.motion.retarget import at_times
from avatar.motion.smoothing import smooth_path
from avatar.types import BodyTrack

BLINK_GAPS = (2.0, 6.0)  # seconds from one blink to the next
CLOSING, OPENING = 0.08, 0.16  # seconds
BREATH = 4.0  # seconds of one breath, at rest
# Degrees about x (positive bends forward) and z by which a breath turns the joints of the left side and the middle.
CHEST_RISE = {"spine2": (-0.5, 0.0), "spine3": (-0.9, 0.0), "neck": (1.2, 0.0), "collar": (0.0, 1.2)}
WALKING = 0.25  # m/s of the pelvis, at which the breath no longer shows
EYES = ("eyeBlinkLeft", "eyeBlinkRight")


def with_blinks_and_breath(track: BodyTrack, seed: int = 0) -> BodyTrack:
    """The motion with blinking eyes, and with a chest that rises and falls while the person stands.

    Args:
        seed: of the times between the blinks.
    """
    poses = track.poses
    face = torch.zeros(len(track), len(FACE_UNITS)) if poses.face is None else poses.face.clone()
    for unit in EYES:
        column = FACE_UNITS.index(unit)
        face[:, column] = torch.maximum(face[:, column], blinks(track.times, seed))
    return replace(track, poses=replace(poses, rotations=_breathing(track) @ poses.rotations, face=face))


def blinks(times: Float[Tensor, " t"], seed: int = 0) -> Float[Tensor, " t"]:
    """How far the lids are closed, 0 to 1."""
    draw = np.random.default_rng(seed)
    closed, start = torch.zeros(len(times)), float(times[0]) + float(draw.uniform(*BLINK_GAPS)) / 2
    while start < float(times[-1]):
        since = times - start
        lid = torch.where(since < CLOSING, since / CLOSING, 1 - (since - CLOSING) / OPENING)
        closed = torch.maximum(closed, lid.clamp(0, 1))
        start += float(draw.uniform(*BLINK_GAPS))
    return closed


def _breathing(track: BodyTrack) -> Float[Tensor, "t j 3 3"]:
    """Turns of the joints by the breath."""
    times, root = track.times, track.poses.root_position
    speed = torch.zeros(len(track))
    if len(track) > 1:
        path = smooth_path(root, 0.3 * track.fps)
        speed = torch.linalg.norm(torch.gradient(path, spacing=(times.double(),), dim=0)[0], dim=-1).float()
    still = torch.exp(-((speed / WALKING) ** 2))
    breath = still * (0.5 - 0.5 * torch.cos(2 * math.pi * (times - times[0]) / BREATH))
    turns = torch.zeros(len(track), track.poses.rotations.shape[1], 3)
    for part, (x, z) in CHEST_RISE.items():
        for side, sign in (("", 1.0),) if part in SMPL_JOINTS else (("left_", 1.0), ("right_", -1.0)):
            axis = torch.tensor([math.radians(x), 0.0, sign * math.radians(z)])
            turns[:, SMPL_JOINTS.index(side + part)] = breath[:, None] * axis
    return rotation_from_rotvec(turns)


def with_face_of(track: BodyTrack, face: Motion, source: str) -> BodyTrack:
    """The track with the face of another motion, from the start of both; at the end the last face is held.

    Raises:
        UsageError: `face` has none; `source` says where it came from.
    """
    if face.track.poses.face is None:
        raise UsageError(f"{source} moves no face: give a CSV of Live Link Face, or a glTF file with morph targets.")
    played, _ = at_times(face.track, (track.times - track.times[0]).double().clamp(max=float(face.track.times[-1])))
    return replace(track, poses=replace(track.poses, face=played.face))
