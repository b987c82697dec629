"""A run trained on one standing camera, judged by what a second one saw; the masks there were found before."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.body.skeleton import SMPL_JOINTS
from avatar.datasets.multicamera import read_stations
from avatar.errors import AvatarError, UsageError
from avatar.evaluation.evaluate import evaluate_run
from avatar.io.observations_file import save_observations
from avatar.rendering.camera_paths import front, orbit
from avatar.types import Observations

from .conftest import BOX, FPS, HEIGHT, WIDTH, _on_grey, _rendered, _truth, made_up_avatar, poses

NAMES = [
    f"{side}_{name}" for side in ("left", "right") for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of the cameras, and one where the second camera's masks were found already."""
    folder, out = tmp_path_factory.mktemp("stations"), tmp_path_factory.mktemp("out")
    avatar, count = made_up_avatar(), 6
    own, side = poses(avatar, count), orbit(*BOX, 4, WIDTH, HEIGHT, azimuth=50.0)[0]
    entries = {}
    for name, camera in (("a", front(*BOX, count, WIDTH, HEIGHT)[0]), ("b", side)):
        truth = _truth(avatar, own, camera)
        lens = {"distortion_k1k2p1p2": [0.0] * 4, "width": WIDTH, "height": HEIGHT}
        arrays = {"K": truth["K"], "R": truth["cam_R"][0], "t": truth["cam_t"][0]}
        entries[name] = lens | {key: value.tolist() for key, value in arrays.items()}
        (folder / f"{name}.mp4").touch()
    (folder / "cameras.json").write_text(json.dumps({"fps": FPS, "cameras": entries}))
    joints = truth["joints"][:, [SMPL_JOINTS.index(name) for name in NAMES]].copy()
    joints[2, 5] = np.nan  # not seen by two cameras
    np.savez(folder / "joints.npz", joints=joints, joint_names=np.array(NAMES))
    rendered = [_rendered(avatar, own[i], side) for i in (1, 3, 5)]
    nothing = torch.zeros(3, 33, 3)
    observations = Observations(
        images=[_on_grey(rgba) for rgba in rendered], masks=[rgba[..., 3] for rgba in rendered], keypoints=nothing,
        keypoints_3d=nothing, layout="blazepose33", instant=torch.arange(3), times=torch.tensor([1.0, 3.0, 50.0]) / FPS,
        width=WIDTH, height=HEIGHT,
    )  # fmt: skip
    save_observations(observations, out / "observed_b")
    return folder, out


def test_the_second_camera_sees_the_same_avatar(made_up: tuple[Path, Path], capture: tuple[Path, Path]) -> None:
    folder, out = capture
    content, text = evaluate_run(made_up[0], folder, clip="a", out=out)
    row = content["means"]["seen by b"]
    assert row["pictures"] == 2 and row["iou"] > 0.97 and row["psnr_box_white"] > 28
    assert "masks: estimated from each video, not ground truth" in text and "the run has no pose at that time" in text


def test_broken_folders_are_reported(made_up: tuple[Path, Path], capture: tuple[Path, Path], tmp_path: Path) -> None:
    copy = tmp_path / "capture"
    shutil.copytree(capture[0], copy)
    with pytest.raises(UsageError, match="--clip"):
        evaluate_run(made_up[0], copy, out=tmp_path)
    np.savez(copy / "joints.npz", joints=np.zeros((2, 3)))
    with pytest.raises(AvatarError, match="joint_names"):
        read_stations(copy)
    shutil.copy(capture[0] / "joints.npz", copy)
    (copy / "cameras.json").write_text(json.dumps({"fps": 30, "cameras": {"a": {"K": 1}}}))
    with pytest.raises(AvatarError, match="no camera file"):
        read_stations(copy)
    (copy / "a.mp4").unlink()
    with pytest.raises(UsageError, match=r"none of the videos a\.mp4"):
        read_stations(copy)
