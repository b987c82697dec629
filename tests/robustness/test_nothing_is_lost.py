"""Training gives the same bits each time, even across a kill; full disks and second writers lose nothing."""

import contextlib
import importlib.util
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from avatar.body import Body, load_body
from avatar.errors import AvatarError
from avatar.geometry import rotation_from_rotvec
from avatar.io.assets import asset_path
from avatar.model.avatar import Avatar
from avatar.pipeline.run_folder import RunFolder
from avatar.rendering.camera_paths import front
from avatar.training.config import TrainConfig
from avatar.training.result import TrainResult
from avatar.training.trainer import Trainer
from avatar.types import BodyPose, BodyTrack, Observations

ROOT = Path(__file__).parents[2]
FRAMES, STEPS = 6, 24
Scene = tuple[Observations, BodyTrack, Body]
CONFIG = TrainConfig(steps=STEPS, gaussians=400, max_gaussians=700, long_side=64, hold_out=3)


class Killed(BaseException):
    """Stands for a SIGKILL: nothing catches it, and nothing is saved on its way."""


class KillAt:
    """A preview that ends training at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def after_step(self, step: int, avatar: Avatar, loss: float, psnr: float | None) -> bool:
        if step == self.step:
            raise Killed
        return True


@pytest.fixture(scope="module")
def scene() -> Scene:
    body = load_body("open")
    rotvecs = torch.zeros(FRAMES, 24, 3)
    rotvecs[:, 0, 1] = torch.linspace(0, 3, FRAMES)
    poses = BodyPose(torch.tensor([0.0, 1, 0]).repeat(FRAMES, 1), rotation_from_rotvec(rotvecs))
    cameras = front(torch.tensor([-1.0, 0, -0.5]), torch.tensor([1.0, 1.9, 0.5]), FRAMES, 48, 64)
    track = BodyTrack(
        "open", torch.zeros(body.shape_dirs.shape[-1]), poses, torch.arange(FRAMES) / 10, torch.ones(FRAMES, 24),
        torch.arange(FRAMES), cameras,
    )  # fmt: skip
    rng = torch.Generator().manual_seed(0)
    mask = torch.zeros(64, 48, dtype=torch.uint8)
    mask[8:56, 16:32] = 255
    images = [torch.randint(0, 255, (64, 48, 3), generator=rng, dtype=torch.uint8).numpy() for _ in range(FRAMES)]
    observations = Observations(
        images=images, masks=[mask.numpy()] * FRAMES, keypoints=torch.zeros(FRAMES, 33, 3),
        keypoints_3d=torch.zeros(FRAMES, 33, 3), layout="blazepose33", instant=track.instant, times=track.times,
        width=48, height=64,
    )  # fmt: skip
    return observations, track, body


def trainer(scene: Scene, checkpoint: Path | None = None) -> Trainer:
    return Trainer(*scene, CONFIG, "cpu", "cpu", checkpoint=checkpoint)


@pytest.fixture(scope="module")
def undisturbed(scene: Scene) -> TrainResult:
    return trainer(scene).run()


def assert_same_bits(one: TrainResult, other: TrainResult) -> None:
    first, second = one.avatar.state_dict(), other.avatar.state_dict()
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name
    assert torch.equal(one.track.poses.rotations, other.track.poses.rotations)
    assert one.history == other.history


def test_same_input_same_bits(scene: Scene, undisturbed: TrainResult) -> None:
    assert_same_bits(undisturbed, trainer(scene).run())


@pytest.mark.parametrize("step", [7, 13, 22])
def test_killed_and_resumed_training_ends_in_the_same_bits(
    scene: Scene, undisturbed: TrainResult, tmp_path: Path, step: int
) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(Killed):
        trainer(scene, checkpoint).run(KillAt(step))
    assert checkpoint.is_file()
    resumed = trainer(scene, checkpoint)
    result = resumed.run(resume=True)
    assert_same_bits(undisturbed, result)


def test_a_file_limit_leaves_the_last_checkpoint_and_reports_it(scene: Scene, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    made = trainer(scene, checkpoint)
    made.save()
    good = checkpoint.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) // 2, before[1]))
    try:
        with pytest.raises(AvatarError, match=r"checkpoint before it stays.*--resume"):
            made.save()
        with pytest.raises(AvatarError, match="Cannot write"):
            made.state.avatar.save(tmp_path / "avatar.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert checkpoint.read_bytes() == good
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB of its own, in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if not made or made.returncode:
        pytest.skip(f"cannot mount a disk here: {made.stderr.strip() if made else 'there is no mount command'}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Write until there is no room left; returns the file to delete."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


def test_a_full_disk_leaves_the_last_checkpoint_and_reports_it(
    scene: Scene, undisturbed: TrainResult, small_disk: Path
) -> None:
    checkpoint = small_disk / "run" / "checkpoint.pt"
    made = trainer(scene, checkpoint)
    with pytest.raises(Killed):
        made.run(KillAt(13))
    good = checkpoint.read_bytes()
    filler = fill(small_disk)
    with pytest.raises(AvatarError, match=r"checkpoint before it stays.*--resume"):
        made.save()
    with pytest.raises(AvatarError, match="Cannot write"):
        made.state.avatar.save(checkpoint.with_name("avatar.safetensors"))
    assert checkpoint.read_bytes() == good
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint.pt"]
    filler.unlink()
    assert_same_bits(undisturbed, trainer(scene, checkpoint).run(resume=True))


def test_a_second_process_is_refused_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    hold = (
        "import sys, time, pathlib; from avatar.pipeline.run_folder import RunFolder, locked_run\n"
        f"with locked_run(RunFolder(pathlib.Path({str(tmp_path / 'run')!r})), False, False):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    first = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None and first.stdout.readline() == "held\n"
    try:
        second = subprocess.run([sys.executable, "-c", hold], capture_output=True, text=True, timeout=60)
        assert "Another process writes" in second.stderr.splitlines()[-1]
    finally:
        first.kill()
        first.wait()
        first.stdout.close()
    third = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
    assert third.stdout is not None and third.stdout.readline() == "held\n"
    third.kill()
    third.wait()
    third.stdout.close()


@pytest.fixture(scope="module")
def kill_script() -> ModuleType:
    path = ROOT / "scripts" / "kill_test.py"
    spec = importlib.util.spec_from_file_location("kill_test", path)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules["kill_test"] = script  # dataclasses look their module up
    spec.loader.exec_module(script)
    return script


@pytest.mark.slow
def test_a_run_killed_by_the_system_is_resumed(kill_script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        kill_script.main(times=2, folder=tmp_path)
    assert end.value.code == 0


@pytest.mark.slow
def test_create_on_a_disk_that_fills_is_resumed_once_there_is_room(
    kill_script: ModuleType, small_disk: Path, tmp_path: Path
) -> None:
    source = kill_script.small_source(asset_path("clips", "turn.mp4"), tmp_path)
    preset = source.with_suffix(".toml")
    preset.write_text(preset.read_text().replace("steps = 40", "steps = 400"))
    run = RunFolder(small_disk / "run")
    process = kill_script.create(source, run.folder)
    while not run.checkpoint.is_file() and process.poll() is None:
        time.sleep(0.01)
    filler = fill(small_disk)
    assert process.wait() == 1
    last_line = kill_script.said(source).read_text().splitlines()[-1]
    assert last_line.startswith("error: ") and "The checkpoint before it stays" in last_line and "--resume" in last_line
    kill_script.readable(run)
    filler.unlink()
    kill_script.finish(kill_script.create(source, run.folder, "--resume"), source)
    assert run.report.is_file() and not run.checkpoint.exists()
