"""The perceptual term of the training: only where its networks are installed, and never a judge of its own work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from avatar.body import load_body
from avatar.evaluation.scores import Scoring, independent_networks
from avatar.pipeline.settings import read_preset, settings_for
from avatar.training.config import LossWeights
from avatar.training.perceptual_loss import LEAST_SIDE, PerceptualLoss
from avatar.training.trainer import Trainer
from tests.metrics.small_vgg import install_small_vgg
from tests.training.test_trainer import Scene, scene, small  # noqa: F401  (the fixture)

CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache, in which nothing is installed yet."""
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_without_networks_training_goes_on_and_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    messages: list[str] = []
    monkeypatch.setattr("avatar.training.perceptual_loss.logger.info", messages.append)
    loss = PerceptualLoss(0.1, CPU)
    image = torch.rand(64, 64, 3)
    assert loss(image, image, torch.Generator()) is None
    assert len(messages) == 1 and "without the perceptual loss" in messages[0] and "avatar doctor" in messages[0]
    assert PerceptualLoss(0.0, CPU)(image, image, torch.Generator()) is None and len(messages) == 1


def test_patches_lie_all_over_the_image(cache: Path) -> None:
    install_small_vgg(cache)
    loss, rng = PerceptualLoss(0.1, CPU), torch.Generator().manual_seed(0)
    rendered, touched = torch.rand(400, 230, 3).requires_grad_(), torch.zeros(400, 230, dtype=torch.bool)
    for _ in range(40):
        rendered.grad = None
        term = loss(rendered, torch.zeros(400, 230, 3), rng)
        assert term is not None and float(term.detach()) > 0
        term.backward()
        assert rendered.grad is not None
        touched |= rendered.grad.abs().sum(-1) > 0
    assert touched.float().mean() > 0.95
    assert loss(torch.rand(LEAST_SIDE - 1, 90, 3), torch.zeros(LEAST_SIDE - 1, 90, 3), rng) is None


def test_it_trains_and_off_it_changes_nothing(cache: Path, scene: Scene) -> None:  # noqa: F811
    install_small_vgg(cache)

    def losses(weight: float) -> list[float]:
        config = small(gaussians=300, coarse=0.0, weights=LossWeights(perceptual=weight))
        trainer = Trainer(*scene, load_body("open"), config)
        return [float(trainer.step()) for _ in range(3)]

    off, on = losses(0.0), losses(0.5)
    cache.joinpath("perceptual.safetensors").unlink()
    assert off == losses(0.0) and on[0] > off[0]


def test_an_avatar_is_not_judged_by_the_network_that_trained_it() -> None:
    config = settings_for("a.mp4", "large").as_dict()
    assert read_preset("large")["train"]["weights"]["perceptual"] == config["train"]["weights"]["perceptual"] > 0
    usable, reasons = independent_networks(Scoring(), config)
    assert "vgg" not in usable.nets and not usable.dists and "trained by VGG" in str(reasons["vgg"])
    for other in (settings_for("a.mp4", "quality").as_dict(), {}):
        usable, reasons = independent_networks(Scoring(), other)
        assert usable.dists and "trained by VGG" not in str(reasons["vgg"])
