"""2D key points of other programs: every file gives the same points, and a body that follows them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.cli.main import main
from avatar.errors import AvatarError, UsageError
from avatar.io.track_file import load_track
from avatar.landmark_layouts import LAYOUTS
from avatar.metrics.poses import pa_mpjpe
from avatar.motion import load_motion
from avatar.motion.bone_lengths import model_rest
from avatar.motion.formats.keypoints2d_people import landmark_name
from avatar.motion.motion import ReadOptions
from avatar.observation.keypoints import observe_keypoints
from avatar.pipeline.motions import find_motion, keypoints_of
from avatar.types import KeypointClip
from tests.motion.keypoint_files import (
    COCO,
    HEIGHT,
    JSON_WRITERS,
    WIDTH,
    coco_points,
    in_layout,
    moving_person,
    write_openpose,
)

LIMBS = [
    SMPL_JOINTS.index(f"{side}_{part}")
    for side in ("left", "right")
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
]
SIZE = ReadOptions(fps=15.0, size=(WIDTH, HEIGHT))


@pytest.fixture(scope="module")
def transforms() -> np.ndarray:
    return moving_person()[1]


@pytest.fixture(scope="module")
def points(transforms: np.ndarray) -> np.ndarray:
    return coco_points(transforms)


def coco_of(clip: KeypointClip) -> np.ndarray:
    """COCO's points of the first person in each frame."""
    columns = [clip.names.index(name) for name in COCO]
    return np.stack([frame[0][columns, :2] for frame in clip.people])


