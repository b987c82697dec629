"""Cameras that move: the same truth, filmed by another camera in every frame."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import pytest
import torch

from avatar.body import load_body
from avatar.geometry import geodesic_angle, invert_rigid, rigid, rotation_from_rotvec
from avatar.io.camera_motion_file import CameraMotion
from avatar.tracking.camera_path import holds_pose, path_of, tilt_of_motion, tilt_of_path
from avatar.tracking.fit import track
from avatar.tracking.kinematics import State, in_cameras, move_points, pose_chain
from avatar.tracking.landmarks import landmark_points
from avatar.tracking.options import TrackOptions
from avatar.types import Cameras

from .synthetic import FOCAL, HEIGHT, WIDTH, observed, truth

FRAMES = 24


def _carried_round(state: State, turn: float) -> tuple[State, Cameras]:
    """The state before a camera that is carried round the person: each instant in its own camera's frame; and cameras.

    The cameras are given in a world of another place, direction and scale.
    """
    count, up = len(state), torch.tensor([0.0, -math.cos(0.1), -math.sin(0.1)], dtype=torch.float64)
    angle = torch.linspace(0, turn, count, dtype=torch.float64)
    R = rotation_from_rotvec(angle[:, None] * up)
    bob = 0.03 * torch.sin(9 * angle)[:, None] * up
    middle = state.position.mean(0)
    T = rigid(R, middle - (R @ middle) + bob)  # about the person
    rotations = state.rotations.clone()
    rotations[:, 0] = R @ rotations[:, 0]
    position = (R @ state.position[..., None]).squeeze(-1) + T[:, :3, 3]
    elsewhere = rigid(rotation_from_rotvec(torch.tensor([0.5, -1.0, 0.3])), torch.tensor([3.0, 1.0, 2.0])).double()
    Ts = T @ invert_rigid(elsewhere)
    Ts[:, :3, 3] /= 4.0
    K = torch.tensor([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]]).repeat(count, 1, 1)
    return replace(state, position=position, rotations=rotations), Cameras(K, Ts.float(), WIDTH, HEIGHT)


def test_derivatives_before_moving_cameras() -> None:
    """Points before the cameras against finite differences, also by the logarithm of the scale."""
    body = load_body("open")
    still = truth(body, 4, 0.5)
    path = path_of(CameraMotion("moving", _carried_round(still, 2.0)[1]))
    state = replace(still, path=path, log_scale=torch.tensor([0.4], dtype=torch.float64))
    points, _ = landmark_points(body, "blazepose33")

    def at(state: State) -> torch.Tensor:
        return in_cameras(move_points(pose_chain(body, state), state, points), state).x

    moved = in_cameras(move_points(pose_chain(body, state), state, points), state)
    generator = torch.Generator().manual_seed(0)
    local = 1e-5 * torch.randn(4, state.frame_size, generator=generator, dtype=torch.float64)
    shared = 1e-5 * torch.randn(state.shared_size, generator=generator, dtype=torch.float64)
    expected = torch.einsum("npad,nd->npa", moved.jac_frame, local) + moved.jac_shared @ shared
    difference = (at(state.moved(local, shared)) - at(state.moved(-local, -shared))) / 2
    torch.testing.assert_close(difference, expected, atol=1e-9, rtol=1e-4)


def test_a_path_of_a_camera_that_goes_round_is_level() -> None:
    """Whatever the cameras' common pitch, the mean of their upward directions is up."""
    cameras = _carried_round(truth(load_body("open"), FRAMES, 0.0), 2 * math.pi)[1]
    path = path_of(CameraMotion("moving", cameras))
    assert path is not None and path.moves
    assert float(path.translations.square().sum(1).mean()) > 0.1
    tilt = tilt_of_path(path)
    assert tilt.pitch == pytest.approx(0.1, abs=0.03) and tilt.roll == pytest.approx(0.0, abs=0.03)
    assert path_of(CameraMotion("still", cameras)) is None


