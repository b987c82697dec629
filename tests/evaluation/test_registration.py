"""The one shift of a clip: it undoes a principal point that nobody could know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avatar.datasets.capture import load_capture
from avatar.evaluation.alignment import Placement, align
from avatar.evaluation.registration import registered, shift_in_pixels
from avatar.evaluation.targets import estimated_person
from avatar.geometry import project, rigid, rotation_from_rotvec
from avatar.io.images import to_float
from avatar.metrics.images import alpha_iou
from avatar.pipeline.finished_run import open_run
from avatar.rendering.camera_paths import orbit
from avatar.rendering.renderer import render

from .conftest import BOX


def test_an_unknown_principal_point_is_taken_off(made_up: tuple[Path, Path]) -> None:
    opened, clip = open_run(made_up[0]), load_capture(made_up[1]).clip("turn")
    K = clip.cameras.K.clone()
    K[:, 0, 2] += 4.0
    K[:, 1, 2] -= 2.5
    clip = replace(clip, cameras=replace(clip.cameras, K=K))
    person = estimated_person(opened)
    unaligned = align(person, clip)
    aligned = registered(opened, person, clip, unaligned, "auto")
    shift = shift_in_pixels(aligned, person, clip.cameras[0])
    assert shift.tolist() == pytest.approx([-4.0, 2.5], abs=0.3)
    opened.avatar.requires_grad_(False)
    before, after = (
        alpha_iou(
            render(opened.avatar.pose(person.frame_poses[3]), placement.camera(clip.cameras[3])).alpha[0],
            to_float(clip.masks[3]),
        )
        for placement in (unaligned, aligned)
    )
    assert before < 0.85 and after > 0.95


def test_points_and_cameras_are_placed_alike() -> None:
    T_true, T_run = (
        rigid(rotation_from_rotvec(torch.tensor(v)), torch.tensor(t))
        for v, t in (([0.1, 0.6, -0.2], [0.3, 1.0, 2.0]), ([0.0, -0.4, 0.1], [-0.2, 0.8, 3.0]))
    )
    placement = Placement(T_true, T_run, 1.3, torch.tensor([0.02, -0.03, 0.05]))
    camera = orbit(*BOX, 3, 90, 120)[1]
    world = torch.randn(1, 10, 3, generator=torch.Generator().manual_seed(0))
    placed = placement.camera(camera)
    pixels, depth = project(camera.K[0], camera.T_camera_world[0], world[0])
    again, scaled = project(placed.K[0], placed.T_camera_world[0], placement.points(world)[0])
    ahead = depth > 0.1
    torch.testing.assert_close(again[ahead], pixels[ahead], rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(scaled * 1.3, depth, rtol=1e-4, atol=1e-4)
