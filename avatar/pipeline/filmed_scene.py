"""The scene in which the person was filmed, as a file of splats beside the avatar."""

from __future__ import annotations

from pathlib import Path

import torch

from avatar.errors import UsageError
from avatar.exporters.splats import write_ply
from avatar.pipeline.finished_run import open_run
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.scene import FILMED
from avatar.training.scene import SceneTrainer

LEAST_STEPS = 1


def scene_of_run(folder: Path, out: Path | None = None, steps: int = 600, backend: str = "auto") -> tuple[Path, str]:
    """Train the scene of a run and write it, in the world of the run's track: metres, floor at y = 0.

    Args:
        folder: of a finished run; out: the file; None: `scene.ply` in the run folder.
        steps: of training, each on one frame.

    Returns:
        The file, and a sentence about the scene.

    Raises:
        UsageError: the run is not finished, keeps no frames or is of several videos, or there are no steps.
    """
    if steps < LEAST_STEPS:
        raise UsageError(f"--steps must be at least {LEAST_STEPS}, not {steps}.")
    if RunFolder(folder).videos_file.is_file():
        raise UsageError(f"{folder} was made from several videos: a scene is made from one.")
    opened = open_run(folder, props=False)
    if not opened.has_observations:
        raise UsageError(f"{folder} no longer holds the frames of its video: make the avatar again.")
    torch.set_num_threads(1)  # as in `create`
    observations, cameras = opened.observations(), opened.cameras
    person = opened.track.poses.root_position[observations.instant] * torch.tensor([1.0, 0.0, 1.0])
    trainer = SceneTrainer(observations, cameras, person, backend)
    scene = trainer.run(steps)
    file = opened.run.scene if out is None else out
    write_ply(scene, file, [FILMED])
    depth = "their depth measured" if len(trainer.points.places) else "their depth a guess, since the camera stayed"
    return file, f"{len(scene)} splats, {depth}; the background of the video fits to {trainer.psnr(scene):.1f} dB"
