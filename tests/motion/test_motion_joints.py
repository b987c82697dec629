"""Inverse kinematics: positions come back as the pose that made them, in every layout, unit and axis."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import UsageError
from avatar.geometry import geodesic_angle, rotation_from_rotvec
from avatar.landmark_layouts import LAYOUTS, POINT_LAYOUTS
from avatar.motion import load_motion
from avatar.motion.bone_lengths import model_rest
from avatar.motion.formats.joint_positions import landmarks
from avatar.motion.ik import Landmarks, fit_landmarks
from avatar.motion.motion import ReadOptions
from avatar.types import BodyPose

from .test_motion_readers import POSES, ROTATIONS, TRANS

REST = model_rest().float()
POSE = BodyPose(torch.from_numpy(TRANS), ROTATIONS)
TARGETS = joint_transforms(REST, SMPL_PARENTS, POSE)[..., :3, 3]


def fit_joints(targets: Tensor, sequence: bool = True) -> BodyPose:
    """The pose of a body whose joints reach the targets."""
    return fit_landmarks(
        REST, SMPL_PARENTS, Landmarks(torch.arange(24), torch.zeros_like(REST)), targets, sequence=sequence
    )


def limb_angles(pose: BodyPose, rest: Tensor) -> Tensor:
    """Angles in degrees between the limbs of a pose and those of the truth."""
    ours = joint_transforms(rest, SMPL_PARENTS, pose)[..., :3, 3]
    worst = []
    for side in ("left", "right"):
        for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")):
            i, j = SMPL_JOINTS.index(f"{side}_{a}"), SMPL_JOINTS.index(f"{side}_{b}")
            cosine = torch.nn.functional.cosine_similarity(
                ours[:, j] - ours[:, i], TARGETS[:, j] - TARGETS[:, i], dim=-1
            )
            worst.append(cosine.clamp(max=1).acos().rad2deg())
    return torch.stack(worst)


@pytest.mark.parametrize("sequence", [True, False])
def test_joints_reach_their_targets(sequence: bool) -> None:
    pose = fit_joints(TARGETS, sequence=sequence)
    reached = joint_transforms(REST, SMPL_PARENTS, pose)[..., :3, 3]
    assert float((reached - TARGETS).norm(dim=-1).mean()) < 0.001
    assert float((reached - TARGETS).norm(dim=-1).max()) < 0.006
    torch.testing.assert_close(pose.rotations @ pose.rotations.mT, torch.eye(3).expand(12, 24, 3, 3), atol=1e-5, rtol=0)


def test_bent_limbs_determine_the_twist_of_the_bone_above() -> None:
    pose = fit_joints(TARGETS)
    angle = geodesic_angle(pose.rotations, ROTATIONS).rad2deg()
    hips = [SMPL_JOINTS.index(f"{side}_hip") for side in ("left", "right")]
    assert float(angle[:, hips].mean()) < 6 and float(angle[:, 0].mean()) < 1


def test_extreme_poses_are_reached_too() -> None:
    generator = torch.Generator().manual_seed(3)
    rotvecs = torch.zeros(20, 24, 3)
    rotvecs[:, 16:18, 1:] = 1.2 * torch.randn(20, 2, 2, generator=generator)
    rotvecs[:, 1:3, 0] = -1.8 * torch.rand(20, 2, generator=generator)
    rotvecs[:, 4:6, 0] = 2.3 * torch.rand(20, 2, generator=generator)
    rotvecs[:, 0] = 3 * torch.randn(20, 3, generator=generator)
    expected = BodyPose(torch.randn(20, 3, generator=generator), rotation_from_rotvec(rotvecs))
    targets = joint_transforms(REST, SMPL_PARENTS, expected)[..., :3, 3]
    pose = fit_joints(targets, sequence=False)
    reached = joint_transforms(REST, SMPL_PARENTS, pose)[..., :3, 3]
    assert float((reached - targets).norm(dim=-1).median()) < 0.002
    assert float((reached - targets).norm(dim=-1).amax(1).median()) < 0.01


def test_missing_joints_are_filled_in_and_pull_nothing() -> None:
    targets = TARGETS.clone()
    hidden = [SMPL_JOINTS.index(n) for n in ("spine1", "spine2", "spine3", "left_collar", "right_collar", "left_hand")]
    targets[:, hidden] = torch.nan
    pose = fit_joints(targets)
    visible = [j for j in range(24) if j not in hidden]
    reached = joint_transforms(REST, SMPL_PARENTS, pose)[..., :3, 3]
    assert bool(pose.rotations.isfinite().all())
    assert float((reached - TARGETS)[:, visible].norm(dim=-1).mean()) < 0.003


def points_of(layout: str) -> np.ndarray:
    """The truth as points of a layout; points without a joint are noise."""
    chosen, riders, _ = landmarks(layout, 1.0)
    Ts = joint_transforms(REST, SMPL_PARENTS, POSE)[:, riders.joints]
    places = (Ts[..., :3, :3] @ riders.offsets[..., None]).squeeze(-1) + Ts[..., :3, 3]
    points = np.random.default_rng(0).normal(size=(len(POSES), len(LAYOUTS[layout]), 3))
    points[:, chosen] = places.numpy()
    return points


@pytest.mark.parametrize("layout", POINT_LAYOUTS)
def test_every_layout(tmp_path: Path, layout: str) -> None:
    points = points_of(layout)
    np.save(tmp_path / "a.npy", points)
    motion = load_motion(tmp_path / "a.npy")
    assert motion.format == "joints"
    angles = limb_angles(motion.track.poses, REST)
    assert float(angles.mean()) < 0.5, layout
    assert float(angles.max()) < 3


@pytest.mark.parametrize(("unit", "up"), [(1000.0, "y"), (100.0, "z"), (1.0, "-y")])
def test_units_and_axes_are_estimated(tmp_path: Path, unit: float, up: str) -> None:
    from avatar.motion.motion import UP_AXES

    points = unit * points_of("coco17") @ np.array(UP_AXES[up])
    np.savez(tmp_path / "a.npz", keypoints_3d=points.astype(np.float32), fps=50)
    motion = load_motion(tmp_path / "a.npz")
    assert motion.track.fps == pytest.approx(50)
    assert float(limb_angles(motion.track.poses, REST).mean()) < 0.5


def test_gaps_are_interpolated_and_confidences_are_used(tmp_path: Path) -> None:
    points = np.concatenate([points_of("coco17"), np.ones((len(POSES), 17, 1))], -1)
    points[3:6, 7] = np.nan
    points[8, 9] = (5, 5, 5, 0.0)
    np.save(tmp_path / "a.npy", points)
    pose = load_motion(tmp_path / "a.npy").track.poses
    assert bool(pose.rotations.isfinite().all())
    assert float(limb_angles(pose, REST).max()) < 15


def test_the_feet_give_the_path_of_hip_centred_joints(tmp_path: Path) -> None:
    from avatar.motion.procedural import builtin_motion

    walk = builtin_motion("walk").track.poses
    joints = joint_transforms(REST, SMPL_PARENTS, walk)[..., :3, 3]
    centred = joints - joints[:, [1, 2]].mean(1, keepdim=True)
    np.save(tmp_path / "a.npy", centred.numpy())
    path = load_motion(tmp_path / "a.npy", ReadOptions(fps=60.0)).track.poses.root_position
    distance = walk.root_position[-1] - walk.root_position[0]
    assert float((path[-1] - path[0])[2]) == pytest.approx(float(distance[2]), rel=0.15)


def test_an_unknown_layout_lists_the_registered_ones(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 20, 3)))
    with pytest.raises(UsageError, match=r"20 points.*coco17 \(17\)"):
        load_motion(tmp_path / "a.npy")


def test_sam_3d_body_results(tmp_path: Path) -> None:
    """SAM 3D Body: a list of one dictionary per frame, in the camera's frame, as its demo saves it."""
    points = (points_of("mhr70") * np.array([1, -1, -1])).astype(np.float32)
    frames = [{"pred_keypoints_3d": p - p[9], "pred_cam_t": p[9], "focal_length": np.float32(900)} for p in points]
    np.save(tmp_path / "a.npy", np.array(frames, dtype=object), allow_pickle=True)
    motion = load_motion(tmp_path / "a.npy")
    assert motion.format == "sam3d"
    assert float(limb_angles(motion.track.poses, REST).mean()) < 0.5


