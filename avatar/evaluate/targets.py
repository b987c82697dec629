"""What an avatar is compared with: a pose and a camera in the run's world, and the true picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.skinning import joint_transforms
from avatar.datasets.capture import Capture, Clip, HeldOut, Skeleton
from avatar.errors import UsageError
from avatar.evaluate.drive import LIMBS, calibrated_places, drive
from avatar.files import read_json
from avatar.geometry import invert_rigid, rigid, transform
from avatar.model import Avatar
from avatar.observe import load_observations
from avatar.run import Run
from avatar.track import load_track
from avatar.train import held_out_frames
from avatar.types import BodyPose, BodyTrack, Cameras, Observations

SIDE_DEGREES = 90.0

Truth = Callable[[], tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]]


@dataclass(frozen=True)
class Target:
    """One picture to be judged.

    Attributes:
        group: row of the table that it belongs to; name: of the picture.
        pose, camera: in the run's world.
        truth: gives straight colour and coverage when asked.
        angle: degrees between this camera and the training camera, seen from the person; None where it is the same.
    """

    group: str
    name: str
    pose: BodyPose
    camera: Cameras
    truth: Truth
    angle: float | None = None


@dataclass(frozen=True)
class FinishedRun:
    """A run folder that holds an avatar, opened."""

    run: Run
    config: dict[str, Any]
    avatar: Avatar
    track: BodyTrack

    @property
    def cameras(self) -> Cameras:
        assert self.track.cameras is not None
        return self.track.cameras

    def observations(self) -> Observations:
        return load_observations(self.run.observations)


def open_run(folder: Path) -> FinishedRun:
    """Open a run.

    Raises:
        UsageError: it holds no finished avatar, or its track has no cameras.
        AvatarError: its files are broken, or made with a body that is not here.
    """
    run = Run(folder)
    run.require_avatar()
    track = load_track(run.track)
    if track.cameras is None:
        raise UsageError(f"{run.track} has no cameras, so nothing can be compared with pictures.")
    return FinishedRun(run, read_json(run.config), Avatar.load(run.avatar), track)


def left_out_targets(opened: FinishedRun, clip: Clip | None) -> tuple[list[Target], list[str]]:
    """The frames of the training clip that training left out.

    Args:
        clip: the truth about the training clip: its masks are then used instead of the run's own.
    """
    observations = opened.observations()
    every = int(opened.config["train"]["hold_out"])
    targets, skipped = [], []
    for index in held_out_frames(len(observations), every):
        name = f"frame {index}"
        masks, row = observations.masks, index
        if clip is not None:
            frame = nearest_frame(clip, float(observations.times[index]))
            if frame is None:
                skipped.append(f"{name}: the clip has no such frame")
                continue
            masks, row = clip.masks, frame
        instant = int(opened.track.instant[index])
        truth = _frame_truth(observations, index, masks, row)
        targets.append(Target("left-out frames", name, opened.track.poses[instant], opened.cameras[index], truth))
    return targets, skipped


def _frame_truth(observations: Observations, index: int, masks: Any, row: int) -> Truth:
    def read() -> tuple[Tensor, Tensor]:
        image = torch.from_numpy(observations.images[index]).float() / 255
        return image, torch.from_numpy(masks[row]).float() / 255

    return read


def nearest_frame(clip: Clip, time: float) -> int | None:
    """The frame of a clip shown at `time` seconds, or None where it has none."""
    frame = round(time * clip.fps)
    return frame if 0 <= frame < len(clip) else None


@dataclass(frozen=True)
class Placement:
    """How a capture's world and a run's world hang together: through the training camera and one scale.

    A point seen by the true training camera at x lies in the run's at x / `scale`; nothing else is aligned.

    Attributes:
        T_true: world to the true training camera; T_found: run's world to the run's training camera.
        scale: true metres for one metre of the run.
    """

    T_true: Float[Tensor, "4 4"]
    T_found: Float[Tensor, "4 4"]
    scale: float

    def points(self, world: Float[Tensor, "t j 3"]) -> Float[Tensor, "t j 3"]:
        """Points of the capture's world in the run's."""
        flat = transform(self.T_true, world.flatten(0, 1)) / self.scale
        return transform(invert_rigid(self.T_found), flat).unflatten(0, world.shape[:2])

    def skeleton(self, true: Skeleton) -> Skeleton:
        """Poses of the capture in the run's world and size."""
        rest, rotations = true.rest_joints, true.rotations
        if rotations is not None:
            R = self.T_found[:3, :3].mT @ self.T_true[:3, :3]
            rotations = torch.cat([R @ rotations[:, :1], rotations[:, 1:]], dim=1)
        return Skeleton(self.points(true.joints), None if rest is None else rest / self.scale, rotations)

    def camera(self, camera: Cameras) -> Cameras:
        """A camera of the capture for the run's world, which is smaller by the scale."""
        relative = camera.T_camera_world @ invert_rigid(self.T_true)
        relative = rigid(relative[:, :3, :3], relative[:, :3, 3] / self.scale)
        return Cameras(camera.K, relative @ self.T_found, camera.width, camera.height)


