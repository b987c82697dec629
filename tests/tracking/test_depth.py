"""Measured depth in the fit, against made-up clips whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from avatar.body import Body
from avatar.body.skinning import joint_transforms
from avatar.geometry import invert_rigid, rigid, rotation_from_rotvec, transform
from avatar.pipeline.camera import recorded_motion
from avatar.tracking.depth import POINTS, DepthSampler, person_depth
from avatar.tracking.fit import track
from avatar.tracking.kinematics import State, pose_chain
from avatar.tracking.report import MEASURED_SPREAD, TrackReport, is_height_measured, shape_in_words
from avatar.tracking.residuals import up_of
from avatar.tracking.silhouette import LOOSE, posed_vertices
from avatar.types import BodyTrack, Cameras, ImageList, Observations

from .synthetic import FOCAL, HEIGHT, WIDTH, observed, truth

FRAMES = 7
REDUCED = 3  # depth images are this much smaller
WALL = 4.0  # metres
LIMBS = [1, 2, 4, 5, 7, 8, 16, 17, 18, 19, 20, 21]


@pytest.fixture(scope="module")
def true(body: Body) -> State:
    """A tall person who turns a little, so that one camera cannot tell how tall, how far and how bent."""
    state = truth(body, FRAMES, 0.8)
    return replace(state, betas=torch.cat([state.betas.new_tensor([1.2]), state.betas[1:]]))


def depth_images(body: Body, state: State) -> ImageList:
    """What a depth camera sees: the nearest point of each pixel, with a centimetre of noise, before a wall."""
    rng = np.random.default_rng(0)
    size = WIDTH // REDUCED, math.ceil(HEIGHT / REDUCED)
    images = []
    for mesh in posed_vertices(body, state):
        points = np.concatenate([mesh, mesh[body.faces.numpy()].mean(1)])
        pixels = (FOCAL * points[:, :2] / points[:, 2:] + [WIDTH / 2, HEIGHT / 2]) / [WIDTH, HEIGHT] * size
        x, y = pixels.astype(int).clip(0, np.array(size) - 1).T
        image = np.full(size[::-1], WALL)
        np.minimum.at(image, (y, x), points[:, 2])
        images.append((image + 0.01 * rng.standard_normal(image.shape)).astype(np.float32))
    return ImageList.of(images)


def cameras(state: State) -> Cameras:
    """The standing camera of the clip, in a world whose y axis points up."""
    up = up_of(state.camera)
    right = torch.linalg.cross(up, up.new_tensor([0.0, 0, -1]))
    R = torch.stack([right / right.norm(), up, torch.linalg.cross(right / right.norm(), up)], 1)
    K = torch.tensor([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    T = rigid(R, torch.zeros(3, dtype=R.dtype)).float()
    return Cameras(K.repeat(FRAMES, 1, 1), T.repeat(FRAMES, 1, 1), WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def recorded(body: Body, true: State) -> Observations:
    return replace(observed(body, true, 0.5), depth=depth_images(body, true), cameras=cameras(true))


def absolute_error(body: Body, result: BodyTrack, true: State) -> float:
    """Mean distance in metres of the limbs' joints in the camera's frame, without any alignment."""
    joints = joint_transforms(body.rest(result.betas).joints, body.parents, result.poses)[..., :3, 3]
    assert result.cameras is not None
    placed = transform(result.cameras.T_camera_world, joints)
    return float((placed - pose_chain(body, true).position.float())[:, LIMBS].norm(dim=-1).mean())


def height_of(body: Body, betas: torch.Tensor) -> float:
    y = body.rest(betas.float()).vertices[:, 1]
    return float(y.max() - y.min())


def fitted(body: Body, observations: Observations) -> tuple[BodyTrack, TrackReport]:
    assert observations.cameras is not None
    return track(observations, body, motion=recorded_motion(observations.cameras))


def test_size_and_place_are_measured(body: Body, true: State, recorded: Observations) -> None:
    """Also where the depth of some frames is missing."""
    some = recorded.depth
    assert some is not None
    holes = ImageList(FRAMES, lambda index: some[index] if index % 3 else np.zeros((1, 1), np.float32))
    result, report = fitted(body, replace(recorded, depth=holes))
    assert absolute_error(body, result, true) < 0.04
    assert height_of(body, result.betas) == pytest.approx(height_of(body, true.betas), rel=0.02)
    assert not any("height" in warning or "depth images" in warning for warning in report.warnings)
    assert is_height_measured(recorded, report.warnings)
    assert shape_in_words(result.betas, {}, False, True)["height"][1] == MEASURED_SPREAD
    assert shape_in_words(result.betas, {}, True, True)["height"][1] < MEASURED_SPREAD


def test_depth_of_something_else_is_not_used(body: Body, true: State, recorded: Observations) -> None:
    some = recorded.depth
    assert some is not None
    wrong = ImageList(FRAMES, lambda index: some[index] / 3)
    result, report = fitted(body, replace(recorded, depth=wrong))
    assert any("depth images do not fit" in warning for warning in report.warnings)
    assert not is_height_measured(recorded, report.warnings)
    assert height_of(body, result.betas) == pytest.approx(1.70, abs=0.01)
    assert absolute_error(body, result, true) > 0.1  # what measured depth spares


def test_clothes_lie_before_the_body(body: Body, true: State, recorded: Observations) -> None:
    """A body behind the measured surface is pulled less than one before it, where it is clothed."""
    sampler = DepthSampler(body, recorded, 250.0)

    def weights(shift: float) -> torch.Tensor:
        moved = replace(true, position=true.position + true.position.new_tensor([0, 0, shift]))
        return sampler.read(moved).weight

    behind, before = weights(0.05), weights(-0.05)
    assert {round(float(value), 3) for value in behind.unique()} <= {0.0, LOOSE, 1.0}
    assert (behind == LOOSE).sum() > (behind == 1).sum()
    assert float(before.max()) == 1 and float((before > 0).double().mean()) > 0.2
    assert before.shape == (FRAMES, POINTS)
    assert sampler.size_factor(true) == pytest.approx(1.0, abs=0.005)


def test_pixels_between_two_surfaces_are_left_out() -> None:
    depth = np.full((20, 20), WALL, np.float32)
    depth[5:15, 5:15] = 2.0
    depth[5, 5:15] = 3.0  # a flying pixel lies between the person and the wall
    mask = np.zeros((200, 200), np.uint8)
    mask[50:150, 50:150] = 255
    assert (person_depth(depth, mask) > 0).sum() == 7 * 8  # rows 7 to 13, columns 6 to 13
    assert set(np.unique(person_depth(depth, mask))) == {0.0, 2.0}


def carried(body: Body, state: State) -> Observations:
    """The same person before a phone that is carried past them and swings, as its app records it."""
    phase = torch.linspace(-1, 1, FRAMES, dtype=torch.float64)
    zero = torch.zeros_like(phase)
    R = rotation_from_rotvec(torch.stack([0.03 * phase.sin(), 0.3 * phase, 0.02 * phase.cos()], 1))
    place = torch.stack([0.7 * phase, 0.05 * (5 * phase).sin(), zero], 1)  # of the phone before the standing camera
    t = -(R @ place[..., None]).squeeze(-1)
    rotations = state.rotations.clone()
    rotations[:, 0] = R @ rotations[:, 0]
    moved = replace(state, position=(R @ state.position[..., None]).squeeze(-1) + t, rotations=rotations)
    standing = cameras(state)
    T = rigid(R, t) @ standing.T_camera_world.double()
    path = Cameras(standing.K, T.float(), WIDTH, HEIGHT)
    return replace(observed(body, moved, 0.5), depth=depth_images(body, moved), cameras=path)


def test_the_path_of_a_phone_keeps_its_metres(body: Body, true: State) -> None:
    recording = carried(body, true)
    assert recording.cameras is not None
    motion = recorded_motion(recording.cameras)
    assert motion.regime == "moving" and motion.metric
    result, _ = fitted(body, recording)
    assert result.cameras is not None
    assert height_of(body, result.betas) == pytest.approx(height_of(body, true.betas), rel=0.02)
    # In the world of the recording, which the fitted one is moved to by its first camera.
    T = invert_rigid(recording.cameras.T_camera_world[:1]) @ result.cameras.T_camera_world[:1]
    T = T.expand(FRAMES, 4, 4)
    joints = joint_transforms(body.rest(result.betas).joints, body.parents, result.poses)[..., :3, 3]
    expected = transform(invert_rigid(cameras(true).T_camera_world), pose_chain(body, true).position.float())
    assert float((transform(T, joints) - expected)[:, LIMBS].norm(dim=-1).mean()) < 0.05
    centres = [invert_rigid(one.T_camera_world)[:, :3, 3] for one in (recording.cameras, result.cameras)]
    length, estimated = ((one[-1] - one[0]).norm() for one in centres)
    assert float(estimated) == pytest.approx(float(length), rel=0.02)
