"""Training on the pretended GPU, through the code that CUDA takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from avatar.body import Body, load_body
from avatar.io.files import write_npz
from avatar.observation.video import LONGEST_SIDE
from avatar.pipeline.settings import settings_for
from avatar.training.config import LossWeights
from avatar.training.trainer import Trainer
from avatar.training.view_alignment import LearnedViews
from tests.body.made_up_bodies import made_up_person
from tests.metrics.small_vgg import install_small_vgg
from tests.training.device_checks import CHECKS, some_frames, with_fingers
from tests.training.test_trainer import Scene, scene, small  # noqa: F401  (the fixture)

from .pretended_cuda import Record

pytestmark = pytest.mark.emulated

# Of one step, at most; each takes the host some microseconds.
GRAPHED_LAUNCHES, SINGLE_LAUNCHES = 160, 800


def check_a_step(gpu: Record, trainer: Trainer, launches: int) -> None:
    trainer.step()  # what is worked out once
    gpu.clear()
    trainer.step()
    assert gpu.waits.total() == 1, gpu.waits
    assert next(iter(gpu.waits)).startswith("gsplat's number of pairs")
    assert gpu.launches["index_put"] == 0, "an index by a tensor, whose gradient sorts"
    assert gpu.launches.total() <= launches, gpu.launches.most_common()


@pytest.fixture
def no_graphs(gpu: Record, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the program says on a machine where graphs cannot be captured."""
    messages: list[str] = []

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA error: operation failed due to a previous error during capture")

    monkeypatch.setattr("torch.cuda.make_graphed_callables", refuse)
    monkeypatch.setattr("avatar.training.posed_frame.logger.info", messages.append)
    return messages


STEPS = pytest.mark.parametrize("step", [0, 110], ids=["at the start", "with the deformation"])


@STEPS
def test_a_graphed_step_waits_once_and_launches_little(gpu: Record, scene: Scene, step: int) -> None:  # noqa: F811
    trainer = Trainer(*some_frames(scene, 4), load_body("open"), small(gaussians=300), "cuda")
    trainer.state.step = step
    check_a_step(gpu, trainer, GRAPHED_LAUNCHES)
    assert trainer.poser.captures == 1 and gpu.launches["graph"] == 2


@STEPS
def test_without_graphs_a_step_waits_once_and_sorts_nothing(
    gpu: Record,
    no_graphs: list[str],
    scene: Scene,  # noqa: F811
    step: int,
) -> None:
    trainer = Trainer(*some_frames(scene, 4), load_body("open"), small(gaussians=300), "cuda")
    trainer.state.step = step
    check_a_step(gpu, trainer, SINGLE_LAUNCHES)
    assert len(no_graphs) == 1 and "without CUDA graphs" in no_graphs[0] and trainer.poser.captures == 0


def test_a_graph_is_captured_anew_when_the_gaussians_change(gpu: Record, scene: Scene) -> None:  # noqa: F811
    config = small(gaussians=300, max_gaussians=400, deform_start=0.5)
    trainer = Trainer(*some_frames(scene, 4), load_body("open"), config, "cuda")
    for _ in range(2):
        trainer.step()
    assert trainer.poser.captures == 1
    trainer._densify()
    trainer.step()
    assert len(trainer.state.avatar) > 300 and trainer.poser.captures == 2
    trainer.state.step = 60
    trainer.step()
    trainer.step()
    assert trainer.poser.captures == 3


def test_a_step_with_a_body_of_55_joints_waits_once(gpu: Record, scene: Scene, tmp_path: Path) -> None:  # noqa: F811
    observations, track = some_frames(scene, 4)
    body = made_up_body(tmp_path)
    poses = body.complete(track.poses)
    track = replace(track, body=body.name, betas=torch.zeros(body.shape_dirs.shape[-1]), poses=track.poses)
    assert poses.rotations.shape[-3] == 55
    check_a_step(gpu, Trainer(observations, track, body, small(gaussians=300), "cuda"), GRAPHED_LAUNCHES)