@pytest.mark.parametrize(
    "axes", ["one row", "columns in one row", "joints before frames", "columns before joints", "frames last"]
)
def test_other_orders_of_the_axes_are_the_same_motion(tmp_path: Path, axes: str) -> None:
    joints = TARGETS[:, :22].numpy()
    orders = {
        "one row": joints.reshape(len(joints), -1),
        "columns in one row": joints.swapaxes(1, 2).reshape(len(joints), -1),
        "joints before frames": joints.swapaxes(0, 1),
        "columns before joints": joints.swapaxes(1, 2),
        "frames last": np.moveaxis(joints, 0, -1),
    }
    np.save(tmp_path / "a.npy", orders[axes])
    motion = load_motion(tmp_path / "a.npy")
    assert len(motion.track) == len(joints)
    assert float(limb_angles(motion.track.poses, REST).mean()) < 1


def test_rows_of_numbers_that_are_no_joints_are_refused_for_what_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "poses.npy", 0.3 * rng.normal(size=(30, 72)))
    with pytest.raises(UsageError, match=r"an array of shape \(30, 72\)"):
        load_motion(tmp_path / "poses.npy")
    np.save(tmp_path / "features.npy", rng.normal(size=(30, 263)))
    with pytest.raises(UsageError, match="HumanML3D's 263 features"):
        load_motion(tmp_path / "features.npy")


def test_a_single_frame_about_its_pelvis_is_a_pose(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", (TARGETS - TARGETS[:, :1])[:1].numpy())
    motion = load_motion(tmp_path / "a.npy")
    assert len(motion.track) == 1 and bool(motion.track.poses.root_position.isfinite().all())
