"""Optical flow against images of a textured body whose movement is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from avatar.body import Body
from avatar.geometry import quat_from_rotation, vertex_normals
from avatar.model.gaussians import triangle_frames
from avatar.rendering.renderer import render
from avatar.tracking.fit import track
from avatar.tracking.kinematics import State, pose_chain
from avatar.tracking.objective import SCHEDULE, residual_terms
from avatar.tracking.optical_flow import Flow, FlowSampler, farthest_vertices
from avatar.tracking.options import TrackOptions
from avatar.tracking.problem import build_problem
from avatar.tracking.silhouette import posed_vertices
from avatar.types import Cameras, Gaussians, Observations

from .synthetic import FOCAL, HEIGHT, WIDTH, Stack, observed, truth
from .test_fit import LIMBS, aligned_error, joints_of


@pytest.fixture(scope="module")
def clip(body: Body) -> tuple[State, Observations]:
    """Eight frames of somebody in patterned clothes who turns a little."""
    true = truth(body, 8, 0.4)
    return true, replace(observed(body, true, 3.0), images=Stack(images_of(body, true)))


def images_of(body: Body, state: State) -> np.ndarray:
    """The body in a pattern of waves, 8 cm long at rest, before a grey wall."""
    pattern = 0.5 + 0.4 * torch.sin(body.template[body.faces].mean(1) * 2 * torch.pi / 0.08)
    camera = Cameras(
        torch.tensor([[[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]]]), torch.eye(4)[None], WIDTH, HEIGHT
    )
    images = []
    for mesh in posed_vertices(body, state):
        frames = triangle_frames(torch.from_numpy(mesh), body.faces)
        scales = frames.area.sqrt()[:, None] * torch.tensor([0.6, 0.6, 0.15])
        count = len(scales)
        splats = Gaussians(
            frames.vertices.mean(1),
            quat_from_rotation(frames.rotation),
            scales.clamp_min(1e-4),
            torch.full((count,), 0.95),
            pattern,
        )
        image = render(splats, camera, "cpu").composite((0.4, 0.4, 0.4))[0]
        images.append((image.clamp(0, 1) * 255).byte().numpy())
    return np.stack(images)


def test_measures_how_the_surface_moves(body: Body, clip: tuple[State, Observations]) -> None:
    true, observations = clip
    flow = FlowSampler(body, observations, 220.0).sample(true)
    pixels = [FOCAL * mesh[:, :2] / mesh[:, 2:] for mesh in posed_vertices(body, true)]
    expected = torch.from_numpy(np.stack(pixels))[:, flow.vertices].diff(dim=0)
    measured = flow.weight > 0
    assert measured.float().mean() > 0.25
    error = (flow.displacement - expected).norm(dim=-1)[measured]
    assert expected.norm(dim=-1)[measured].mean() > 1.0
    assert error.median() < 0.25


def test_says_nothing_of_what_has_no_texture_or_cannot_be_seen(body: Body, clip: tuple[State, Observations]) -> None:
    true, observations = clip
    plain = replace(observations, images=Stack(np.full((len(observations), HEIGHT, WIDTH, 3), 90, np.uint8)))
    assert FlowSampler(body, plain, 220.0).sample(true).weight.sum() == 0
    flow = FlowSampler(body, observations, 220.0).sample(true)
    turned_away = vertex_normals(body.template, body.faces)[flow.vertices, 2] < -0.7
    assert turned_away.sum() > 5
    assert flow.weight[:, turned_away].sum() == 0


def test_says_nothing_of_what_stands_before_the_person(body: Body, clip: tuple[State, Observations]) -> None:
    true, observations = clip
    top, first = HEIGHT // 2, 4  # of a table, in rows, and of the frames that show it
    masks = np.stack([observations.masks[index] for index in range(len(observations))])
    masks[first:, top:] = 0
    rows = np.stack([FOCAL * mesh[:, 1] / mesh[:, 2] + HEIGHT / 2 for mesh in posed_vertices(body, true)])
    sampler = FlowSampler(body, replace(observations, masks=Stack(masks)), 220.0)
    below = torch.from_numpy(rows[:-1][:, sampler.vertices] > top + 5)
    weight = torch.where(below, sampler.sample(true).weight, 0.0)
    assert weight[first - 1 :].sum() == 0
    assert weight[: first - 1].sum() > 10


@pytest.mark.parametrize("turns", [False, True])
def test_a_steady_bias_is_no_matter_for_who_turns(body: Body, clip: tuple[State, Observations], turns: bool) -> None:
    true, observations = clip
    problem = replace(build_problem(observations, body, FOCAL, 1.7), pitch=(0.1, 0.005) if turns else None)
    flow = FlowSampler(body, observations, 220.0).sample(true)
    biased = replace(flow, displacement=flow.displacement + 2.0)

    def cost(flow: Flow) -> float:
        terms = residual_terms(problem, SCHEDULE[-1], None, flow, true)
        return float(next(term for term in terms if term.name == "flow").costs.sum())

    assert cost(flow) > 0
    assert (cost(biased) == pytest.approx(cost(flow))) == turns


def test_steadies_the_fit_of_jittering_landmarks(body: Body, clip: tuple[State, Observations]) -> None:
    true, observations = clip
    plain = replace(observations, images=Stack(np.full((len(observations), HEIGHT, WIDTH, 3), 90, np.uint8)))
    expected = pose_chain(body, true).position[:, LIMBS].float()
    errors, jitters = [], []
    for variant in (observations, plain):
        result, _ = track(variant, body, TrackOptions(focal=FOCAL))
        estimate = joints_of(body, result)[:, LIMBS]
        errors.append(aligned_error(estimate, expected))
        jitters.append(float((estimate.diff(n=2, dim=0)).norm(dim=-1).mean()))
    assert jitters[0] < jitters[1]
    assert errors[0] < 1.05 * errors[1]


def test_points_are_spread_over_the_whole_body(body: Body) -> None:
    chosen = farthest_vertices(body, 60)
    places = body.template[chosen]
    assert len(set(chosen.tolist())) == 60
    distance = torch.cdist(places, places) + torch.eye(60)
    assert distance.min() > 0.05