def write_json(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("program", JSON_WRITERS)
def test_every_program_gives_the_same_points(program: str, points: np.ndarray, tmp_path: Path) -> None:
    path = write_json(tmp_path / "poses.json", JSON_WRITERS[program](points))
    clip = keypoints_of(path, ReadOptions(fps=15.0))
    np.testing.assert_allclose(coco_of(clip), points, atol=0.01)
    np.testing.assert_allclose(clip.times, np.arange(len(points)) / 15, atol=1e-6)
    # Where the file does not hold the size, it is a guess, and a note says so.
    assert (clip.width, clip.height) == (WIDTH, HEIGHT) or "--source-size" in clip.notes[0]


@pytest.mark.parametrize("layout", ["body25", "coco18", "halpe26", "wholebody133", "dwpose134", "body135", "halpe136"])
def test_a_folder_of_openpose_files(layout: str, points: np.ndarray, tmp_path: Path) -> None:
    clip = keypoints_of(write_openpose(tmp_path / "op", [[row] for row in points], layout), ReadOptions())
    np.testing.assert_allclose(coco_of(clip), points, atol=0.01)
    assert (points < [clip.width, clip.height]).all() and "--source-size" in clip.notes[0]


def test_arrays(points: np.ndarray, tmp_path: Path) -> None:
    sure = np.full((*points.shape[:2], 1), 0.7)
    np.save(tmp_path / "two.npy", points)
    np.save(tmp_path / "three.npy", np.concatenate([points, sure], -1))
    np.savez(tmp_path / "shares.npz", keypoints_2d=points / [WIDTH, HEIGHT], image_size=[WIDTH, HEIGHT], fps=15.0)
    np.savez(tmp_path / "people.npz", kpts2d=np.stack([points, points + 50], 1))
    for name in ("two.npy", "three.npy", "shares.npz", "people.npz"):
        clip = keypoints_of(tmp_path / name, ReadOptions())
        np.testing.assert_allclose(coco_of(clip), points, atol=0.01, err_msg=name)
    other = keypoints_of(tmp_path / "people.npz", ReadOptions())
    assert other.labels is not None and set(other.labels[0]) == {"0", "1"}


def test_arrays_of_other_axes(points: np.ndarray, tmp_path: Path) -> None:
    sure = np.concatenate([points, np.full((*points.shape[:2], 1), 0.7)], -1)
    arrays = {
        "two.npy": points.reshape(len(points), -1), "three.npy": sure.reshape(len(points), -1),
        "columns.npy": points.swapaxes(1, 2),
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(tmp_path / name, array)
        np.testing.assert_allclose(coco_of(keypoints_of(tmp_path / name, ReadOptions())), points, err_msg=name)
    np.save(tmp_path / "far.npy", points * 1e9)
    with pytest.raises(AvatarError, match="these are no pixels"):
        keypoints_of(tmp_path / "far.npy", ReadOptions())


def test_a_row_of_persons_is_one_image_unless_they_follow_each_other(points: np.ndarray, tmp_path: Path) -> None:
    crowd = [{"keypoints": in_layout(points[0] + [150 * place, 0], "coco17").tolist()} for place in range(6)]
    clip = keypoints_of(write_json(tmp_path / "crowd.json", crowd), ReadOptions())
    assert [len(people) for people in clip.people] == [6]


def test_an_array_in_a_stated_layout(points: np.ndarray, tmp_path: Path) -> None:
    order = LAYOUTS["h36m17"].names
    rows = np.stack([in_layout(row, "h36m17") for row in points])
    np.save(tmp_path / "h36m.npy", np.where(rows[..., 2:] > 0, rows, np.nan)[..., :2])
    clip = keypoints_of(tmp_path / "h36m.npy", ReadOptions(layout="h36m17"))
    knee = order.index("left_knee")
    np.testing.assert_allclose([p[0][knee, :2] for p in clip.people], points[:, COCO.index("left_knee")], atol=0.01)
    assert clip.names == order


def test_dwpose_dictionaries(points: np.ndarray, tmp_path: Path) -> None:
    frames = []
    for row in points:
        body = in_layout(row, "coco18")[:, :2] / [WIDTH, HEIGHT]
        frames.append({"bodies": {"candidate": body, "subset": np.arange(18.0)[None]}, "hands": np.zeros((2, 21, 2))})
    (tmp_path / "dwpose.pkl").write_bytes(pickle.dumps(frames))
    with pytest.raises(UsageError, match="--source-size"):
        keypoints_of(tmp_path / "dwpose.pkl", ReadOptions())
    np.testing.assert_allclose(coco_of(keypoints_of(tmp_path / "dwpose.pkl", SIZE)), points, atol=0.01)


def test_3d_joints_are_no_2d_points(tmp_path: Path) -> None:
    _, transforms = moving_person(4)
    np.save(tmp_path / "joints.npy", transforms[:, :, :3, 3])
    assert find_motion(tmp_path / "joints.npy").format == "joints"


def test_the_body_follows_the_points(transforms: np.ndarray, points: np.ndarray, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=points.shape)
    motion = find_motion(write_openpose(tmp_path / "op", [[row] for row in points + noise]), SIZE)
    assert motion.format == "keypoints2d" and len(motion.track) == len(points)
    posed = joint_transforms(model_rest().float(), SMPL_PARENTS, motion.track.poses)[:, :, :3, 3][:, LIMBS]
    error = pa_mpjpe(posed, torch.from_numpy(transforms[:, :, :3, 3][:, LIMBS]))
    assert float(error.mean()) < 0.09


def test_swapped_sides_and_gaps_are_mended(points: np.ndarray, tmp_path: Path) -> None:
    mirror = list(LAYOUTS["coco17"].mirror)
    rows = [row[mirror] if number in (3, 4, 9) else row for number, row in enumerate(points)]
    people = [[row] for row in rows]
    people[6] = []  # nobody was detected in this frame
    observations = observe_keypoints(keypoints_of(write_openpose(tmp_path / "op", people), SIZE))
    assert any("3 frames" in note for note in observations.notes)
    limbs = slice(5, 17)
    mended = observations.keypoints[:, limbs, :2].numpy()
    sound = [number for number in range(len(points)) if number != 6]
    np.testing.assert_allclose(mended[sound], points[sound, limbs], atol=0.01)
    assert float(np.linalg.norm(mended[6] - points[6, limbs], axis=-1).mean()) < 40
    assert float(observations.keypoints[6, :, 2].max()) == 0


def test_one_of_several_people(points: np.ndarray, tmp_path: Path) -> None:
    small = (points - [WIDTH / 2, HEIGHT / 2]) * 0.5 + [90, 300]
    people = [[a, b] if number % 2 else [b, a] for number, (a, b) in enumerate(zip(points, small, strict=True))]
    clip = keypoints_of(write_openpose(tmp_path / "op", people), SIZE)
    largest = observe_keypoints(clip)
    assert any("--person" in note for note in largest.notes)
    np.testing.assert_allclose(largest.keypoints[:, 5:, :2], points[:, 5:], atol=0.01)
    np.testing.assert_allclose(observe_keypoints(clip, "2").keypoints[:, 5:, :2], small[:, 5:], atol=0.01)
    with pytest.raises(UsageError, match="no person '3'"):
        observe_keypoints(clip, "3")


def test_times_follow_the_numbers_of_the_files(points: np.ndarray, tmp_path: Path) -> None:
    folder = write_openpose(tmp_path / "op", [[row] for row in points])
    for number in (5, 6, 7):
        (folder / f"clip_{number:012d}_keypoints.json").unlink()
    times = keypoints_of(folder, SIZE).times * 15
    assert times.tolist() == pytest.approx([0, 1, 2, 3, 4, 8, *range(9, len(points))])


def test_a_point_that_is_never_seen_does_not_pull(points: np.ndarray, tmp_path: Path) -> None:
    hidden = points.copy()
    hidden[:, COCO.index("left_ear")] = 0  # a profile: the far ear is in no frame
    observations = observe_keypoints(keypoints_of(write_openpose(tmp_path / "op", [[row] for row in hidden]), SIZE))
    ear, nose = (observations.keypoints[:, COCO.index(name)] for name in ("left_ear", "nose"))
    assert float(ear[:, 2].max()) == 0
    assert float((ear - nose)[:, :2].norm(dim=-1).max()) < 60


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"version": 1.3, "people": []}, "holds no person"),
        ({"people": [{"pose_keypoints_2d": [1.0, 2.0, 0.5, 4.0]}]}, "not three per point"),
        ({"people": [{"pose_keypoints_2d": ["x"] * 75}]}, "not numbers"),
        ({"people": [{"pose_keypoints_2d": [100.0, 200.0, 0.5] * 20}]}, "20 points per person, and no layout"),
        ([{"image_id": "0.jpg", "keypoints": [100.0, 200.0, 0.5] * 17}], "1 frames of the person"),
    ],
)
def test_what_cannot_be_used_is_refused_for_the_true_reason(content: object, reason: str, tmp_path: Path) -> None:
    with pytest.raises(AvatarError, match=reason):
        find_motion(write_json(tmp_path / "a.json", content))


