"""Bodies that users bring through the whole program: `pytest -m slow tests/body/test_bodies_end_to_end.py`."""

from pathlib import Path

import pytest

from avatar.cli.main import main
from avatar.io.assets import asset_path
from avatar.io.files import write_json, write_npz
from avatar.io.images import read_image
from avatar.io.track_file import load_track
from avatar.io.videos import open_video
from avatar.observation.options import ObserveOptions
from avatar.observation.video import observe
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.settings import Settings
from avatar.training.config import TrainConfig
from avatar.viewer.app import Viewer
from avatar.viewer.session import open_session

from .made_up_bodies import JOINTS, made_up_person

pytestmark = pytest.mark.slow


def avatar_command(*arguments: object) -> None:
    main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was seen in the sample clip, found once for all bodies."""
    folder = tmp_path_factory.mktemp("seen") / "observations"
    observe(asset_path("clips", "turn.mp4"), folder, max_frames=6)
    return folder


@pytest.mark.parametrize("kind", JOINTS)
def test_a_body_file_through_everything(
    observed: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, body, run = asset_path("clips", "turn.mp4"), tmp_path / f"{kind}.npz", RunFolder(tmp_path / "run")
    write_npz(body, **made_up_person(kind))
    run.folder.mkdir()
    run.observations.symlink_to(observed)
    train = TrainConfig(steps=30, gaussians=1000, max_gaussians=1500, long_side=192)
    write_json(
        run.config, Settings(str(source), body=str(body), train=train, observe=ObserveOptions(max_frames=6)).as_dict()
    )
    avatar_command("create", source, "--out", run.folder, "--resume")
    track = load_track(run.track)
    assert track.poses.rotations.shape[1] == len(JOINTS[kind]) and (run.folder / "report.json").is_file()

    avatar_command(
        "animate", run.folder, "--motion", "wave", "--out", tmp_path / "motion.mp4", "--size", "64x96", "--fps", "4"
    )
    assert open_video(tmp_path / "motion.mp4").height == 96
    avatar_command(
        "animate", run.folder, "--pose", "left arm raised", "--out", tmp_path / "one.png", "--size", "96x160"
    )
    assert (read_image(tmp_path / "one.png") < 250).any()
    outs = [tmp_path / f"me.{suffix}" for suffix in ("ply", "glb", "html", "bvh")]
    avatar_command(
        "export", run.folder, "--ply", outs[0], "--glb", outs[1], "--html", outs[2], "--motion-file", outs[3]
    )
    assert all(out.stat().st_size > 5_000 for out in outs)
    with pytest.raises(SystemExit) as end:
        avatar_command("export", run.folder, "--ply", tmp_path / "b.ply", "--shape", "weight=0.4")
    assert end.value.code == 2 and "has no words" in capsys.readouterr().err

    subject = open_session(run.folder)
    viewer = Viewer(subject, port=18731)
    viewer.start()
    try:
        state = viewer.store.state
        betas = (state.betas[0] + 1.0, *state.betas[1:])
        before = subject.avatar.rest.vertices.clone()
        subject.reshape(betas)
        assert not subject.avatar.rest.vertices.allclose(before)
    finally:
        viewer.stop()
