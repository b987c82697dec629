"""Points of many programs: which layout it is, people, roots elsewhere, TRC, C3D, CSV and MediaPipe's JSON."""

import csv
import json
import logging
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import UsageError
from avatar.landmark_layouts import LAYOUTS, POINT_LAYOUTS
from avatar.motion import Motion, load_motion
from avatar.motion.bone_lengths import model_rest
from avatar.motion.formats.point_layouts import misfit
from avatar.motion.motion import ReadOptions
from avatar.motion.procedural import builtin_motion

from .test_motion_joints import REST, TARGETS, limb_angles, points_of
from .test_motion_readers import FRAMES


def assert_limbs(motion: Motion, mean: float = 0.5, worst: float = 3.0) -> None:
    angles = limb_angles(motion.track.poses, REST)
    assert float(angles.mean()) < mean and float(angles.max()) < worst, (float(angles.mean()), float(angles.max()))


def test_layouts_of_one_size_differ_by_the_body() -> None:
    """In its own layout the truth looks like a person, in every other of the same size it does not."""
    for one, other in combinations(POINT_LAYOUTS, 2):
        if len(LAYOUTS[one]) == len(LAYOUTS[other]) and LAYOUTS[one].names != LAYOUTS[other].names:
            points = points_of(one)
            assert misfit(points, LAYOUTS[one].names) < 0.3 < 0.6 < misfit(points, LAYOUTS[other].names)


@pytest.mark.parametrize("place", ["neck", "head", "left_shoulder", "nowhere near"])
def test_a_root_that_is_not_between_the_hips_is_left_out(tmp_path: Path, place: str) -> None:
    points = points_of("h36m17")
    points[:, 0] = points[:, 0] + 3 if place == "nowhere near" else TARGETS[:, SMPL_JOINTS.index(place)].numpy()
    np.save(tmp_path / "a.npy", points)
    assert_limbs(load_motion(tmp_path / "a.npy"))


@pytest.mark.parametrize("centre", ["head", "neck", "pelvis"])
def test_the_feet_give_the_path_of_arrays_without_one(tmp_path: Path, centre: str) -> None:
    """Joints relative to the head, as from a camera on it, or to another joint."""
    walk = builtin_motion("walk").track.poses
    joints = joint_transforms(REST, SMPL_PARENTS, walk)[..., :3, 3]
    np.save(tmp_path / "a.npy", (joints - joints[:, SMPL_JOINTS.index(centre), None]).numpy())
    path = load_motion(tmp_path / "a.npy", ReadOptions(fps=60.0)).track.poses.root_position
    distance = walk.root_position[-1] - walk.root_position[0]
    assert float((path[-1] - path[0])[2]) == pytest.approx(float(distance[2]), rel=0.15)


def test_a_person_of_several_is_chosen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    points = points_of("coco17")
    rarely = np.full_like(points, np.nan)
    rarely[:4] = points[:4] + 2
    logging.getLogger("avatar").propagate = True
    for name, people in (("frames_first", np.stack([rarely, points], 1)), ("people_first", np.stack([rarely, points]))):
        np.save(tmp_path / f"{name}.npy", people)
        assert_limbs(load_motion(tmp_path / f"{name}.npy"))
        assert "2 people, 1 is used; --person" in caplog.text
        assert_limbs(load_motion(tmp_path / f"{name}.npy", ReadOptions(person="1")))
        with pytest.raises(UsageError, match="no person '2': it has 0, 1"):
            load_motion(tmp_path / f"{name}.npy", ReadOptions(person="2"))


def names_of_pose2sim() -> dict[str, np.ndarray]:
    """The points of Pose2Sim's HALPE model, by its names."""
    joints = {name: TARGETS[:, j].numpy() for j, name in enumerate(SMPL_JOINTS)}
    named = {"Hip": joints["pelvis"], "Neck": joints["neck"], "Head": joints["head"]}
    for side, letter in (("left", "L"), ("right", "R")):
        for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"):
            named[f"{letter}{part.capitalize()}"] = joints[f"{side}_{part}"]
    return named


