"""Fitting a motion to an avatar: its own proportions, its own floor, the requested frame rate and span."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body import RestBody
from avatar.body.joint_limits import joint_ranges
from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import UsageError
from avatar.geometry import (
    geodesic_angle,
    quat_from_rotation,
    rotation_from_quat,
    rotation_from_rotvec,
    rotation_to_rotvec,
    slerp,
)
from avatar.motion.bone_lengths import leg_length
from avatar.motion.foot_contact import lock_feet, soles_of
from avatar.motion.motion import Motion, uniform_track
from avatar.runtime.logging import logger
from avatar.types import BodyPose, BodyTrack

# Ranges are guides: rotations up to this much beyond them are accepted.
LENIENCE = torch.tensor(20.0).deg2rad()
VISIBLE_DEGREES = 10.0  # changes of a limb's direction beyond this are said


@dataclass(frozen=True)
class Retargeting:
    """How a motion is fitted.

    Attributes:
        fps: frames per second; None for the motion's own.
        start, end: seconds of the motion to take; `end` None for all of it.
        speed: how much faster than recorded it plays.
        loop: how many times it plays.
        facing: "front" turns the motion so that it starts at the origin facing +Z, "keep" leaves it as it is.
        feet: "plant" holds standing feet on the floor, "keep" leaves them as they come.
    """

    fps: float | None = None
    start: float = 0.0
    end: float | None = None
    speed: float = 1.0
    loop: int = 1
    facing: Literal["front", "keep"] = "front"
    feet: Literal["plant", "keep"] = "plant"


def retarget(motion: Motion, rest: RestBody, how: Retargeting | None = None) -> BodyTrack:
    """The motion for a body at rest: rotations as they are, within the joints' ranges; the path scaled by leg length.

    Raises:
        UsageError: the span holds no frames, or speed, rate or loop are not positive.
    """
    how = how or Retargeting()
    track = resample(motion.track, how)
    joints = rest.smpl_joints.detach().cpu().float()
    scale = leg_length(joints) / motion.leg_length
    poses = replace(
        track.poses, root_position=track.poses.root_position * scale, rotations=within_limits(track.poses.rotations)
    )
    _report_limits(track.poses.rotations, poses.rotations)
    if how.facing == "front":
        poses = face_front(poses, track.fps)
    if how.loop > 1:
        poses = repeat(poses, how.loop)
    # After the repetition, so that a foot that stands across the seam is held across it.
    if how.feet == "plant":
        floor = float(rest.vertices[:, 1].min())
        planted = lock_feet(joints, poses, track.fps, soles_of(joints, floor))
        _report_feet(joints, poses, planted)
        poses = planted
    played = uniform_track(poses.rotations, poses.root_position, track.fps, body=track.body, betas=track.betas)
    return replace(played, poses=poses)


def resample(track: BodyTrack, how: Retargeting) -> BodyTrack:
    """The requested span at the requested rate: rotations by slerp, root and confidences linearly."""
    fps = how.fps or track.fps
    last = float(track.times[-1])
    end = last if how.end is None else min(how.end, last)
    if not (fps > 0 and how.speed > 0 and how.loop > 0):
        raise UsageError("--fps, --speed and --loop must be positive.")
    if not 0 <= how.start <= end:
        raise UsageError(f"The motion lasts {last:.2f} s: --start {how.start:g} and --end {end:g} leave nothing of it.")
    count = int((end - how.start) * fps / how.speed + 1e-4) + 1
    sample_times = (how.start + torch.arange(count, dtype=torch.float64) * how.speed / fps).clamp(max=last)
    poses, confidence = at_times(track, sample_times)
    times = (torch.arange(count, dtype=torch.float64) / fps).float()
    return replace(track, poses=poses, times=times, confidence=confidence, instant=torch.arange(count), cameras=None)


def at_times(
    track: BodyTrack, sample_times: Float[Tensor, " samples"]
) -> tuple[BodyPose, Float[Tensor, "samples joints"]]:
    """Poses and confidences at any times: rotations by slerp, the others linearly; the ends are held."""
    times = track.times.double()
    after = torch.searchsorted(times.contiguous(), sample_times).clamp(1 if len(track) > 1 else 0, len(track) - 1)
    before = (after - 1).clamp(min=0)
    share = ((sample_times - times[before]) / (times[after] - times[before]).clamp_min(1e-9)).clamp(0, 1).float()

    def turned(rotations: Float[Tensor, "t j 3 3"]) -> Float[Tensor, "samples j 3 3"]:
        quats = quat_from_rotation(rotations)
        return rotation_from_quat(slerp(quats[before], quats[after], share[:, None].expand(-1, quats.shape[1])))

    def between(values: Float[Tensor, "t k"]) -> Float[Tensor, "samples k"]:
        return torch.lerp(values[before], values[after], share[:, None])

    poses = track.poses
    fingers = None if poses.fingers is None else turned(poses.fingers)
    face = None if poses.face is None else between(poses.face)
    sampled = BodyPose(between(poses.root_position), turned(poses.rotations), fingers, face)
    return sampled, between(track.confidence)


def within_limits(rotations: Float[Tensor, "t 24 3 3"]) -> Float[Tensor, "t 24 3 3"]:
    """Clamp joints that are beyond their ranges; other joints are unchanged, bit by bit."""
    low, high = (r.to(rotations) for r in joint_ranges())
    turn = rotation_to_rotvec(rotations)
    allowed = turn.clamp(low - LENIENCE, high + LENIENCE)
    beyond = (turn != allowed).any(-1)
    return torch.where(beyond[..., None, None], rotation_from_rotvec(allowed), rotations)


def _report_limits(asked: Float[Tensor, "t 24 3 3"], allowed: Float[Tensor, "t 24 3 3"]) -> None:
    """Say which joints were turned back by a visible angle."""
    back = geodesic_angle(asked, allowed).rad2deg().amax(0).tolist()
    joints = [f"{name.replace('_', ' ')} by up to {angle:.0f}" for name, angle in zip(SMPL_JOINTS, back, strict=True)
              if angle > VISIBLE_DEGREES]  # fmt: skip
    if joints:
        logger.warning(f"Joints beyond what a body can do are turned back: {', '.join(joints)} degrees.")


def _report_feet(joints: Float[Tensor, "24 3"], before: BodyPose, after: BodyPose) -> None:
    """Say where planting the feet turned a leg by a visible angle."""
    places = [joint_transforms(joints, SMPL_PARENTS, poses)[..., :3, 3] for poses in (before, after)]
    for side in ("left", "right"):
        hip, knee, ankle = (SMPL_JOINTS.index(f"{side}_{part}") for part in ("hip", "knee", "ankle"))
        for upper, lower in ((hip, knee), (knee, ankle)):
            a, b = (F.normalize(at[:, lower] - at[:, upper], dim=-1) for at in places)
            turned = (2 * ((a - b).norm(dim=-1) / 2).clamp(max=1).asin()).rad2deg()
            if float(turned.max()) > VISIBLE_DEGREES:
                limb = SMPL_JOINTS[upper].replace("_", " ")
                logger.warning(
                    f"Planting the feet turns the leg below the {limb} by up to {float(turned.max()):.0f} degrees, "
                    f"most in frame {int(turned.argmax())}; --feet keep leaves it."
                )


def face_front(poses: BodyPose, fps: float) -> BodyPose:
    """Rotate the whole motion about the vertical so that it starts above the origin, facing +Z."""
    # Over the first second, because a pelvis rotates with every step.
    first = poses.rotations[: max(1, round(fps)), 0]
    facing = first[:, :, 2].mean(0)
    if float(facing[[0, 2]].norm()) < 0.3:  # lying: the direction of the head is more reliable than that of the belly
        facing = first[:, :, 1].mean(0)
    angle = torch.atan2(facing[0], facing[2])
    R = rotation_from_rotvec(torch.stack([torch.zeros_like(angle), -angle, torch.zeros_like(angle)]))
    rotations = poses.rotations.clone()
    rotations[:, 0] = R @ rotations[:, 0]
    start = poses.root_position[0] * torch.tensor([1.0, 0.0, 1.0])
    return replace(poses, root_position=(poses.root_position - start) @ R.T, rotations=rotations)


def repeat(poses: BodyPose, times: int) -> BodyPose:
    """The motion several times; a walk continues from where it ended."""
    last, first = poses.root_position[-1], poses.root_position[0]
    step = (last - first) * torch.tensor([1.0, 0.0, 1.0])
    # The last frame of a motion made to repeat comes just before its first.
    step = step * len(poses) / max(len(poses) - 1, 1)
    roots = torch.cat([poses.root_position + k * step for k in range(times)])
    return replace(poses[torch.arange(len(poses)).repeat(times)], root_position=roots)
