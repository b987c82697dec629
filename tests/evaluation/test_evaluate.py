"""An evaluation whose answer is known: the capture shows the run's own avatar."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avatar.cli.main import main
from avatar.errors import AvatarError, UsageError
from avatar.evaluation.evaluate import evaluate_run
from avatar.evaluation.render_views import read_shots, write_shots
from avatar.evaluation.targets import estimated_person
from avatar.io.images import read_image
from avatar.pipeline.finished_run import open_run


@pytest.fixture(scope="module")
def evaluated(made_up: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    out = tmp_path_factory.mktemp("evaluation")
    return out, *evaluate_run(made_up[0], made_up[1], out=out)


def test_the_same_avatar_in_a_scaled_turned_and_moved_world_scores_like_itself(
    evaluated: tuple[Path, dict[str, Any], str],
) -> None:
    _, content, _ = evaluated
    means = content["means"]
    estimated = means["novel views, seen poses, found pose"]
    assert estimated["psnr_white"] > 35 and estimated["iou"] > 0.97
    for group in ("novel views, seen poses, driven", "novel poses, driven"):
        assert means[group]["psnr_white"] > 32 and means[group]["iou"] > 0.97
    assert content["joints"]["scale"] == pytest.approx(1.25, abs=1e-3)
    assert content["joints"]["mpjpe_mm"] < 1
    assert content["joints"]["size_after_scale"] == pytest.approx(1.0, abs=1e-3)
    assert content["joints"]["focal_ratio"] == pytest.approx(1.0)
    assert content["joints"]["principal_point_x_px"] == pytest.approx(0.0, abs=1e-3)


def test_the_surface_of_the_same_avatar_is_the_true_one(evaluated: tuple[Path, dict[str, Any], str]) -> None:
    _, content, text = evaluated
    row = content["means"]["novel views, seen poses, found pose, aligned"]
    for part in ("torso", "arms", "legs"):
        assert row[f"surface_{part}_mm"] < 4
    assert content["joints"]["joints_along_rms_mm"] < 1 and content["joints"]["joints_across_rms_mm"] < 1
    assert "Surface to the true depth" in text


def test_nothing_is_shifted_where_nothing_is_off(evaluated: tuple[Path, dict[str, Any], str]) -> None:
    _, content, text = evaluated
    assert abs(content["joints"]["shift_x_px"]) < 0.3 and abs(content["joints"]["shift_y_px"]) < 0.3
    aligned, unaligned = (
        content["means"][f"novel views, seen poses, found pose{end}"]["psnr_white"] for end in (", aligned", "")
    )
    assert aligned == pytest.approx(unaligned, abs=1.5)
    assert "one shift of the whole clip" in text and "training frames" in text


def test_retargeting_by_joints_alone_is_reported_and_is_worse(
    evaluated: tuple[Path, dict[str, Any], str], made_up: tuple[Path, Path], tmp_path: Path
) -> None:
    _, with_rotations, _ = evaluated
    content, text = evaluate_run(*made_up, out=tmp_path, joints_alone=True)
    assert "true joints alone" in text and "rotations" in with_rotations["protocol"]["driving"]
    better, worse = (one["means"]["novel poses, driven"]["psnr_white"] for one in (with_rotations, content))
    assert 26 < worse < better


def test_joints_alone_without_a_capture_is_refused(
    made_up: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["evaluate", str(made_up[0]), "--joints-alone"])
    assert exit.value.code == 2
    assert "--capture" in capsys.readouterr().err


def test_images_are_counted_by_group_and_side(evaluated: tuple[Path, dict[str, Any], str]) -> None:
    _, content, _ = evaluated
    counts = {name: row["pictures"] for name, row in content["means"].items()}
    assert counts["left-out frames"] == 2
    assert counts["novel views, seen poses, found pose"] == 2
    assert counts["novel views, seen poses, found pose, within 90°"] == 1
    assert counts["novel views, seen poses, found pose, beyond 90°"] == 1
    assert counts["novel poses, driven"] == 1


def test_it_leaves_numbers_and_a_page_with_the_worst_first(evaluated: tuple[Path, dict[str, Any], str]) -> None:
    out, content, text = evaluated
    assert json.loads((out / "evaluation.json").read_text())["means"] == content["means"]
    page = (out / "evaluation.html").read_text()
    assert page.count("<img") == len(content["pictures"])
    assert read_image(out / "evaluation.png").shape[0] > 500 and page.count("<svg") == 1
    worst = min(content["pictures"], key=lambda one: one["psnr_box_white"])
    assert worst["name"] in page.split("<figcaption>")[1].split("</figcaption>")[0]
    assert "test poses: not fitted" in text and "LPIPS" in text


def test_a_moved_body_is_scored_worse_and_its_error_is_that_of_the_move(
    made_up: tuple[Path, Path], tmp_path: Path
) -> None:
    from avatar.io.track_file import load_track, save_track

    run = tmp_path / "run"
    shutil.copytree(made_up[0], run)
    track = load_track(run / "track.npz")
    joint = 4  # left knee
    track.poses.rotations[:, joint] = torch.eye(3)
    save_track(track, run / "track.npz")
    content, _ = evaluate_run(run, made_up[1])
    assert content["means"]["novel views, seen poses, found pose"]["psnr_box_white"] < 30
    assert content["joints"]["mpjpe_mm"] > 3


def test_missing_images_and_frames_are_named_and_not_counted(made_up: tuple[Path, Path], tmp_path: Path) -> None:
    run, capture = made_up
    copy = tmp_path / "capture"
    shutil.copytree(capture, copy)
    (copy / "novel_view" / "turn0004_a.png").unlink()
    (copy / "novel_pose" / "0000.png").write_bytes(b"not an image")
    content, text = evaluate_run(run, copy, clip="turn", out=tmp_path)
    assert content["means"]["novel views, seen poses, found pose"]["pictures"] == 1
    assert "novel poses, driven" not in content["means"]
    assert "turn0004_a.png" in text and "0000.png" in text and "skipped and not counted: 2" in text


def test_a_run_of_another_source_must_name_its_clip(made_up: tuple[Path, Path], tmp_path: Path) -> None:
    copy = tmp_path / "capture"
    shutil.copytree(made_up[1], copy)
    with pytest.raises(UsageError, match="--clip"):
        evaluate_run(made_up[0], copy)


def test_a_folder_that_is_no_run_and_one_that_is_no_capture(
    made_up: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["evaluate", str(tmp_path)], ["evaluate", str(made_up[0]), "--capture", str(tmp_path)]):
        with pytest.raises(SystemExit) as exit:
            main(arguments)
        assert exit.value.code == 2
        assert capsys.readouterr().err.count("error:") == 1


def test_rendered_images_are_those_of_the_capture(made_up: tuple[Path, Path], tmp_path: Path) -> None:
    run, capture = made_up
    main_arguments = [
        "render", str(run), "--cameras", str(capture / "novel_view" / "cameras.json"), "--poses",
        str(capture / "novel_view" / "gt.npz"), "--out", str(tmp_path), "--training-camera",
        str(capture / "turn" / "cameras.json"), "--scale", "1.25",
    ]  # fmt: skip
    main(main_arguments)
    for name in ("a", "b"):
        mine = read_image(tmp_path / f"0000_{name}.png").astype(float)
        truth = read_image(capture / "novel_view" / f"turn0004_{name}.png").astype(float)
        assert mine.shape == truth.shape == (120, 90, 4)
        assert np.abs(mine[..., 3] - truth[..., 3]).mean() < 3


def test_a_track_is_rendered_frame_by_frame_with_its_own_cameras(made_up: tuple[Path, Path], tmp_path: Path) -> None:
    run, _ = made_up
    opened = open_run(run)
    shots = read_shots(opened, run / "track.npz", run / "track.npz", None, 1.0)
    assert write_shots(opened, shots, True, tmp_path, "auto") == 6
    mask = read_image(run / "observations" / "masks" / "00005.png")[..., 0]
    assert np.array_equal(read_image(tmp_path / "0005.png")[..., 3], mask)


def test_pairs_of_different_number_and_wrong_files_are_refused(made_up: tuple[Path, Path], tmp_path: Path) -> None:
    run, capture = made_up
    opened = open_run(run)
    shots = read_shots(opened, capture / "novel_view" / "gt.npz", run / "track.npz", None, 1.0)
    with pytest.raises(UsageError, match="--pair"):
        write_shots(opened, shots, True, tmp_path, "auto")
    with pytest.raises(AvatarError, match=r"report\.json"):
        (tmp_path / "report.json").write_text("{}")
        read_shots(opened, tmp_path / "report.json", run / "track.npz", None, 1.0)


def test_the_oracle_follows_the_true_skeleton_and_not_the_estimated_poses(made_up: tuple[Path, Path]) -> None:
    from avatar.datasets.capture import load_capture
    from avatar.evaluation.alignment import EstimatedPerson, align
    from avatar.evaluation.oracle import oracle_track
    from avatar.geometry import rotation_from_rotvec
    from avatar.types import BodyPose

    estimated, clip = estimated_person(open_run(made_up[0])), load_capture(made_up[1]).clip("turn")
    poses = estimated.track.poses
    noise = 0.1 * torch.randn(*poses.rotations.shape[:-1], generator=torch.Generator().manual_seed(1))
    missed = BodyPose(poses.root_position + 0.02, poses.rotations @ rotation_from_rotvec(noise))
    person = replace(estimated, track=replace(estimated.track, poses=missed))
    frames = list(person.frames_of(clip))
    oracle = EstimatedPerson(estimated.body, estimated.rest, oracle_track(person, clip, frames))
    truth = align(person, clip).points(clip.joints[frames])
    assert (oracle.joints() - truth).norm(dim=-1).mean() < 0.012
    assert (person.joints() - truth).norm(dim=-1).mean() > 0.03
    torch.testing.assert_close(oracle.cameras.K, clip.cameras[frames].K)
