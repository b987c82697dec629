"""True poses in the data sets' own layouts: what is read is the walk that was written."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.cli.main import main
from avatar.datasets.posed import camera_in
from avatar.datasets.protocols import TRUTHS, TruthName
from avatar.errors import AvatarError, UsageError
from avatar.evaluation.ground_truth import SCORED
from avatar.evaluation.true_poses import _Posed, _posed, pose_errors
from avatar.io.observations_file import save_observations
from avatar.io.track_file import save_track
from avatar.io.videos import VideoWriter
from avatar.metrics.poses import pa_mpjpe
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.types import BodyTrack, ImageList, Observations

from .made_up_truths import COUNT, SESSION, WRITERS


@pytest.mark.parametrize("name", TRUTHS)
def test_the_poses_of_a_data_set_are_those_of_its_files(name: TruthName, tmp_path: Path) -> None:
    place, clip, walk = WRITERS[name](tmp_path)
    truth = TRUTHS[name].read(place, clip)
    step = 5 if name == "bedlam" else 1
    assert truth.name == clip and truth.frames.tolist() == list(range(0, step * COUNT, step))
    wanted = torch.from_numpy(walk.joints()).float()
    if truth.smpl is None:
        assert truth.joints is not None
        known = truth.joints.isfinite().all(-1).all(0)
        assert known[list(SCORED)].sum() >= 12
        joints, wanted = truth.joints[:, known], wanted[:, known]
    else:
        posed = _posed(walk.body, truth.smpl.shape(walk.body), truth.smpl.poses_in(walk.body, torch.eye(3)))
        joints = posed.joints
        # The whole surface, and so the fingers, are those of the body that SMPL's own formula poses.
        own = _posed(walk.body, walk.poses.shape(walk.body), walk.poses.poses_in(walk.body, torch.eye(3)))
        assert posed.vertices is not None and own.vertices is not None
        assert (posed.vertices - own.vertices).abs().max() < 1e-4
    if truth.in_camera:
        assert (joints - wanted).abs().max() < 2e-4
    else:
        assert pa_mpjpe(joints, wanted).max() < 1e-4 < (joints - wanted).abs().max()


@pytest.mark.parametrize("name", TRUTHS)
def test_a_wrong_name_and_no_place_are_wrong_use(name: TruthName, tmp_path: Path) -> None:
    place, clip, _ = WRITERS[name](tmp_path)
    with pytest.raises(UsageError, match=r"has no sequence 'nobody'; it has"):
        TRUTHS[name].read(place, "nobody")
    with pytest.raises(UsageError, match=r"There is no (file|folder)"):
        TRUTHS[name].read(tmp_path / "nowhere", clip)
    with pytest.raises(UsageError, match=r"name one by --clip"):
        TRUTHS[name].read(place, None)
    if place.is_dir():
        (tmp_path / "empty").mkdir()
        with pytest.raises(UsageError, match="holds no sequence of this data set"):
            TRUTHS[name].read(tmp_path / "empty", clip)


def _without(name: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        arrays = dict(np.load(path, allow_pickle=True))
        del arrays[name]
        np.savez(path, **arrays)

    return change


def _with(name: str, value: np.ndarray) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        np.savez(path, **(dict(np.load(path, allow_pickle=True)) | {name: value}))

    return change


def _text(text: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    return change


class Harm:
    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return print, ("was run",)


@pytest.mark.parametrize(
    ("name", "file", "change", "sentence"),
    [
        ("bedlam", "*.npz", _without("pose_cam"), "has no pose_cam: it is another file or another version"),
        ("bedlam", "*.npz", _with("trans_cam", np.zeros((2, 3))), r"trans_cam should be 18 x 3 finite numbers"),
        ("bedlam", "*.npz", _with("sub", np.zeros(18)), "has no sub of each of its 18 poses"),
        ("bedlam", "*batch*.npz", _text("nonsense"), "is not a readable npz file"),
        ("gtahuman", "annotations/seq_00000012.pkl", lambda p: p.write_bytes(pickle.dumps(Harm())), "refused"),
        ("gtahuman", "annotations/seq_00000012.pkl", lambda p: p.write_bytes(pickle.dumps([1])), "holds no table"),
        ("gtahuman2", "annotations/*/000123.npz", _with("left_hand_pose", np.zeros((COUNT, 45))), "6 x 24 finite"),
        ("gtahuman2", "annotations/*/000123.npz", _with("transl", np.full((COUNT, 3), np.nan)), "finite numbers"),
        ("voccl3d", "*.npy", lambda p: np.save(p, np.array({"a": 3}, dtype=object)), "no table of sequences"),
        ("voccl3d", "*.npy", lambda p: np.save(p, np.array({"a": Harm()}, dtype=object)), "refused"),
        ("freeman", f"cameras/{SESSION}.json", _text("[]"), "has no camera c03"),
        ("freeman", f"keypoints3d/{SESSION}.npy", lambda p: p.unlink(), "lacks 1 files: keypoints3d"),
        ("freeman", f"keypoints3d/{SESSION}.npy",
         lambda p: np.save(p, np.array([{"keypoints3d": np.ones((3, 17, 3))}], dtype=object)), "thighs are 0 long"),
        ("adt", "Skeleton_T.json", _text(json.dumps({"frames": [{"joints": [[0, 0, 0]], "timestamp_ns": 1}]})),
         "joints should be 51 x 3"),
        ("adt", "Skeleton_T.json", _text("{}"), "has no frames"),
        ("adt", "2d_bounding_box.csv", _text("time,uid\n1,2\n"), r"has no columns stream_id and timestamp\[ns\]"),
        ("adt", "2d_bounding_box.csv", lambda p: p.unlink(), "lacks 1 files: 2d_bounding_box.csv"),
    ],
)  # fmt: skip
def test_a_broken_file_or_another_version_is_said_in_a_sentence(
    name: TruthName, file: str, change: Callable[[Path], object], sentence: str, tmp_path: Path
) -> None:
    place, clip, _ = WRITERS[name](tmp_path)
    for path in tmp_path.glob(file):
        if not path.name.startswith("SMPL"):
            change(path)
    with pytest.raises(AvatarError, match=sentence):
        TRUTHS[name].read(place, clip)


def test_an_invalid_person_and_a_body_of_another_gender_or_model_are_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "gta", tmp_path / "voccl"
    first.mkdir()
    second.mkdir()
    place, _, _ = WRITERS["gtahuman2"](first)
    with pytest.raises(UsageError, match="no valid SMPL-X poses"):
        TRUTHS["gtahuman2"].read(place, "seq_00087011/000456")
    path, clip, _ = WRITERS["voccl3d"](second)
    from avatar.body import load_body

    poses = TRUTHS["voccl3d"].read(path, clip).smpl
    assert poses is not None
    with pytest.raises(UsageError, match="that of a male body"):
        poses.require(load_body(first / "SMPLX_NEUTRAL.npz"))
    with pytest.raises(UsageError, match="give your SMPL-X file by --body"):
        poses.require(load_body("open"))


def test_errors_are_those_of_a_moved_and_a_larger_body(tmp_path: Path) -> None:
    place, clip, walk = WRITERS["gtahuman"](tmp_path)
    smpl = TRUTHS["gtahuman"].read(place, clip).smpl
    assert smpl is not None
    true = _posed(walk.body, smpl.shape(walk.body), smpl.poses_in(walk.body, torch.eye(3)))
    assert true.vertices is not None
    times = torch.arange(COUNT) / 30
    elsewhere = _Posed(true.joints + 1.0, true.vertices + 1.0)
    scores = pose_errors(elsewhere, true, times, in_camera=True, vertices=True)
    assert scores["pve_mm"] < 0.01 and scores["pa_pve_mm"] < 0.01 and scores["mpjpe_mm"] < 0.01
    larger = _Posed(1.1 * true.joints, 1.1 * true.vertices)
    scores = pose_errors(larger, true, times, in_camera=True, vertices=True)
    away = (true.vertices - true.joints[:, :1]).norm(dim=-1).mean()
    assert scores["pve_mm"] == pytest.approx(100 * float(away), rel=1e-3) and scores["pa_pve_mm"] < 0.01
    assert "mpjpe_mm" not in pose_errors(larger, true, times, in_camera=False, vertices=False)


@pytest.fixture
def tracked(tmp_path: Path) -> tuple[Path, Path, str]:
    """A run whose track is a data set's truth, the data set, and the sequence."""
    place = tmp_path / "gta"
    place.mkdir()
    dataset, clip, walk = WRITERS["gtahuman"](place)
    smpl = TRUTHS["gtahuman"].read(dataset, clip).smpl
    assert smpl is not None
    camera = camera_in(smpl.upright(), np.eye(3), np.eye(3), np.zeros(3), (64, 64))
    run, body, times = tmp_path / "run", walk.body, torch.arange(COUNT) / 30
    run.mkdir()
    still = torch.arange(COUNT)
    track = BodyTrack(
        body.name, smpl.shape(body), smpl.poses(body), times, torch.ones(COUNT, 24), still, camera[[0] * COUNT]
    )
    save_track(track, run / "track.npz")
    gaussians = sample_on_surface(
        triangle_frames(body.rest(track.betas).vertices, body.faces), torch.ones(len(body.faces)), 50,
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    Avatar(body, track.betas, gaussians, deform=False).save(run / "avatar.safetensors")
    image = np.full((64, 64, 3), 128, np.uint8)
    with VideoWriter(tmp_path / "seq.mp4", 30.0) as video:
        for _ in range(COUNT):
            video.add(image)
    marks = torch.zeros(COUNT, 33, 3)
    images = ImageList.of([image] * COUNT)
    masks = ImageList.of([image[..., 0]] * COUNT)
    save_observations(
        Observations(images, masks, marks, marks, "blazepose33", still, times, 64, 64), run / "observations"
    )
    (run / "config.json").write_text(json.dumps({"source": str(tmp_path / "seq.mp4"), "protocol": None}))
    return run, dataset, clip


def test_a_tracked_run_is_measured_against_the_true_poses(
    tracked: tuple[Path, Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run, dataset, clip = tracked
    words = ["evaluate", str(run), "--dataset", str(dataset), "--protocol", "gtahuman", "--clip", clip]
    main(words)
    assert "6 frames of 6 with a true pose" in capsys.readouterr().out
    joints = json.loads((run / "evaluation.json").read_text())["joints"]
    assert joints["frames"] == COUNT and max(joints["pve_mm"], joints["mpjpe_mm"], joints["pa_pve_mm"]) < 0.1
    (run / "config.json").write_text(json.dumps({"source": "gone.mp4", "protocol": "hugs"}))
    for sentence in ("has the poses of a data set", "There is no file gone.mp4"):
        with pytest.raises(SystemExit) as wrong:
            main(words)
        assert wrong.value.code == 2 and sentence in " ".join(capsys.readouterr().err.split())
        (run / "config.json").write_text(json.dumps({"source": "gone.mp4"}))
    with pytest.raises(SystemExit):
        main([*words[:5], "hugs", "--body", "SMPL.npz"])
    assert "--body is for a dataset with true poses" in " ".join(capsys.readouterr().err.split())