def write_trc(path: Path, named: dict[str, np.ndarray], frames: int = FRAMES) -> None:
    head = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"60.0\t60.0\t{frames}\t{len(named)}\tmm\t60.0\t1\t{frames}",
        "Frame#\tTime\t" + "\t".join(f"{name}\t\t" for name in named),
        "\t\t" + "\t".join(f"X{k}\tY{k}\tZ{k}" for k in range(1, len(named) + 1)),
        "",
    ]
    rows = [
        f"{k + 1}\t{k / 60:.6f}\t" + "\t".join(f"{1000 * x:.4f}" for points in named.values() for x in points[k])
        for k in range(frames)
    ]
    path.write_text("\n".join(head + rows) + "\n", encoding="utf-8")


def test_trc(tmp_path: Path) -> None:
    write_trc(tmp_path / "a.trc", names_of_pose2sim())
    motion = load_motion(tmp_path / "a.trc")
    assert motion.format == "trc" and motion.track.fps == pytest.approx(60)
    assert_limbs(motion)


def test_a_table_without_a_body_names_its_points(tmp_path: Path) -> None:
    write_trc(tmp_path / "a.trc", {f"M{k}": TARGETS[:, k].numpy() for k in range(6)})
    with pytest.raises(UsageError, match=r"holds the points M0, M1.*no left_hip"):
        load_motion(tmp_path / "a.trc")


def write_c3d(path: Path, named: dict[str, np.ndarray]) -> None:
    """By ezc3d; an absent point is NaN."""
    import ezc3d

    file = ezc3d.c3d()
    file["parameters"]["POINT"]["RATE"]["value"] = [120]
    file["parameters"]["POINT"]["LABELS"]["value"] = tuple(named)
    points = np.ones((4, len(named), FRAMES))
    points[:3] = 1000 * np.stack(list(named.values())).transpose(2, 0, 1)
    file["data"]["points"] = points
    file.write(str(path))


def test_c3d_of_joints(tmp_path: Path) -> None:
    named = names_of_pose2sim()
    named["RWrist"] = named["RWrist"].copy()
    named["RWrist"][4] = np.nan
    write_c3d(tmp_path / "a.c3d", {f"Anna:{name}": points for name, points in named.items()})
    motion = load_motion(tmp_path / "a.c3d")
    assert motion.format == "c3d" and motion.track.fps == pytest.approx(120)
    assert_limbs(motion, worst=15)


def plug_in_gait() -> dict[str, np.ndarray]:
    """Markers around the joints of the truth, where a laboratory sticks them."""
    Ts = joint_transforms(REST, SMPL_PARENTS, builtin_motion("walk").track.poses)
    width = float((REST[1] - REST[2]).norm()) / 0.72  # a hip joint lies 36 % of the pelvis' width from its middle
    hips = (REST[1] + REST[2]) / 2 - REST[0]

    def stuck(joint: str, offset: Any) -> np.ndarray:
        T = Ts[:FRAMES, SMPL_JOINTS.index(joint)]
        return np.asarray((T[:, :3, :3] @ T.new_tensor(offset)[:, None]).squeeze(-1) + T[:, :3, 3])

    front = hips.numpy() + width * np.array([0, 0.30, 0.19])
    markers = {}
    for side, letter, sign in (("left", "L", 1), ("right", "R", -1)):
        markers[f"{letter}ASI"] = stuck("pelvis", front + np.array([sign * width / 2, 0, 0]))
        markers[f"{letter}PSI"] = stuck("pelvis", front + np.array([sign * width / 4, 0, -0.6 * width]))
        markers[f"{letter}KNE"] = stuck(f"{side}_knee", (sign * 0.045, 0, 0))
        markers[f"{letter}ANK"] = stuck(f"{side}_ankle", (sign * 0.045, 0, 0))
        markers[f"{letter}TOE"] = stuck(f"{side}_foot", (0, 0, 0.02))
        markers[f"{letter}SHO"] = stuck(f"{side}_shoulder", (0, 0.02, 0))
        markers[f"{letter}ELB"] = stuck(f"{side}_elbow", (0, 0, -0.03))
        markers[f"{letter}WRA"] = stuck(f"{side}_wrist", (0, 0, 0.03))
        markers[f"{letter}WRB"] = stuck(f"{side}_wrist", (0, 0, -0.03))
    return markers