@pytest.mark.parametrize("regime", ["moving", "still"])
def test_gravity_tells_the_tilt(regime: Literal["moving", "still"]) -> None:
    """Whatever the axes of the world, and whether the camera moves or not."""
    cameras = _carried_round(truth(load_body("open"), FRAMES, 0.0), 0.3)[1]
    turn = rotation_from_rotvec(torch.tensor([0.4, -1.0, 2.0]))
    T = cameras.T_camera_world.clone()
    up = T[0, :3, :3].mT @ torch.tensor([0.3, -0.9, -0.2])
    T[:, :3, :3] = T[:, :3, :3] @ turn.mT
    vertical = tuple((turn @ up / up.norm()).tolist())
    motion = CameraMotion(regime, replace(cameras, T_camera_world=T), vertical=vertical)
    path = path_of(motion)
    tilt = tilt_of_motion(motion, path)
    assert tilt is not None and tilt.pitch_spread < 0.01
    # Up in the reference camera's frame, from pitch and roll.
    sine, cosine = math.sin(tilt.pitch), math.cos(tilt.pitch)
    up = torch.tensor([cosine * math.sin(tilt.roll), -cosine * math.cos(tilt.roll), -sine])
    first = up if path is None else path.rotations[0].float() @ up
    torch.testing.assert_close(first, T[0, :3, :3] @ torch.tensor(vertical), atol=1e-5, rtol=1e-5)
    assert tilt_of_motion(CameraMotion("still", cameras), None) is None


def test_a_standing_person_filmed_from_all_round() -> None:
    """The person stands, the world is upright, and the scale of the path is that of the person."""
    body = load_body("open")
    state = truth(body, FRAMES, 0.0, moving=0.02)
    before, cameras = _carried_round(state, 2 * math.pi)
    observations = observed(body, before, 0.5)
    motion = CameraMotion("moving", cameras, focal_given=True)
    result, report = track(observations, body, TrackOptions(height=1.75), motion=motion)
    assert report.failure is None and result.cameras is not None
    travel = result.poses.root_position.amax(0) - result.poses.root_position.amin(0)
    assert float(travel.max()) < 0.12
    rotations = result.poses.rotations[:, 0]
    turned = geodesic_angle(rotations, rotations[:1].expand_as(rotations))
    assert float(torch.rad2deg(turned).max()) < 8
    centres = invert_rigid(result.cameras.T_camera_world)[:, :3, 3]
    true_centres = invert_rigid(cameras.T_camera_world)[:, :3, 3]
    spread, true_spread = ((c - c.mean(0)).norm(dim=-1).mean() for c in (centres, true_centres))
    assert float(spread / true_spread) == pytest.approx(4.0, rel=0.08)  # as large as the body, whose height was given
    up = centres[:, 1]
    assert float(up.amax() - up.amin()) < 0.3  # a level walk
    assert not any("never in view" in warning for warning in report.warnings)


def test_who_stands_still() -> None:
    body = load_body("open")
    state = truth(body, FRAMES, 0.0, moving=0.02)
    path = path_of(CameraMotion("moving", _carried_round(state, 2 * math.pi)[1]))
    around = replace(state, path=path, log_scale=torch.zeros(1, dtype=torch.float64))
    assert path is not None
    # The path turns about the person; bring its scale to metres.
    centres = (path.rotations.mT @ -path.translations[..., None]).squeeze(-1)
    scale = 2.6 / float((centres - centres.mean(0)).norm(dim=-1).mean())
    around = replace(around, log_scale=torch.tensor([math.log(scale)], dtype=torch.float64))
    assert holds_pose(replace(around, position=centres.mean(0).expand(FRAMES, 3) * scale))
    assert not holds_pose(state)
    walking = torch.linspace(0, 2, FRAMES, dtype=torch.float64)[:, None] * state.position.new_tensor([1.0, 0, 0])
    assert not holds_pose(replace(around, position=centres.mean(0) * scale + walking))
