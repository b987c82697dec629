"""Targets from the other fixed cameras of a multi-camera capture."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from avatar.datasets.multicamera import Station
from avatar.datasets.posed import prepared
from avatar.evaluation.alignment import Placement, nearest_frame
from avatar.evaluation.targets import EvaluationTarget, Truth, view_angle
from avatar.io.images import to_float
from avatar.io.observations_file import load_observations
from avatar.observation.video import observe
from avatar.pipeline.finished_run import FinishedRun
from avatar.types import Observations


def station_targets(
    opened: FinishedRun, station: Station, placement: Placement, folder: Path
) -> tuple[list[EvaluationTarget], list[str]]:
    """The frames of one camera with the poses that the run estimated at the same times.

    Args:
        folder: where the observations of the camera's video are cached.

    Raises:
        AvatarError: the video cannot be read or no person is detected in it.
    """
    if not (folder / "observations.npz").is_file():
        observe(station.clip.video, folder)
    observations, clip = load_observations(folder), station.clip
    instants = {nearest_frame(clip, float(time)): row for row, time in enumerate(opened.track.times)}
    camera = placement.camera(clip.cameras[0]).resized(observations.width, observations.height)
    targets, skipped = [], []
    for index, time in enumerate(observations.times):
        frame = nearest_frame(clip, float(time))
        row = None if frame is None else instants.get(frame)
        name = f"{clip.name}, frame {frame}"
        if row is None:
            skipped.append(f"{name}: the run has no pose at that time")
            continue
        pose = opened.track.poses[row]
        angle = view_angle(camera, placement.T_run_camera, pose.root_position)
        targets.append(
            EvaluationTarget(f"seen by {clip.name}", name, pose, camera, _truth(observations, index, station), angle)
        )
    return targets, skipped


def _truth(observations: Observations, index: int, station: Station) -> Truth:
    camera = station.clip.cameras[0].resized(observations.width, observations.height)

    def read() -> tuple[Tensor, Tensor]:
        image, mask = prepared(
            observations.images[index], observations.masks[index], camera.K[0].numpy(), station.distortion
        )
        return to_float(image), to_float(mask)

    return read
