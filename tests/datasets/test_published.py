"""Datasets in their own layouts, whose true answer is known: the run holds the very avatar that they show."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.cli.main import main
from avatar.datasets.neuman import hugs_split
from avatar.datasets.peoplesnapshot import read_peoplesnapshot
from avatar.datasets.posed import prepared
from avatar.datasets.protocols import PROTOCOLS, ProtocolName
from avatar.errors import AvatarError, UsageError
from avatar.evaluation.benchmarks import evaluate_dataset, targets_of
from avatar.evaluation.pose_fitting import fit_pose
from avatar.evaluation.scores import Scoring, score_targets
from avatar.evaluation.targets import EvaluationTarget
from avatar.pipeline.dataset import dataset_training_data
from avatar.pipeline.finished_run import FinishedRun, open_run
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.training_data import load_training_data, save_training_data

from .made_up_datasets import BETAS, Folders, smpl_like_file


def scores_of(target: EvaluationTarget, opened: FinishedRun, background: str) -> dict[str, float]:
    """Scores of one target by no network."""
    ((scored,), _) = next(score_targets([target], opened, "auto", Scoring((), (background,))))
    return scored.scores


COUNTS = {
    "instantavatar": (114, 55), "gauhuman": (100, 17 * 5), "humannerf": (61, 3 * 3), "hugs": (16, 2),
    "xhumans": (4, 1), "4ddress": (4, 4), "actorshq": (6, 2),
}  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_avatar_that_a_dataset_shows_is_where_its_cameras_see_it(made_up: Folders, protocol: ProtocolName) -> None:
    dataset, run = made_up(protocol)
    divided = PROTOCOLS[protocol].read(dataset)
    assert (len(divided.train), len(divided.test)) == COUNTS.get(protocol, (15, 5))
    assert not {(s.frame, s.name) for s in divided.train} & {(s.frame, s.name) for s in divided.test}
    opened = open_run(run)
    targets = targets_of(opened, divided)
    for target in (targets[0], targets[-1]):
        scores = scores_of(target, opened, PROTOCOLS[protocol].background)
        assert scores["iou"] > 0.83, scores  # images are small and masks hard
        assert scores[f"psnr_{PROTOCOLS[protocol].background}"] > 20
    assert opened.track.poses.rotations[:, 0, 1, 1].mean() > 0.9  # people stand upright in our world


def test_the_table_says_the_rules_and_whether_poses_were_fitted(made_up: Folders, tmp_path: Path) -> None:
    dataset, run = made_up("hugs")
    content, text = evaluate_dataset(run, dataset, "hugs", out=tmp_path)
    assert (
        "protocol: hugs; test poses: not fitted" in text and "every fifth frame" in text and "background: white" in text
    )
    assert content["means"]["new poses"]["pictures"] == 2
    assert not any("black" in name or "vgg" in name for name in content["means"]["new poses"])
    _, fitted = evaluate_dataset(run, dataset, "hugs", fit_test_poses=True, out=tmp_path)
    assert "protocol: hugs; test poses: fitted" in fitted


def test_fitting_mends_a_test_pose_and_nothing_else(made_up: Folders) -> None:
    from dataclasses import replace

    from avatar.types import BodyPose

    dataset, run = made_up("hugs")
    opened = open_run(run)
    target = targets_of(opened, PROTOCOLS["hugs"].read(dataset))[0]
    before = {name: value.clone() for name, value in opened.avatar.state_dict().items()}
    moved = replace(target, pose=BodyPose(target.pose.root_position + 0.03, target.pose.rotations))
    fitted = fit_pose(opened, moved, "auto", steps=40)
    wrong, mended = (scores_of(one, opened, "white")["psnr_white"] for one in (moved, fitted))
    assert mended > wrong + 2
    assert torch.equal(fitted.camera.T_camera_world, target.camera.T_camera_world)
    assert all(torch.equal(before[name], value) for name, value in opened.avatar.state_dict().items())


def test_training_data_are_those_of_the_protocol(made_up: Folders, tmp_path: Path) -> None:
    dataset, _ = made_up("hugs")
    body, run = load_body(str(smpl_like_file(tmp_path))), RunFolder(tmp_path / "run")
    data = dataset_training_data(dataset, "hugs", body)
    split = PROTOCOLS["hugs"].read(dataset)
    assert len(data.observations) == len(data.track) == 16 and data.track.body == body.name
    assert np.array_equal(data.observations.images[3], split.train[3].read()[0])
    assert float(data.observations.times[2]) == pytest.approx(split.train[2].frame / 30)
    save_training_data(run, data)
    stored = load_training_data(run)
    assert np.array_equal(stored.observations.images[3], data.observations.images[3])
    assert torch.equal(stored.track.poses.rotations, data.track.poses.rotations)


def test_create_refuses_what_a_protocol_decides(
    made_up: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, _ = made_up("hugs")
    for words, sentence in ((["--protocol", "hugs", "--focal", "900"], "leave out --focal"), ([], "is a folder")):
        with pytest.raises(SystemExit) as exit:
            main(["create", str(dataset), "--out", str(tmp_path / "run"), *words])
        assert exit.value.code == 2 and sentence in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_dataset_is_trained_on_with_its_own_poses_and_evaluated(
    made_up: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, _ = made_up("hugs")
    body, run = smpl_like_file(tmp_path), tmp_path / "run"
    words = ["create", str(dataset), "--protocol", "hugs", "--out", str(run), "--preset", "fast", "--steps", "4"]
    with pytest.raises(SystemExit) as exit:
        main(words)
    assert exit.value.code == 2 and "--body" in capsys.readouterr().err
    main([*words, "--body", str(body)])
    assert len(open_run(run).track) == 16
    main(["evaluate", str(run), "--dataset", str(dataset), "--protocol", "hugs"])
    assert "test poses: not fitted" in capsys.readouterr().out
    for wrong, sentence in (("exavatar", "was not trained by the protocol exavatar"), (None, "go together")):
        with pytest.raises(SystemExit) as exit:
            main(["evaluate", str(run), "--dataset", str(dataset), *(["--protocol", wrong] if wrong else [])])
        assert exit.value.code == 2 and sentence in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("protocol", "removed", "named"),
    [
        ("instantavatar", ["masks.hdf5", "camera.pkl"], ["masks.hdf5", "camera.pkl"]),
        ("gauhuman", ["images/04/000005.jpg", "mask/03/000030.png", "smpl_params/10.npy"],
         ["images/04/000005.jpg", "mask/03/000030.png", "smpl_params/10.npy"]),
        ("humannerf", ["Camera_B2/000030.jpg", "mask_cihp/Camera_B1/000007.png"],
         ["Camera_B2/000030.jpg", "mask/Camera_B1/000007.png"]),
        ("hugs", ["images/00003.png"], ["images/00003.png"]),
        ("hugs", ["sparse/images.txt"], ["sparse/images.txt"]),
        ("exavatar", ["test_split.txt"], ["test_split.txt"]),
        ("xhumans", ["train/Take1/render/image/color_000006.png"], ["train/Take1/render/image/color_000006.png"]),
        ("xhumans", ["gender.txt"], ["gender.txt"]),
        ("4ddress", ["Take1/SMPLX/mesh-f00011_smplx.pkl"], ["Take1/SMPLX/mesh-f00011_smplx.pkl"]),
        ("4ddress", ["Take2/Capture/0028/masks/mask-f00001.png"], ["Take2/Capture/0028/masks/mask-f00001.png"]),
        ("actorshq", ["smpl_params.npz"], ["smpl_params.npz"]),
        ("actorshq", ["4x/rgbs/Cam002/Cam002_rgb000020.jpg", "4x/masks/Cam003/Cam003_mask000050.png"],
         ["4x/rgbs/Cam002/Cam002_rgb000020.jpg", "4x/masks/Cam003/Cam003_mask000050.png"]),
    ],
)  # fmt: skip
def test_a_half_downloaded_folder_is_named_file_by_file(
    made_up: Folders, tmp_path: Path, protocol: ProtocolName, removed: list[str], named: list[str]
) -> None:
    dataset, _ = made_up(protocol)
    copy = tmp_path / dataset.name
    shutil.copytree(dataset, copy)
    for name in removed:
        (copy / name).unlink()
    with pytest.raises(AvatarError) as error:
        PROTOCOLS[protocol].read(copy)
    assert all(name in str(error.value) for name in named) and f"lacks {len(named)} files" in str(error.value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_folder_is_a_wrong_use(tmp_path: Path, protocol: ProtocolName) -> None:
    with pytest.raises(UsageError, match="no folder"):
        PROTOCOLS[protocol].read(tmp_path / "nowhere")


def test_peoplesnapshot_videos_that_end_early_other_subjects_and_other_poses(made_up: Folders, tmp_path: Path) -> None:
    dataset, _ = made_up("instantavatar")
    copy = tmp_path / dataset.name
    shutil.copytree(dataset, copy)
    count = {"train": 114, "test": 55}
    (copy / "poses").mkdir()
    for part, frames in count.items():
        np.savez(
            copy / "poses" / f"anim_nerf_{part}.npz", betas=BETAS[None], global_orient=np.zeros((frames, 3)),
            body_pose=np.zeros((frames, 69)), transl=np.full((frames, 3), frames),
        )  # fmt: skip
    better = read_peoplesnapshot(copy)
    assert "Anim-NeRF" in better.about_poses and len(better.poses.transl) == 169
    assert better.poses.transl[better.test[0].pose, 0] == 55
    with pytest.raises(UsageError, match="male-3-casual"):
        read_peoplesnapshot(tmp_path)
    (copy / "camera.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(AvatarError, match="refused"):
        read_peoplesnapshot(copy)
    (copy / "camera.pkl").write_bytes(pickle.dumps({"width": 3}))
    with pytest.raises(AvatarError, match="no camera of PeopleSnapshot"):
        read_peoplesnapshot(copy)


def test_tables_of_zju_are_read_without_running_them(made_up: Folders, tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
            return print, ("was run",)

    np.save(tmp_path / "annots.npy", np.array({"cams": Harm()}, dtype=object), allow_pickle=True)
    with pytest.raises(AvatarError, match=r"refused.*print"):
        PROTOCOLS["gauhuman"].read(tmp_path)
    np.save(tmp_path / "annots.npy", np.zeros(3))
    with pytest.raises(AvatarError, match="plain array"):
        PROTOCOLS["gauhuman"].read(tmp_path)


def test_hugs_leaves_every_fifth_out_and_judges_the_first_half_of_them() -> None:
    train, test = hugs_split(23)
    assert test == [2, 7] and set(range(23)) - set(train) == {2, 7, 12, 17, 22}


def test_shrinking_averages_with_a_black_background() -> None:
    image = np.full((4, 4, 3), 200, np.uint8)
    mask = np.zeros((4, 4), np.uint8)
    mask[:, :1] = 255
    color, alpha = prepared(image, mask, np.eye(3), np.zeros(4), 2)
    assert np.allclose(alpha[:, 0] / 255, 0.5, atol=0.01) and np.all(alpha[:, 1] == 0)
    assert np.all(color[:, 0] == 200)  # straight colour, so that on black it is the mean of 200 and 0


def test_the_open_body_does_not_take_smpls_parameters(made_up: Folders) -> None:
    dataset, _ = made_up("hugs")
    with pytest.raises(UsageError, match="SMPL file by --body"):
        PROTOCOLS["hugs"].read(dataset).poses.poses(load_body("open"))
