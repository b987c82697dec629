"""The reader of captures on broken folders; sound ones are read in tests/evaluate."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.body.skeleton import SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.datasets.capture import R_WORLD_CAPTURE, load_capture, read_capture_cameras, read_capture_skeleton
from avatar.errors import AvatarError, UsageError
from avatar.geometry import invert_rigid, rotation_from_rotvec, rotation_to_rotvec
from avatar.io.files import write_npz
from avatar.types import BodyPose


def _clip(folder: Path, **changes: np.ndarray | None) -> None:
    folder.mkdir(parents=True)
    (folder / "video.mp4").touch()
    arrays: dict[str, np.ndarray | None] = {
        "joints": np.zeros((2, 24, 3)), "K": np.eye(3), "cam_R": np.eye(3)[None], "cam_t": np.zeros((1, 3)),
        "image_size": np.array([4, 6]),
    }  # fmt: skip
    write_npz(folder / "gt.npz", **{k: v for k, v in (arrays | changes).items() if v is not None})
    (folder / "cameras.json").write_text(json.dumps({"cameras": {}, "fps": 30}))


def test_each_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a capture"):
        load_capture(tmp_path)
    _clip(tmp_path / "turn")
    with pytest.raises(AvatarError, match=r"masks/0000\.png, .*masks/0001\.png"):
        load_capture(tmp_path)
    (tmp_path / "turn" / "gt.npz").unlink()
    (tmp_path / "turn" / "cameras.json").unlink()
    with pytest.raises(AvatarError, match=r"gt\.npz, .*cameras\.json"):
        load_capture(tmp_path)


def _masks(folder: Path) -> None:
    (folder / "masks").mkdir()
    for index in range(2):
        (folder / "masks" / f"{index:04d}.png").touch()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"joints": None}, "lacks the array joints"),
        ({"joints": np.zeros((2, 17, 3))}, "n x 24 x 3"),
        ({"K": np.full((3, 3), np.nan)}, "K should be"),
        ({"cam_t": np.zeros((2, 3))}, "cam_t should be"),
        ({"rest_joints": np.zeros((2, 24, 3))}, "rest_joints should be"),
        ({"local_rotvec": np.zeros((1, 24, 3))}, "local_rotvec should be"),
        ({"cam_R": np.zeros((3, 3, 3)), "cam_t": np.zeros((3, 3))}, "3 cameras for 2 frames"),
        ({"exposure_gain": np.ones(3)}, "exposure_gain should be"),
    ],
)
def test_wrong_arrays_are_said(tmp_path: Path, changes: dict[str, np.ndarray | None], sentence: str) -> None:
    _clip(tmp_path / "turn", **changes)
    _masks(tmp_path / "turn")
    with pytest.raises(AvatarError, match=sentence):
        load_capture(tmp_path)


def test_a_person_who_stands_on_the_floor_stands_on_ours(tmp_path: Path) -> None:
    up = np.zeros((2, 24, 3))
    up[:, 15] = [0.1, -0.2, 1.7]  # z is up and the person faces -y
    _clip(tmp_path / "turn", joints=up)
    _masks(tmp_path / "turn")
    joints = load_capture(tmp_path).clip("turn").joints
    assert joints[0, 15].tolist() == pytest.approx([0.1, 1.7, 0.2])


def test_rotations_carry_the_t_pose_onto_the_joints(tmp_path: Path) -> None:
    """A chain of turns away from the T-pose ends at the given places, also in our axes."""
    body, axes = load_body("open"), torch.tensor(R_WORLD_CAPTURE)
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1])).joints
    turns = 0.5 * torch.randn(3, 24, 3, generator=torch.Generator().manual_seed(1))
    pose = BodyPose(torch.ones(3, 3), rotation_from_rotvec(turns))
    joints = joint_transforms(rest, SMPL_PARENTS, pose)[..., :3, 3]
    files = {"joints": joints, "rest_joints": rest, "local_rotvec": rotation_to_rotvec(pose.rotations)}
    write_npz(tmp_path / "gt.npz", **{name: (array @ axes).numpy() for name, array in files.items()})
    skeleton = read_capture_skeleton(tmp_path / "gt.npz")
    assert skeleton.rest_joints is not None and skeleton.rotations is not None
    posed = joint_transforms(skeleton.rest_joints, SMPL_PARENTS, BodyPose(skeleton.joints[:, 0], skeleton.rotations))
    torch.testing.assert_close(posed[..., :3, 3], skeleton.joints, atol=1e-5, rtol=0)
    torch.testing.assert_close(skeleton.rotations, pose.rotations, atol=1e-5, rtol=0)


def test_a_file_that_is_no_camera_file(tmp_path: Path) -> None:
    (tmp_path / "cameras.json").write_text('{"cameras": {"a": {"K": 3}}}')
    with pytest.raises(AvatarError, match="not a camera file"):
        read_capture_cameras(tmp_path / "cameras.json")


def test_a_camera_that_moves_has_one_pose_per_frame(tmp_path: Path) -> None:
    centres = np.array([[0.0, -3.0, 1.0], [1.0, -3.0, 1.0]])
    R = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # looks along +y, z is up
    t = -centres @ R.T
    _clip(tmp_path / "walk", cam_R=np.stack([R, R]), cam_t=t, exposure_gain=np.array([1.0, 1.2]))
    _masks(tmp_path / "walk")
    clip = load_capture(tmp_path).clip("walk")
    assert clip.exposure is not None and clip.exposure.tolist() == pytest.approx([1.0, 1.2])
    ours = invert_rigid(clip.cameras.T_camera_world)[:, :3, 3]
    assert ours.flatten().tolist() == pytest.approx([0, 1, 3, 1, 1, 3])
    camera = {"K": np.eye(3).tolist(), "R": [R.tolist()] * 2, "t": t.tolist(), "width": 4, "height": 6}
    path = tmp_path / "cameras.json"
    path.write_text(json.dumps({"cameras": {"walk": camera | {"per_frame": True}}, "fps": 30}))
    cameras, names = read_capture_cameras(path)
    assert names == ("walk0000", "walk0001")
    torch.testing.assert_close(cameras.T_camera_world, clip.cameras.T_camera_world)
