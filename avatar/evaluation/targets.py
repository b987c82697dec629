"""What an avatar is compared with: a pose and a camera in the run's world, and the true image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.datasets.capture import Capture, Clip, HeldOut
from avatar.errors import UsageError
from avatar.evaluation.alignment import EstimatedPerson, Placement, calibrate_offsets, nearest_frame
from avatar.evaluation.ground_truth import retarget_ground_truth
from avatar.geometry import invert_rigid
from avatar.io.files import read_json
from avatar.io.observations_file import load_observations
from avatar.io.track_file import load_track
from avatar.model.avatar import Avatar
from avatar.pipeline.run_folder import RunFolder
from avatar.training.split import held_out_frames
from avatar.types import BodyPose, BodyTrack, Cameras, Observations

SIDE_DEGREES = 90.0

Truth = Callable[[], tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]]


@dataclass(frozen=True)
class EvaluationTarget:
    """One image to score.

    Attributes:
        group: row of the table that it belongs to; name: of the image.
        pose, camera: in the run's world.
        truth: reads straight colour and coverage.
        angle: degrees between this camera and the training camera, as seen from the person; None where it is the same.
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

    run: RunFolder
    config: dict[str, Any]
    avatar: Avatar
    track: BodyTrack

    @property
    def person(self) -> EstimatedPerson:
        return EstimatedPerson(self.avatar.body, self.avatar.rest, self.track)

    @property
    def cameras(self) -> Cameras:
        return self.person.cameras

    def observations(self) -> Observations:
        return load_observations(self.run.observations)


def open_run(folder: Path) -> FinishedRun:
    """Open a run.

    Raises:
        UsageError: it holds no finished avatar, or its track has no cameras.
        AvatarError: its files are broken, or made with a body that is not installed.
    """
    run = RunFolder(folder)
    run.require_avatar()
    track = load_track(run.track)
    if track.cameras is None:
        raise UsageError(f"{run.track} has no cameras, so it cannot be compared with images.")
    return FinishedRun(run, read_json(run.config), Avatar.load(run.avatar), track)


def held_out_targets(opened: FinishedRun, clip: Clip | None) -> tuple[list[EvaluationTarget], list[str]]:
    """The held-out frames of the training clip.

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
        targets.append(
            EvaluationTarget("left-out frames", name, opened.track.poses[instant], opened.cameras[index], truth)
        )
    return targets, skipped


def _frame_truth(observations: Observations, index: int, masks: Any, row: int) -> Truth:
    def read() -> tuple[Tensor, Tensor]:
        image = torch.from_numpy(observations.images[index]).float() / 255
        return image, torch.from_numpy(masks[row]).float() / 255

    return read


def capture_targets(
    opened: FinishedRun, capture: Capture, clip: Clip, placement: Placement, joints_alone: bool = False
) -> tuple[list[EvaluationTarget], list[str]]:
    """All held-out images: training poses with the estimated pose, and all with the true skeleton retargeted.

    Args:
        joints_alone: use only the positions of the true joints, even if the capture has rotations and a T-pose.
    """
    skipped = [f"{path.parent.name}/{path.name}: the file is missing" for path in capture.missing]
    person = opened.person
    true = {group: placement.skeleton(skeleton) for group, skeleton in capture.skeletons.items()}
    if joints_alone:
        retargeted = {
            group: retarget_ground_truth(person.body, person.rest, skeleton.joints_alone())
            for group, skeleton in true.items()
        }
    else:
        places = calibrate_offsets(person, clip, placement)
        retargeted = {
            group: retarget_ground_truth(person.body, person.rest, skeleton, places) for group, skeleton in true.items()
        }
    frames, estimated_poses = person.frames_of(clip), person.frame_poses
    targets = []
    for image in capture.held_out:
        camera = placement.camera(image.camera)
        angle = view_angle(camera, placement.T_run_camera, true[image.group].joints[image.pose, 0])
        retargeted_pose = retargeted[image.group][image.pose]
        group = _group(image, clip)
        if image.clip == clip.name:
            frame = frames.get(image.frame if image.frame is not None else -1)
            if frame is None:
                skipped.append(f"{image.name}: the run has no frame {image.frame} of {clip.name}")
            else:
                pose = estimated_poses[frame]
                targets.append(EvaluationTarget(f"{group}, found pose", image.name, pose, camera, image.picture, angle))
        targets.append(EvaluationTarget(f"{group}, driven", image.name, retargeted_pose, camera, image.picture, angle))
    return targets, skipped


def _group(image: HeldOut, clip: Clip) -> str:
    if image.clip is None:
        return "novel poses"
    return "novel views, seen poses" if image.clip == clip.name else f"novel views of {image.clip}"


def view_angle(camera: Cameras, T_camera_world: Float[Tensor, "4 4"], person: Float[Tensor, " 3"]) -> float:
    """Degrees between two cameras as seen from the person."""
    a, b = (invert_rigid(T)[:3, 3] - person for T in (camera.T_camera_world[0], T_camera_world))
    return float(torch.rad2deg(torch.acos((a @ b / (a.norm() * b.norm())).clamp(-1, 1))))
