"""The transform between a capture's world and the world of a run."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.body.model import RestBody
from avatar.body.skinning import joint_transforms
from avatar.datasets.capture import CaptureClip, Skeleton
from avatar.errors import UsageError
from avatar.evaluation.ground_truth import LIMBS, calibrated_offsets
from avatar.geometry import invert_rigid, mean_rotation, rigid, transform
from avatar.types import BodyPose, BodyTrack, Cameras


@dataclass(frozen=True)
class EstimatedPerson:
    """A body with its poses and cameras, as estimated from a clip."""

    body: Body
    rest: RestBody
    track: BodyTrack

    @property
    def cameras(self) -> Cameras:
        """The cameras of the track, which an estimated person always has."""
        assert self.track.cameras is not None
        return self.track.cameras

    @property
    def frame_poses(self) -> BodyPose:
        """The pose in each frame."""
        return self.track.poses[self.track.instant]

    def joints(self) -> Float[Tensor, "frames 24 3"]:
        """SMPL's joints in each frame, in the run's world, metres."""
        Ts = joint_transforms(self.rest.joints, self.body.parents, self.body.complete(self.track.poses))
        return Ts[:, list(self.body.smpl_index), :3, 3][self.track.instant]

    def frames_of(self, clip: CaptureClip) -> dict[int, int]:
        """For each frame of the clip that was used, its index among the run's frames."""
        frames = [nearest_frame(clip, float(time)) for time in self.track.times[self.track.instant]]
        return {frame: index for index, frame in enumerate(frames) if frame is not None}


def nearest_frame(clip: CaptureClip, time: float) -> int | None:
    """The frame of a clip at `time` seconds, or None outside the clip."""
    frame = round(time * clip.fps)
    return frame if 0 <= frame < len(clip) else None


@dataclass(frozen=True)
class Placement:
    """The transform from a capture's world to a run's world: the training camera, one scale, and at most one shift.

    A point at x in the true training camera is at (x - `shift`) / `scale` in the run's camera; nothing else is aligned.
    Of a training camera that moves, the true one is that of the first frame, and the run's is where the whole path
    puts it (`place_by_cameras`).

    Attributes:
        T_true_camera: capture's world to the true training camera (OpenCV axes).
        T_run_camera: run's world to the run's training camera.
        scale: true metres per metre of the run.
        shift: of the whole clip, in the axes of the true training camera, metres; see `avatar.evaluation.registration`.
    """

    T_true_camera: Float[Tensor, "4 4"]
    T_run_camera: Float[Tensor, "4 4"]
    scale: float
    shift: Float[Tensor, " 3"] = field(default_factory=lambda: torch.zeros(3))

    def points(self, world: Float[Tensor, "t j 3"]) -> Float[Tensor, "t j 3"]:
        """Points of the capture's world in the run's."""
        flat = (transform(self.T_true_camera, world.flatten(0, 1)) - self.shift) / self.scale
        points: Tensor = transform(invert_rigid(self.T_run_camera), flat).unflatten(0, world.shape[:2])
        return points

    def skeleton(self, true: Skeleton) -> Skeleton:
        """Poses of the capture in the run's world and size."""
        rest, rotations = true.rest_joints, true.rotations
        if rotations is not None:
            R = self.T_run_camera[:3, :3].mT @ self.T_true_camera[:3, :3]
            rotations = torch.cat([R @ rotations[:, :1], rotations[:, 1:]], dim=1)
        return Skeleton(self.points(true.joints), None if rest is None else rest / self.scale, rotations)

    def camera(self, camera: Cameras) -> Cameras:
        """A camera of the capture for the run's world, which is smaller by the scale."""
        relative = camera.T_camera_world @ invert_rigid(self.T_true_camera)
        R, t = relative[:, :3, :3], relative[:, :3, 3]
        relative = rigid(R, (t + R @ self.shift) / self.scale)
        return Cameras(camera.K, relative @ self.T_run_camera, camera.width, camera.height)


def align(person: EstimatedPerson, clip: CaptureClip) -> Placement:
    """Align a capture to a run through the training camera of every frame, and one scale.

    The scale is the least-squares one over the limb joints before the training camera.

    Raises:
        UsageError: the run and the clip have no frame in common.
    """
    pairs = person.frames_of(clip)
    if not pairs:
        raise UsageError(f"The run has no frame in common with {clip.video}: was it made from another video?")
    true_frames, own = list(pairs), list(pairs.values())
    limbs = list(LIMBS)
    true = transform(clip.cameras.T_camera_world[true_frames], clip.joints[true_frames])[:, limbs]
    ours = transform(person.cameras.T_camera_world[own], person.joints()[own])[:, limbs]
    measured = true.isfinite().all(-1)
    scale = float((true * ours)[measured].sum() / ours[measured].square().sum())
    return place_by_cameras(clip.cameras[true_frames], person.cameras[own], scale)


def place_by_cameras(true: Cameras, run: Cameras, scale: float) -> Placement:
    """The placement that brings the true cameras of some frames onto the run's, at a given scale.

    Cameras that stand still coincide. Of a path, the mean rotation between the two and the mean of the centres are
    aligned.

    Args:
        true, run: the cameras of the same frames; scale: true metres per metre of the run.
    """
    first = true.T_camera_world[0]
    if not (moves(true) or moves(run)):
        return Placement(first, run.T_camera_world[0], scale)
    R_run_true = run.T_camera_world[:, :3, :3].mT @ true.T_camera_world[:, :3, :3]
    R = mean_rotation(R_run_true, R_run_true.new_ones(1, len(run)))[0]
    true_centres, run_centres = (invert_rigid(cameras.T_camera_world)[:, :3, 3] for cameras in (true, run))
    offset = (run_centres - true_centres @ R.mT / scale).mean(0)
    R_camera_run, centre = first[:3, :3] @ R.mT, R @ true_centres[0] / scale + offset
    return Placement(first, rigid(R_camera_run, -R_camera_run @ centre), scale)


def moves(cameras: Cameras) -> bool:
    """Whether any camera differs from the first one."""
    return not torch.allclose(cameras.T_camera_world, cameras.T_camera_world[:1], rtol=0, atol=1e-4)


def calibrate_offsets(person: EstimatedPerson, clip: CaptureClip, placement: Placement) -> Float[Tensor, "24 3"]:
    """Offsets of the clip's true joints in the frames of the estimated body's bones; see `calibrated_offsets`."""
    pairs = person.frames_of(clip)
    truth = placement.skeleton(clip.skeleton[list(pairs)])
    return calibrated_offsets(person.body, person.rest, person.frame_poses[list(pairs.values())], truth)
