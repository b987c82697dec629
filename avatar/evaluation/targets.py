"""Targets of an evaluation: a pose and a camera in the run's world, and the true image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.datasets.capture import Capture, CaptureClip, HeldOut
from avatar.evaluation.alignment import EstimatedPerson, Placement, calibrate_offsets, nearest_frame
from avatar.evaluation.ground_truth import retarget_ground_truth
from avatar.geometry import invert_rigid
from avatar.io.images import to_float
from avatar.pipeline.finished_run import FinishedRun
from avatar.training.split import held_out_frames
from avatar.types import BodyPose, Cameras, Observations

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


def estimated_person(opened: FinishedRun) -> EstimatedPerson:
    """The body of a run in the poses of its video.

    Raises:
        UsageError: the run's track has no cameras.
    """
    _ = opened.cameras  # raises if the track has none
    return EstimatedPerson(opened.avatar.body, opened.avatar.rest, opened.track)


def held_out_targets(opened: FinishedRun, clip: CaptureClip | None) -> tuple[list[EvaluationTarget], list[str]]:
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
        image = to_float(observations.images[index])
        return image, to_float(masks[row])

    return read


def capture_targets(
    opened: FinishedRun, capture: Capture, clip: CaptureClip, placement: Placement, joints_alone: bool = False
) -> tuple[list[EvaluationTarget], list[str]]:
    """All held-out images: training poses with the estimated pose, and all with the true skeleton retargeted.

    Args:
        joints_alone: use only the positions of the true joints, even if the capture has rotations and a T-pose.
    """
    skipped = [f"{path.parent.name}/{path.name}: the file is missing" for path in capture.missing]
    person = estimated_person(opened)
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
                targets.append(EvaluationTarget(f"{group}, found pose", image.name, pose, camera, image.read, angle))
        targets.append(EvaluationTarget(f"{group}, driven", image.name, retargeted_pose, camera, image.read, angle))
    return targets, skipped


def _group(image: HeldOut, clip: CaptureClip) -> str:
    if image.clip is None:
        return "novel poses"
    return "novel views, seen poses" if image.clip == clip.name else f"novel views of {image.clip}"


def view_angle(camera: Cameras, T_camera_world: Float[Tensor, "4 4"], person: Float[Tensor, " 3"]) -> float:
    """Degrees between two cameras as seen from the person."""
    a, b = (invert_rigid(T)[:3, 3] - person for T in (camera.T_camera_world[0], T_camera_world))
    return float(torch.rad2deg(torch.acos((a @ b / (a.norm() * b.norm())).clamp(-1, 1))))
