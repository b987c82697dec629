"""Lids that hang before open eyes are raised."""

from __future__ import annotations

from dataclasses import replace

import torch

from avatar.body import load_body
from avatar.training.eyelids import add_eyelids
from avatar.training.lid_height import HEIGHTS, raise_lids
from avatar.training.trainer import Trainer
from tests.training.test_face_in_training import CONFIG, speaking


def test_lids_that_hang_low_are_raised_and_stay_lids() -> None:
    track, observations = speaking()
    trainer = Trainer(observations, track, load_body("open"), replace(CONFIG, steps=30, close_ups=0.0))
    avatar = trainer.run().avatar
    before = len(avatar)
    lids = add_eyelids(avatar, seed=0)
    assert lids and sum(map(len, lids)) == len(avatar) - before
    with torch.no_grad():
        avatar.gaussians.raw_colors[torch.cat(lids)] = 8.0  # white, which the person is nowhere
    at_rest = avatar.rest_means().detach().clone()
    raise_lids(avatar, lids, trainer._sharp_views(), "auto")
    moved = avatar.rest_means().detach() - at_rest
    for lid in lids:
        up = moved[lid]
        assert float(up[:, [0, 2]].abs().max()) < 1e-5 and float(up[:, 1].max() - up[:, 1].min()) < 1e-5
        assert 0.002 < float(up[:, 1].mean()) <= HEIGHTS[-1] + 1e-5
    moved[torch.cat(lids)] = 0
    assert float(moved.abs().max()) == 0


def test_without_lids_nothing_happens() -> None:
    track, observations = speaking()
    trainer = Trainer(observations, track, load_body("open"), CONFIG)
    raise_lids(trainer.state.avatar, [], trainer._sharp_views(), "auto")
