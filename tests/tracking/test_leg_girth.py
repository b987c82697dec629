"""Legs that fill their trousers."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from avatar.body import Body
from avatar.tracking.kinematics import State
from avatar.tracking.leg_girth import fit_leg_girth
from avatar.tracking.problem import FitProblem, build_problem
from avatar.tracking.silhouette import SilhouetteMatcher, filled_mesh, posed_vertices

from .synthetic import FOCAL, HEIGHT, WIDTH, Stack, observed, truth

TROUSERS = slice(int(0.55 * HEIGHT), int(0.78 * HEIGHT))


def _mask(body: Body, state: State, index: int) -> np.ndarray:
    mesh = posed_vertices(body, state)[index]
    pixels = FOCAL * mesh[:, :2] / mesh[:, 2:] + np.array([WIDTH / 2, HEIGHT / 2])
    return filled_mesh(pixels, body.faces.numpy(), (WIDTH, HEIGHT))


def _in_trousers(body: Body, cloth: int) -> tuple[State, FitProblem, SilhouetteMatcher, list[np.ndarray]]:
    """The truth, and what is made of masks in which `cloth` pixels of cloth hang round the legs."""
    true = truth(body, 8, 1.5)
    observations = observed(body, true, 0.0)
    masks = np.stack([observations.masks[index] for index in range(len(true))])
    for mask in masks:
        mask[TROUSERS] = cv2.dilate(mask, np.ones((1, 2 * cloth + 1), np.uint8))[TROUSERS]
    clip = build_problem(replace(observations, masks=Stack(masks)), body, FOCAL, 1.7)
    return true, clip, SilhouetteMatcher(body, Stack(masks), WIDTH, HEIGHT, float(clip.person_height[0])), list(masks)


def test_legs_fill_their_trousers_and_the_pose_stays(body: Body) -> None:
    true, clip, matcher, masks = _in_trousers(body, 2)
    filled = fit_leg_girth(clip, matcher, true)
    assert torch.equal(filled.position, true.position) and torch.equal(filled.rotations, true.rotations)
    moved = body.rest(filled.betas.float()).joints - body.rest(true.betas.float()).joints
    assert (moved - moved[:1]).norm(dim=-1).max() < 0.004

    def outside(state: State) -> float:
        """Cloth that the legs leave empty, as a part of the legs."""
        legs = [(mask[TROUSERS] > 127, _mask(body, state, index)[TROUSERS] > 127) for index, mask in enumerate(masks)]
        return float(np.mean([(cloth & ~leg).sum() / cloth.sum() for cloth, leg in legs]))

    assert outside(filled) < 0.75 * outside(true)


def test_bare_legs_stay_as_they_are(body: Body) -> None:
    true, clip, matcher, _ = _in_trousers(body, 0)
    filled = fit_leg_girth(clip, matcher, true)
    moved = body.rest(filled.betas.float()).vertices - body.rest(true.betas.float()).vertices
    assert (moved - moved.mean(0)).norm(dim=-1).mean() < 0.002


def test_a_given_height_is_kept(body: Body) -> None:
    true, clip, matcher, _ = _in_trousers(body, 2)
    tall = float(
        body.rest(true.betas.float()).vertices[:, 1].max() - body.rest(true.betas.float()).vertices[:, 1].min()
    )
    constrained = replace(clip, height=clip.stature[0] + float(clip.stature[1] @ true.betas))
    vertices = body.rest(fit_leg_girth(constrained, matcher, true).betas.float()).vertices
    assert float(vertices[:, 1].max() - vertices[:, 1].min()) == pytest.approx(tall, abs=0.006)
