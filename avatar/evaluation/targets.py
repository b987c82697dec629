"""Targets of an evaluation: a pose and a camera in the run's world, and the true image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.datasets.capture import Capture, CaptureClip, HeldOut
from avatar.evaluation.alignment import EstimatedPerson, Placement, calibrate_offsets, moves, nearest_frame
from avatar.evaluation.exposure import at_exposure, usual_exposure
from avatar.evaluation.ground_truth import retarget_ground_truth
from avatar.geometry import invert_rigid
from avatar.io.images import to_float
from avatar.pipeline.finished_run import FinishedRun
from avatar.training.split import held_out_frames, shown_frames
from avatar.types import BodyPose, Cameras, Observations

SIDE_DEGREES = 90.0
TRAINING_FRAMES = 8  # that training used, to be scored
# The key keeps its first name, since scripts read it from evaluation.json.
HELD_OUT_GROUP = "left-out frames"
TRAINING_GROUP = "training frames"
ALIGNED = ", aligned"  # ends the groups whose clip was shifted onto the true silhouettes

Truth = Callable[[], tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]]


@dataclass(frozen=True)
class EvaluationTarget:
    """One image to score.

    Attributes:
        group: row of the table that it belongs to; name: of the image.
        pose, camera: in the run's world.
        truth: reads straight colour and coverage.
        angle: degrees between this camera and the nearest training camera, as seen from the person; None where it is
            the same.
        depth: reads the true depth along the optical axis, true metres, 0 where nobody is; gives None without one.
        scale: true metres per metre of the run.
        frame: which frame of the video it is; None for other images.
        brief: only scores that cost little: the row is there to be compared with another one.
    """

    group: str
    name: str
    pose: BodyPose
    camera: Cameras
    truth: Truth
    angle: float | None = None
    depth: Callable[[], Float[Tensor, "h w"] | None] = lambda: None
    scale: float = 1.0
    frame: int | None = None
    brief: bool = False


def estimated_person(opened: FinishedRun) -> EstimatedPerson:
    """The body of a run in the poses of its video; of several videos, in the frames of the first one.

    Raises:
        UsageError: the run's track has no cameras.
    """
    cameras, track = opened.cameras, opened.track
    first = opened.frames_of_first_video
    if first < len(cameras):
        track = replace(track, instant=track.instant[:first], cameras=cameras[slice(0, first)])
    return EstimatedPerson(opened.body, opened.rest, track)


def held_out_targets(opened: FinishedRun, clip: CaptureClip | None) -> tuple[list[EvaluationTarget], list[str]]:
    """The held-out frames of the training clip.

    Args:
        clip: the truth about the training clip: its masks are then used instead of the run's own.
    """
    observations = opened.observations()
    frames = held_out_frames(observations, int(opened.config["train"]["hold_out"]))
    return _frame_targets(opened, clip, frames, HELD_OUT_GROUP)


def training_targets(opened: FinishedRun, clip: CaptureClip | None) -> list[EvaluationTarget]:
    """A few of the frames that the avatar was trained on, evenly spread, to be compared with the held-out ones.

    Args:
        clip: see `held_out_targets`.
    """
    observations = opened.observations()
    held_out = set(held_out_frames(observations, int(opened.config["train"]["hold_out"])))
    trained = [index for index in shown_frames(observations) if index not in held_out]
    step = max(1, len(trained) // TRAINING_FRAMES)
    targets, _ = _frame_targets(opened, clip, trained[step // 2 :: step], TRAINING_GROUP)
    return [replace(target, brief=True) for target in targets]


def _frame_targets(
    opened: FinishedRun, clip: CaptureClip | None, frames: Sequence[int], group: str
) -> tuple[list[EvaluationTarget], list[str]]:
    observations = opened.observations() if clip is None or clip.exposure is None else opened.filmed()
    targets, skipped = [], []
    for index in frames:
        name = f"frame {index}"
        masks, row, gain = observations.masks, index, 1.0
        if clip is not None:
            frame = nearest_frame(clip, float(observations.times[index]))
            if frame is None:
                skipped.append(f"{name}: the clip has no such frame")
                continue
            masks, row = clip.masks, frame
            if clip.exposure is not None:
                gain = usual_exposure(clip) / float(clip.exposure[frame])
        instant = int(opened.track.instant[index])
        truth = _frame_truth(observations, index, masks, row, gain)
        targets.append(
            EvaluationTarget(group, name, opened.track.poses[instant], opened.cameras[index], truth, frame=index)
        )
    return targets, skipped


def _frame_truth(observations: Observations, index: int, masks: Any, row: int, gain: float) -> Truth:
    def read() -> tuple[Tensor, Tensor]:
        image = at_exposure(to_float(observations.images[index]), gain)
        return image, to_float(masks[row])

    return read


def capture_targets(
    opened: FinishedRun,
    capture: Capture,
    clip: CaptureClip,
    placement: Placement,
    joints_alone: bool = False,
    aligned: bool = False,
) -> tuple[list[EvaluationTarget], list[str]]:
    """All held-out images: training poses with the estimated pose, and all with the true skeleton retargeted.

    Args:
        joints_alone: use only the positions of the true joints, even if the capture has rotations and a T-pose.
        aligned: the placement has the clip's shift: names of groups end in `ALIGNED`. Without it, scores are brief.
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
    run_cameras = person.cameras
    training_cameras = run_cameras.T_camera_world if moves(run_cameras) else placement.T_run_camera[None]
    brief, ending = not aligned, ALIGNED if aligned else ""
    targets = []
    for image in capture.held_out:
        camera = placement.camera(image.camera)
        root = true[image.group].joints[image.pose, 0]
        angle = min(view_angle(camera, T, root) for T in training_cameras)
        retargeted_pose = retargeted[image.group][image.pose]
        group, depth = _group(image, clip), image.read_depth
        truth = _HeldOutTruth(image, usual_exposure(clip))
        if image.clip == clip.name:
            frame = frames.get(image.frame if image.frame is not None else -1)
            if frame is None:
                skipped.append(f"{image.name}: the run has no frame {image.frame} of {clip.name}")
            else:
                pose = estimated_poses[frame]
                name = f"{group}, found pose{ending}"
                targets.append(
                    EvaluationTarget(name, image.name, pose, camera, truth, angle, depth, placement.scale, brief=brief)
                )
        name = f"{group}, driven{ending}"
        targets.append(
            EvaluationTarget(
                name, image.name, retargeted_pose, camera, truth, angle, depth, placement.scale, brief=brief
            )
        )
    return targets, skipped


@dataclass(frozen=True)
class _HeldOutTruth:
    """Reads a held-out image at the exposure of the training clip; equal for equal images, so that one is read once."""

    image: HeldOut
    gain: float

    def __call__(self) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
        colors, coverage = self.image.read()
        return at_exposure(colors, self.gain), coverage


def _group(image: HeldOut, clip: CaptureClip) -> str:
    if image.clip is None:
        return "novel poses"
    return "novel views, seen poses" if image.clip == clip.name else f"novel views of {image.clip}"


def view_angle(camera: Cameras, T_camera_world: Float[Tensor, "4 4"], person: Float[Tensor, " 3"]) -> float:
    """Degrees between two cameras as seen from the person."""
    a, b = (invert_rigid(T)[:3, 3] - person for T in (camera.T_camera_world[0], T_camera_world))
    return float(torch.rad2deg(torch.acos((a @ b / (a.norm() * b.norm())).clamp(-1, 1))))