def test_a_folder_of_something_else(points: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no motion"):
        find_motion(tmp_path)
    folder = write_openpose(tmp_path / "op", [[row] for row in points])
    write_json(folder / "notes.json", {"camera": 3})
    with pytest.raises(AvatarError, match=r"notes\.json is no 2D pose"):
        find_motion(folder)


def test_the_reader_of_motions_names_the_way(points: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="avatar track --keypoints"):
        load_motion(write_json(tmp_path / "a.json", JSON_WRITERS["mmpose"](points)))


def test_track_by_key_points(points: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_openpose(tmp_path / "op", [[row] for row in points[:8]])
    options = ("--keypoints", str(folder), "--source-size", f"{WIDTH}x{HEIGHT}", "--source-fps", "15")
    main(["track", *options, "--out", str(tmp_path / "out")])
    assert "next:" in capsys.readouterr().out
    track = load_track(tmp_path / "out" / "track.npz")
    assert len(track) == 8 and track.cameras is not None and track.cameras.width == WIDTH


def test_track_needs_a_source(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["track"])
    assert end.value.code == 2 and "--keypoints" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("Left Shoulder", "left_shoulder"), ("RHip", "right_hip"), ("l_knee", "left_knee"), ("Nose", "nose"),
     ("left_big_toe", "left_foot_index"), ("Hip", "pelvis"), ("rightEye", "right_eye"), ("lip", "lip")],
)  # fmt: skip
def test_names_of_landmarks(theirs: str, ours: str) -> None:
    assert landmark_name(theirs) == ours