def test_c3d_of_markers_on_the_skin(tmp_path: Path) -> None:
    """Plug-in Gait: the joints follow from the markers, within what the places of the markers allow."""
    write_c3d(tmp_path / "a.c3d", plug_in_gait())
    ours = joint_transforms(model_rest().float(), SMPL_PARENTS, load_motion(tmp_path / "a.c3d").track.poses)[..., :3, 3]
    truth = joint_transforms(REST, SMPL_PARENTS, builtin_motion("walk").track.poses)[:FRAMES, :, :3, 3]
    limbs = (("hip", "knee", 3), ("knee", "ankle", 3), ("shoulder", "elbow", 8), ("elbow", "wrist", 8))
    for side in ("left", "right"):
        for a, b, degrees in limbs:
            i, j = SMPL_JOINTS.index(f"{side}_{a}"), SMPL_JOINTS.index(f"{side}_{b}")
            bones = [(x[:, j] - x[:, i]) / (x[:, j] - x[:, i]).norm(dim=-1, keepdim=True) for x in (ours, truth)]
            angle = (bones[0] * bones[1]).sum(-1).clamp(max=1).acos().rad2deg()
            assert float(angle.mean()) < degrees, (side, a, float(angle.mean()))


@pytest.mark.parametrize("prefix", ["", "body_"])
def test_freemocap_csv(tmp_path: Path, prefix: str) -> None:
    points = points_of("blazepose33") * 1000
    with (tmp_path / "body_3d_xyz.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([f"{prefix}{name}_{axis}" for name in LAYOUTS["blazepose33"].names for axis in "xyz"])
        for k, row in enumerate(points):
            writer.writerow(["" if k == 3 and n < 6 else x for n, x in enumerate(row.ravel().tolist())])
    motion = load_motion(tmp_path / "body_3d_xyz.csv")
    assert motion.format == "points-csv"
    assert_limbs(motion)


def test_freemocap_csv_of_one_line_per_point(tmp_path: Path) -> None:
    points = points_of("blazepose33") * 1000
    with (tmp_path / "by_frame.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", "timestamp", "model", "keypoint", "x", "y", "z"])
        for k, row in enumerate(points):
            for name, place in zip(LAYOUTS["blazepose33"].names, row.tolist(), strict=True):
                writer.writerow([k, k / 25, "body", name, *place])
    motion = load_motion(tmp_path / "by_frame.csv")
    assert motion.track.fps == pytest.approx(25)
    assert_limbs(motion)


@pytest.mark.parametrize("count", [543, 553])
def test_freemocap_npy_of_body_hands_and_face(tmp_path: Path, count: int) -> None:
    points = np.random.default_rng(0).normal(size=(FRAMES, count, 3))
    points[:, :33] = points_of("blazepose33")
    np.save(tmp_path / "skeleton_3d.npy", 1000 * points)
    assert_limbs(load_motion(tmp_path / "skeleton_3d.npy"))


@pytest.mark.parametrize("form", ["tasks", "frames", "alone"])
def test_mediapipe_world_landmarks(tmp_path: Path, form: str) -> None:
    points = points_of("blazepose33") * np.array([1, -1, -1])
    rows = [[{"x": x, "y": y, "z": z, "visibility": 0.9} for x, y, z in frame] for frame in points.tolist()]
    content: Any
    if form == "tasks":
        content = [{"landmarks": [[]], "worldLandmarks": [row]} for row in rows]
    elif form == "frames":
        content = {"frames": [{"poseWorldLandmarks": row} for row in rows]}
        content["frames"][4] = {"poseWorldLandmarks": []}
    else:
        content = [{"pose_world_landmarks": {"landmark": row}} for row in rows]
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    motion = load_motion(tmp_path / "a.json")
    assert motion.format == "mediapipe-world"
    assert_limbs(motion, mean=1 if form == "frames" else 0.5, worst=15 if form == "frames" else 3)