@STEPS
def test_a_step_with_fingers_waits_once(gpu: Record, scene: Scene, step: int) -> None:  # noqa: F811
    trainer = Trainer(*with_fingers(some_frames(scene, 4)), load_body("open"), small(gaussians=300), "cuda")
    trainer.state.step = step
    assert trainer.state.poses.delta_hands is not None
    check_a_step(gpu, trainer, GRAPHED_LAUNCHES)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_is_checked_on_a_real_gpu(gpu: Record, check: Callable[[Scene], None], scene: Scene) -> None:  # noqa: F811
    check(scene)


@pytest.fixture
def perceptual_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small network where the program looks for those of LPIPS."""
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path))
    install_small_vgg(tmp_path)


def test_a_step_with_the_perceptual_loss_waits_once(
    gpu: Record,
    scene: Scene,  # noqa: F811
    perceptual_networks: None,
) -> None:
    config = small(gaussians=300, coarse=0.0, weights=LossWeights(perceptual=0.1))
    trainer = Trainer(*some_frames(scene, 4), load_body("open"), config, "cuda")
    assert all(array.is_cuda for array in trainer.perceptual.networks.values())
    check_a_step(gpu, trainer, SINGLE_LAUNCHES)


def test_the_preset_for_a_gpu_trains(
    gpu: Record,
    scene: Scene,  # noqa: F811
    perceptual_networks: None,
) -> None:
    """With all its settings but for the numbers that take time."""
    large = settings_for("clip", "large").train
    assert large.max_gaussians == 200_000 and large.long_side == LONGEST_SIDE and large.weights.perceptual > 0
    config = replace(large, steps=10, gaussians=300, max_gaussians=400)
    trainer = Trainer(*some_frames(scene, 4), load_body("open"), config, "cuda")
    assert trainer.perceptual.weight == large.weights.perceptual
    for step in (0, 9):
        trainer.state.step = step
        assert torch.isfinite(trainer.step())


def test_a_whole_training_and_its_checkpoint(gpu: Record, scene: Scene, tmp_path: Path) -> None:  # noqa: F811
    """Colours, densification, registration, resampling, measurements, visibility, inpainting; then once more."""
    file = tmp_path / "checkpoint.pt"
    config = small(steps=20, gaussians=300, max_gaussians=400, registrations=1, deform_start=0.5, refine_start=0.2)

    def trainer() -> Trainer:
        return Trainer(*some_frames(scene, 6), load_body("open"), config, "cuda", checkpoint=file)

    first = trainer()
    result = first.run()
    assert result.avatar.device.type == "cuda" and len(result.avatar) > 300
    assert len(result.history) == 8 and result.track.poses.rotations.device.type == "cpu"
    again = trainer()
    again.run(resume=True)
    assert again.state.step == 20 and again.state.history[:5] == first.state.history[:5]


def test_generated_views_are_aligned(gpu: Record, scene: Scene) -> None:  # noqa: F811
    observations, track = some_frames(scene, 3)
    alignment = LearnedViews(torch.tensor([0.0, 0.9, 0.0]), torch.tensor([True, False, False])).to("cuda")
    config = small(gaussians=300, hold_out=0, deform="none", light=False, refine_poses=False)
    trainer = Trainer(observations, track, load_body("open"), config, "cuda", alignment=alignment)
    for step in (0, 18, 21):  # silhouettes, views, Gaussians
        trainer.state.step = step
        assert torch.isfinite(trainer.step())
    assert track.cameras is not None
    moved = alignment.aligned(track.cameras).T_camera_world - track.cameras.T_camera_world
    assert moved[1:].abs().max() > 1e-4 > moved[0].abs().max()


def made_up_body(folder: Path) -> Body:
    """A body of the SMPL-X family, read from its file."""
    path = folder / "SMPLX_NEUTRAL.npz"
    write_npz(path, **made_up_person("smplx"))
    return load_body(str(path))