def frames_of_instants(opened: FinishedRun, clip: Clip) -> dict[int, int]:
    """For each frame of the clip that the run used, its index among the run's frames."""
    times = opened.track.times[opened.track.instant]
    frames = [nearest_frame(clip, float(time)) for time in times]
    return {frame: index for index, frame in enumerate(frames) if frame is not None}


def found_joints(opened: FinishedRun) -> Float[Tensor, "frames 24 3"]:
    """SMPL's joints of the run's track at each of its frames, in the run's world."""
    avatar = opened.avatar
    poses = avatar.body.complete(opened.track.poses)
    joints = joint_transforms(avatar.rest.joints, avatar.body.parents, poses)[..., :3, 3]
    return joints[:, list(avatar.body.smpl_index)][opened.track.instant]


def place(opened: FinishedRun, clip: Clip) -> Placement:
    """The one scale of the clip, by least squares over the limb joints before the training camera.

    Raises:
        UsageError: the run and the clip have no frame in common.
    """
    pairs = frames_of_instants(opened, clip)
    if not pairs:
        raise UsageError(f"{opened.run.folder} has no frame in common with the clip {clip.name}.")
    true_frames, run_frames = list(pairs), list(pairs.values())
    limbs = list(LIMBS)
    true = transform(clip.cameras.T_camera_world[true_frames], clip.joints[true_frames])[:, limbs]
    found = transform(opened.cameras.T_camera_world[run_frames], found_joints(opened)[run_frames])[:, limbs]
    known = true.isfinite().all(-1)
    scale = float((true * found)[known].sum() / found[known].square().sum())
    first = run_frames[0]
    return Placement(clip.cameras.T_camera_world[0], opened.cameras.T_camera_world[first], scale)


def capture_targets(
    opened: FinishedRun, capture: Capture, clip: Clip, placement: Placement, joints_alone: bool = False
) -> tuple[list[Target], list[str]]:
    """All held-out pictures: seen poses with the pose that the run found, and all with the true skeleton's pose.

    Args:
        joints_alone: drive by the places of the true joints, though the capture tells more.
    """
    skipped = [f"{path.parent.name}/{path.name}: the file is missing" for path in capture.missing]
    true = {group: placement.skeleton(skeleton) for group, skeleton in capture.skeletons.items()}
    body, rest = opened.avatar.body, opened.avatar.rest
    frames = frames_of_instants(opened, clip)
    if joints_alone:
        driven = {group: drive(body, rest, skeleton.joints_alone()) for group, skeleton in true.items()}
    else:
        found = opened.track.poses[opened.track.instant[list(frames.values())]]
        places = calibrated_places(body, rest, found, placement.skeleton(clip.skeleton[list(frames)]))
        driven = {group: drive(body, rest, skeleton, places) for group, skeleton in true.items()}
    targets = []
    for picture in capture.held_out:
        camera = placement.camera(picture.camera)
        angle = view_angle(camera, placement.T_found, true[picture.group].joints[picture.pose, 0])
        driven_pose = driven[picture.group][picture.pose]
        group = _group(picture, clip)
        if picture.clip == clip.name:
            frame = frames.get(picture.frame if picture.frame is not None else -1)
            if frame is None:
                skipped.append(f"{picture.name}: the run has no frame {picture.frame} of {clip.name}")
            else:
                pose = opened.track.poses[int(opened.track.instant[frame])]
                targets.append(Target(f"{group}, found pose", picture.name, pose, camera, picture.picture, angle))
        targets.append(Target(f"{group}, driven", picture.name, driven_pose, camera, picture.picture, angle))
    return targets, skipped


def _group(picture: HeldOut, clip: Clip) -> str:
    if picture.clip is None:
        return "novel poses"
    return "novel views, seen poses" if picture.clip == clip.name else f"novel views of {picture.clip}"


def view_angle(camera: Cameras, T_camera_world: Float[Tensor, "4 4"], person: Float[Tensor, " 3"]) -> float:
    """Degrees between two cameras as seen from the person."""
    a, b = (invert_rigid(T)[:3, 3] - person for T in (camera.T_camera_world[0], T_camera_world))
    return float(torch.rad2deg(torch.acos((a @ b / (a.norm() * b.norm())).clamp(-1, 1))))
