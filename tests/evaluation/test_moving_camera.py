"""A capture whose camera moves: the run is placed by the whole path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avatar.datasets.capture import load_capture
from avatar.evaluation.alignment import align, place_by_cameras
from avatar.evaluation.camera_scores import camera_scores
from avatar.evaluation.exposure import at_exposure, usual_exposure
from avatar.evaluation.targets import estimated_person
from avatar.geometry import invert_rigid, rigid, rotation_from_rotvec
from avatar.pipeline.finished_run import open_run
from avatar.rendering.camera_paths import orbit
from avatar.types import Cameras

from .conftest import BOX


def _moved(cameras: Cameras, scale: float) -> Cameras:
    """The same path in a world that is turned, moved and smaller by `scale`."""
    T_new_old = rigid(rotation_from_rotvec(torch.tensor([0.2, 0.7, -0.1])), torch.tensor([0.4, 0.1, -2.0]))
    T = cameras.T_camera_world @ invert_rigid(T_new_old)
    return replace(cameras, T_camera_world=rigid(T[:, :3, :3], T[:, :3, 3] / scale))


def test_a_path_is_placed_on_itself() -> None:
    true = orbit(*BOX, 7, 90, 120)
    run = _moved(true, 1.3)
    placement = place_by_cameras(true, run, 1.3)
    placed = torch.cat([placement.camera(true[i]).T_camera_world for i in range(len(true))])
    torch.testing.assert_close(placed, run.T_camera_world, atol=1e-4, rtol=1e-4)


def test_scores_of_a_path(made_up: tuple[Path, Path]) -> None:
    """The made-up camera stands still; a run that says it moved is scored, and one error in the path is measured."""
    clip = load_capture(made_up[1]).clip("turn")
    person = estimated_person(open_run(made_up[0]))
    assert camera_scores(person, clip, align(person, clip)) == {}
    path = orbit(*BOX, len(clip), 90, 120)
    true = replace(clip, cameras=path)
    run = replace(person, track=replace(person.track, cameras=_moved(path, 1.0)))
    scores = camera_scores(run, true, place_by_cameras(path, run.cameras, 1.0))
    assert scores["camera_centre_worst_mm"] < 1 and scores["camera_rotation_worst_deg"] < 0.1
    T = run.cameras.T_camera_world.clone()
    T[2, :3, 3] += T[2, :3, :3] @ torch.tensor([0.0, 0.06, 0.0])
    off = replace(run, track=replace(run.track, cameras=replace(run.cameras, T_camera_world=T)))
    worst = camera_scores(off, true, place_by_cameras(path, run.cameras, 1.0))["camera_centre_worst_mm"]
    assert worst == pytest.approx(50, abs=3)  # of 60 mm a sixth goes into the mean


def test_exposure_is_a_factor_on_linear_light(made_up: tuple[Path, Path]) -> None:
    image = torch.rand(4, 5, 3, generator=torch.Generator().manual_seed(0)) * 0.5
    torch.testing.assert_close(at_exposure(at_exposure(image, 1.3), 1 / 1.3), image, atol=1e-5, rtol=1e-4)
    assert float(at_exposure(torch.full((1, 1, 3), 0.5), 2.0)[0, 0, 0]) == pytest.approx(0.685, abs=0.002)
    clip = load_capture(made_up[1]).clip("turn")
    assert usual_exposure(clip) == 1.0
    assert usual_exposure(replace(clip, exposure=torch.tensor([0.5, 2.0]))) == pytest.approx(1.0)
