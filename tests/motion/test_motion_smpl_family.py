"""SMPL in the shapes that programs of this field give it, written here as they do, and read back as the truth."""

import json
import logging
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.body.face import FACE_UNITS
from avatar.body.model import RestBody
from avatar.body.skeleton import SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import AvatarError, UsageError
from avatar.geometry import geodesic_angle, quat_from_rotation, rotation_from_rotvec
from avatar.motion import Motion, load_motion
from avatar.motion.bone_lengths import model_rest
from avatar.motion.motion import ReadOptions
from avatar.motion.retarget import Retargeting, retarget
from avatar.types import BodyPose

from .test_motion_joints import limb_angles
from .test_motion_readers import FLAT, FRAMES, POSES, ROTATIONS, TRANS, camera_rotations, camera_trans

FLIP = np.diag([1.0, -1, -1]).astype(np.float32)
IN_CAMERA = camera_rotations()
ROOT_IN_CAMERA = torch.from_numpy(IN_CAMERA[:, 0])


def rotvecs_in_camera() -> np.ndarray:
    """The truth before a camera (x right, y down), axis-angle."""
    from avatar.geometry import rotation_to_rotvec

    return rotation_to_rotvec(torch.from_numpy(IN_CAMERA)).numpy()


def assert_truth(motion: Motion, joints: int = 22, path: bool = True, frames: slice | list[int] = slice(None)) -> None:
    poses = motion.track.poses
    assert len(poses.rotations) == FRAMES
    angle = geodesic_angle(poses.rotations[frames, :joints], ROTATIONS[frames, :joints]).rad2deg()
    assert float(angle.max()) < 0.5
    if path:
        moved = poses.root_position - poses.root_position[0]
        torch.testing.assert_close(moved[frames], torch.from_numpy(TRANS - TRANS[0])[frames], atol=2e-3, rtol=0)


def other_person() -> tuple[np.ndarray, np.ndarray]:
    """Somebody else in the same video: still, elsewhere."""
    return np.zeros_like(POSES), TRANS * 0 + 5


def people_first(order: str) -> dict[str, Any]:
    """SLAHMR's arrays: (people, frames, ...), the truth being person 1."""
    still, elsewhere = other_person()
    poses, trans = np.stack([still, POSES]), np.stack([elsewhere, TRANS])
    arrays = {
        "root_orient": poses[:, :, 0],
        "pose_body": poses[:, :, 1:22].reshape(2, FRAMES, 63),
        "trans": trans,
        "betas": np.zeros((2, 16)),
    }
    if order == "frames first":
        arrays = {name: value.swapaxes(0, 1) if value.ndim == 3 else value for name, value in arrays.items()}
    return arrays


@pytest.mark.parametrize("order", ["people first", "frames first"])
def test_slahmr_holds_people_in_an_axis_of_their_own(tmp_path: Path, order: str) -> None:
    np.savez(tmp_path / "world_results.npz", **people_first(order))
    assert_truth(load_motion(tmp_path / "world_results.npz", ReadOptions(person="1")))
    still = load_motion(tmp_path / "world_results.npz").track.poses.rotations
    assert float(geodesic_angle(still, torch.eye(3).expand_as(still)).max()) < 1e-3
    with pytest.raises(UsageError, match="no person '2': it has 0, 1"):
        load_motion(tmp_path / "world_results.npz", ReadOptions(person="2"))


def test_frames_that_slahmr_masks_are_blended(tmp_path: Path) -> None:
    arrays = people_first("people first")
    mask = np.ones((2, FRAMES))
    mask[1, 5] = 0
    arrays["pose_body"][1, 5] = 1.0
    np.savez(tmp_path / "a.npz", **arrays, track_mask=mask)
    motion = load_motion(tmp_path / "a.npz", ReadOptions(person="1"))
    assert_truth(motion, frames=[k for k in range(FRAMES) if k != 5])
    assert float(geodesic_angle(motion.track.poses.rotations[5], ROTATIONS[5]).rad2deg().max()) < 20


SHAPES: dict[str, dict[str, Any]] = {
    "one person, 72": {"poses": FLAT[None], "trans": TRANS[None]},
    "an empty axis after the frames": {"poses": FLAT[:, None], "trans": TRANS[:, None]},
    "joints in an axis": {"poses": POSES, "trans": TRANS},
    "root and body apart, joints in an axis": {
        "global_orient": POSES[:, :1], "body_pose": POSES[:, 1:22], "transl": TRANS},
    "matrices": {"rotmat": ROTATIONS.numpy(), "transl": TRANS},
    "matrices apart": {
        "global_orient": ROTATIONS.numpy()[:, :1], "body_pose": ROTATIONS.numpy()[:, 1:], "transl": TRANS},
    "matrices in a row": {"thetas": ROTATIONS.numpy().reshape(FRAMES, 216), "trans": TRANS},
    "quaternions in a row": {"thetas": quat_from_rotation(ROTATIONS).numpy().reshape(FRAMES, 96), "trans": TRANS},
    "people and joints in axes": {"poses": POSES[None], "trans": TRANS[None]},
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_of_the_arrays_is_the_same_motion(tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "a.npz", **SHAPES[name])
    assert_truth(load_motion(tmp_path / "a.npz"))


def test_three_frames_of_axis_angles_are_no_matrix(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", global_orient=POSES[:3, 0], body_pose=POSES[:3, 1:22].reshape(3, 63))
    poses = load_motion(tmp_path / "a.npz").track.poses.rotations
    assert float(geodesic_angle(poses[:, :22], ROTATIONS[:3, :22]).rad2deg().max()) < 0.5


def test_rotations_of_six_numbers_are_refused_and_quaternions_of_joints_are_read(tmp_path: Path) -> None:
    quats = quat_from_rotation(ROTATIONS).numpy()
    np.savez(tmp_path / "q.npz", poses=quats, trans=TRANS, fps=30.0)
    assert_truth(load_motion(tmp_path / "q.npz"))
    six = ROTATIONS[..., :2].numpy()
    for shape in ((FRAMES, 24, 6), (FRAMES, 144)):
        np.savez(tmp_path / "six.npz", poses=six.reshape(shape), trans=TRANS)
        with pytest.raises(UsageError, match="rotations of six numbers"):
            load_motion(tmp_path / "six.npz")


def test_what_fits_no_body_is_refused_with_its_shape(tmp_path: Path) -> None:
    np.savez(tmp_path / "latent.npz", global_orient=POSES[:, 0], body_pose=np.zeros((FRAMES, 32)))
    with pytest.raises(UsageError, match=r"body_pose has the shape \(12, 32\), which fits no SMPL body"):
        load_motion(tmp_path / "latent.npz")


def test_vibe(tmp_path: Path) -> None:
    """Persons by track; the pose before the camera, no translation: the feet give the path."""
    person = {
        "pred_cam": np.ones((FRAMES, 3)), "orig_cam": np.ones((FRAMES, 4)), "frame_ids": np.arange(FRAMES),
        "pose": rotvecs_in_camera().reshape(FRAMES, 72), "betas": np.zeros((FRAMES, 10)),
        "bboxes": np.zeros((FRAMES, 4)), "joints3d": np.zeros((FRAMES, 49, 3)),
    }  # fmt: skip
    people = {2: person, 1: {key: value[:4] for key, value in person.items()}}
    (tmp_path / "vibe_output.pkl").write_bytes(pickle.dumps(people))
    motion = load_motion(tmp_path / "vibe_output.pkl")
    assert motion.format == "vibe"
    assert_truth(motion, joints=24, path=False)
    assert len(load_motion(tmp_path / "vibe_output.pkl", ReadOptions(person="1")).track) == 4


def romp_image(frame: int) -> dict[str, np.ndarray]:
    thetas = rotvecs_in_camera()[frame].reshape(1, 72)
    return {
        "smpl_thetas": np.concatenate([thetas * 0, thetas]), "smpl_betas": np.zeros((2, 10)),
        "cam_trans": np.stack([camera_trans()[frame] * 0, camera_trans()[frame]]), "cam": np.zeros((2, 3)),
        "track_ids": np.array([1, 7] if frame else [1, 3]),
    }  # fmt: skip


def test_romp_of_a_video(tmp_path: Path) -> None:
    results = {f"frames/{k:08d}.jpg": romp_image(k) if k != 5 else {} for k in range(FRAMES)}
    np.savez(tmp_path / "video_results.npz", results=np.array(results, dtype=object))
    motion = load_motion(tmp_path / "video_results.npz", ReadOptions(person="7"))
    assert motion.format == "romp" and len(motion.track) == FRAMES - 1  # person 7 comes with the second frame
    kept = [k for k in range(FRAMES - 1) if k != 4]
    angle = geodesic_angle(motion.track.poses.rotations[kept], ROTATIONS[[k + 1 for k in kept]]).rad2deg()
    assert float(angle.max()) < 0.5


def test_romp_of_single_images(tmp_path: Path) -> None:
    for k in range(FRAMES):
        image = {key: value[1:] for key, value in romp_image(k).items() if key != "track_ids"}
        np.savez(tmp_path / f"{k:05d}.npz", results=np.array(image, dtype=object))
    motion = load_motion(tmp_path)
    assert motion.format == "romp"
    assert_truth(motion, joints=24)


@pytest.mark.parametrize("kind", ["matrices", "quaternions"])
def test_hybrik(tmp_path: Path, kind: str) -> None:
    R = torch.from_numpy(IN_CAMERA)
    thetas = R.reshape(FRAMES, 216) if kind == "matrices" else quat_from_rotation(R).reshape(FRAMES, 24, 4)
    result = {"pred_thetas": [row.numpy() for row in thetas], "transl": list(camera_trans()[:, None]),
              "pred_xyz_29": list(np.zeros((FRAMES, 29, 3))), "pred_betas": list(np.zeros((FRAMES, 10)))}  # fmt: skip
    (tmp_path / "res.pk").write_bytes(pickle.dumps(result))
    motion = load_motion(tmp_path / "res.pk")
    assert motion.format == "hybrik"
    assert_truth(motion, joints=24)


def mdm_joints() -> np.ndarray:
    pose = BodyPose(torch.from_numpy(TRANS), ROTATIONS)
    joints: np.ndarray = joint_transforms(model_rest().float(), SMPL_PARENTS, pose)[:, :22, :3, 3].numpy()
    return joints


def test_mdm_samples_are_chosen_by_number_or_text(tmp_path: Path) -> None:
    motion = np.zeros((2, 22, 3, 20))
    motion[1, :, :, :FRAMES] = mdm_joints().transpose(1, 2, 0)
    motion[0] = motion[1, :, :, :1]
    content: Any = {"motion": motion, "text": ["stands", "walks"], "lengths": np.array([20, FRAMES]),
                    "num_samples": 2, "num_repetitions": 1}  # fmt: skip
    np.save(tmp_path / "results.npy", content)
    for wanted in ("1", "1: walks"):
        read = load_motion(tmp_path / "results.npy", ReadOptions(clip=wanted))
        assert (read.format, len(read.track)) == ("mdm", FRAMES)
        assert read.track.fps == pytest.approx(20)
        assert float(limb_angles(read.track.poses, model_rest().float()).mean()) < 0.5
    assert len(load_motion(tmp_path / "results.npy").track) == 20


def test_mdm_smpl_parameters(tmp_path: Path) -> None:
    six = ROTATIONS.numpy()[:, :, :2].reshape(FRAMES, 24, 6)
    content: Any = {"thetas": six.transpose(1, 2, 0), "root_translation": TRANS.T, "text": "x", "length": FRAMES}
    np.save(tmp_path / "sample00_smpl_params.npy", content)
    assert_truth(load_motion(tmp_path / "sample00_smpl_params.npy"), joints=24)


def fingers() -> np.ndarray:
    angles = np.arange(FRAMES)[:, None, None] + np.arange(30)[:, None] + np.arange(3)
    bent: np.ndarray = (0.3 * np.sin(angles)).astype(np.float32)
    return bent


def test_a_folder_of_smplerx(tmp_path: Path) -> None:
    """As SMPLer-X and OSX write: one npz per image and person; the second person is in view more often."""
    rotvecs, hands = rotvecs_in_camera(), fingers()
    for k in range(FRAMES):
        for person, rows in ((0, rotvecs * 0), (1, rotvecs)):
            if (person == 1 and k == 5) or (person == 0 and k > 6):
                continue
            np.savez(
                tmp_path / f"{k + 1:05d}_{person}.npz", global_orient=rows[k, :1], body_pose=rows[k, 1:22],
                left_hand_pose=hands[k, :15], right_hand_pose=hands[k, 15:], jaw_pose=np.zeros((1, 3)),
                betas=np.zeros((1, 10)), transl=camera_trans()[k, None],
            )  # fmt: skip
    motion = load_motion(tmp_path)
    assert motion.format == "smpl-folder"
    assert_truth(motion, frames=[k for k in range(FRAMES) if k != 5])
    fingers_read = motion.track.poses.fingers
    assert fingers_read is not None
    expected = rotation_from_rotvec(torch.from_numpy(hands))
    kept = [k for k in range(FRAMES) if k != 5]
    assert float(geodesic_angle(fingers_read[kept], expected[kept]).rad2deg().max()) < 0.5
    assert len(load_motion(tmp_path, ReadOptions(person="0")).track) == 7


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_folder_of_easymocap(tmp_path: Path, wrapped: bool) -> None:
    for k in range(FRAMES):
        people = [{"id": 4, "Rh": POSES[k, :1].tolist(), "Th": TRANS[k : k + 1].tolist(),
                   "poses": [[0.0, 0, 0, *FLAT[k, 3:].tolist()]], "shapes": [[0.0] * 10]}]  # fmt: skip
        text = json.dumps({"annots": people} if wrapped else people)
        (tmp_path / f"{k:06d}.json").write_text(text, encoding="utf-8")
    motion = load_motion(tmp_path)
    assert motion.format == "smpl-folder"
    assert_truth(motion, joints=24, path=False)  # there the pelvis itself moves with the rotation about the origin


def test_an_empty_folder_is_refused_for_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"neither a run nor files of one image each"):
        load_motion(tmp_path)


def test_fingers_jaw_and_eyes_are_played(tmp_path: Path) -> None:
    """SMPL-X's poses, 22 + jaw and eyes + 30, twice over."""
    hands, head = fingers(), np.zeros((FRAMES, 3, 3))
    head[:, 0, 0], head[:, 1, 1] = 0.16, 0.21
    poses = np.concatenate([POSES[:, :22], head, hands], axis=1).reshape(FRAMES, 165)
    np.savez(tmp_path / "a.npz", poses=poses, trans=TRANS, fps=30.0)
    motion = load_motion(tmp_path / "a.npz")
    body = RestBody(torch.zeros(1, 3), model_rest().float())
    track = retarget(motion, body, Retargeting(feet="keep", facing="keep", loop=2))
    assert track.poses.rotations.shape == (2 * FRAMES, 24, 3, 3)
    expected = rotation_from_rotvec(torch.from_numpy(hands)).repeat(2, 1, 1, 1)
    assert track.poses.fingers is not None and track.poses.face is not None
    assert float(geodesic_angle(track.poses.fingers, expected).rad2deg().max()) < 0.1
    moved = {FACE_UNITS[unit]: round(float(track.poses.face[0, unit]), 3) for unit in track.poses.face[0].nonzero()}
    assert moved == {"jawOpen": 0.5, "eyeLookOutLeft": 0.5}


@pytest.fixture
def hands_file(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """The parts of a body file that hands need: mean hands (2, 45) and components (2, 45, 45)."""
    rng = np.random.default_rng(1)
    mean, components = 0.1 * rng.normal(size=(2, 45)), np.linalg.qr(rng.normal(size=(2, 45, 45)))[0]
    path = tmp_path / "SMPLX_NEUTRAL.npz"
    np.savez(path, hands_meanl=mean[0], hands_meanr=mean[1], hands_componentsl=components[0],
             hands_componentsr=components[1])  # fmt: skip
    return path, mean, components


@pytest.mark.parametrize("form", ["two arrays", "one array", "EasyMocap", "EasyMocap's SMPL-X"])
def test_principal_components_of_hands_need_the_body_file(
    tmp_path: Path, hands_file: tuple[Path, np.ndarray, np.ndarray], form: str, caplog: pytest.LogCaptureFixture
) -> None:
    body, mean, components = hands_file
    count = 6 if form.startswith("EasyMocap") else 12
    hands = np.random.default_rng(2).normal(size=(FRAMES, 2, count))
    rest = {"transl": TRANS, "fps": 30.0, "global_orient": POSES[:, 0], "body_pose": POSES[:, 1:22].reshape(FRAMES, 63)}
    if form == "two arrays":
        arrays = {**rest, "left_hand_pose": hands[:, 0], "right_hand_pose": hands[:, 1]}
    elif form == "one array":
        arrays = {**rest, "hand_pose": hands.reshape(FRAMES, -1)}
    else:
        poses = np.concatenate([POSES[:, :22].reshape(FRAMES, 66), hands.reshape(FRAMES, 12)], axis=1)
        poses = np.pad(poses, ((0, 0), (0, 9 if form.endswith("X") else 0)))
        arrays = {"poses": poses, "trans": TRANS, "fps": 30.0}
    np.savez(tmp_path / "a.npz", **arrays)
    logging.getLogger("avatar").propagate = True
    motion = load_motion(tmp_path / "a.npz")
    assert_truth(motion)
    assert f"its hands are {count} principal components" in caplog.text and motion.track.poses.fingers is None
    motion = load_motion(tmp_path / "a.npz", ReadOptions(body=str(body)))
    assert_truth(motion)
    rotvecs = mean + np.einsum("thk,hkc->thc", hands, components[:, :count])
    expected = rotation_from_rotvec(torch.from_numpy(rotvecs.reshape(FRAMES, 30, 3)))
    assert motion.track.poses.fingers is not None
    assert float(geodesic_angle(motion.track.poses.fingers, expected.float()).rad2deg().max()) < 0.1
    np.savez(tmp_path / "smpl.npz", v_template=np.zeros((6890, 3)))
    with pytest.raises(AvatarError, match=r"smpl\.npz has no hands_meanl"):
        load_motion(tmp_path / "a.npz", ReadOptions(body=str(tmp_path / "smpl.npz")))


@pytest.fixture(scope="module")
def body_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A body of SMPL's size: the open one, thinned to 6890 vertices."""
    body = load_body("open")
    chosen = np.sort(np.random.default_rng(0).permutation(len(body.template))[:6890])
    regressor = body.joint_regressor.numpy()[:, chosen]
    path = tmp_path_factory.mktemp("body") / "smpl.npz"
    np.savez(
        path, v_template=body.template[chosen], weights=body.weights[chosen], f=np.array([[0, 1, 2]]),
        J_regressor=regressor / regressor.sum(1, keepdims=True), shapedirs=body.shape_dirs[chosen],
        kintree_table=np.array([[2**32 - 1, *body.parents[1:]], np.arange(24)]),
    )  # fmt: skip
    return path


def test_vertices_give_the_pose_where_the_body_file_is_at_hand(tmp_path: Path, body_file: Path) -> None:
    body = load_body(body_file)
    rest = body.rest(torch.linspace(-0.5, 0.5, body.shape_dirs.shape[-1]))
    start = torch.from_numpy(TRANS) + rest.joints[0]
    np.save(tmp_path / "v.npy", body.vertices(rest, BodyPose(start, ROTATIONS)).numpy())
    with pytest.raises(UsageError, match="holds vertices of SMPL or SMPL-H, whose pose only its body file tells"):
        load_motion(tmp_path / "v.npy")
    motion = load_motion(tmp_path / "v.npy", ReadOptions(body=str(body_file)))
    assert motion.format == "vertices"
    angle = geodesic_angle(motion.track.poses.rotations[:, :22], ROTATIONS[:, :22]).rad2deg()
    assert float(angle.mean()) < 1.5 and float(angle.max()) < 8
    moved = motion.track.poses.root_position - motion.track.poses.root_position[0]
    torch.testing.assert_close(moved, torch.from_numpy(TRANS - TRANS[0]), atol=0.01, rtol=0)
    wrong = np.zeros((3, 10475, 3))
    np.save(tmp_path / "x.npy", wrong)
    with pytest.raises(UsageError, match="10475 vertices per frame"):
        load_motion(tmp_path / "x.npy", ReadOptions(body=str(body_file)))


def test_a_missing_frame_number_and_mixed_files_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "first.npz", global_orient=np.zeros((1, 3)), body_pose=np.zeros((21, 3)))
    with pytest.raises(AvatarError, match=r"first\.npz has no frame number"):
        load_motion(tmp_path)


def test_times_survive_the_fingers() -> None:
    """Body and fingers play at the same times, also where those are uneven."""
    from avatar.motion.motion import uniform_track

    angles = torch.linspace(0, 1, 5)
    rotvecs = torch.zeros(5, 30, 3)
    rotvecs[..., 0] = angles[:, None]
    still, turned = torch.eye(3).repeat(5, 24, 1, 1), rotation_from_rotvec(rotvecs)
    track = replace(
        uniform_track(still, torch.zeros(5, 3), 30.0, fingers=turned), times=torch.tensor([0.0, 0.1, 0.2, 0.3, 1.0])
    )
    body = RestBody(torch.zeros(1, 3), model_rest().float())
    played = retarget(Motion("x", track), body, Retargeting(fps=10.0, feet="keep")).poses.fingers
    assert played is not None
    expected = torch.from_numpy(np.interp(np.arange(11) / 10, track.times.numpy(), angles.numpy())).float()
    got = torch.atan2(played[:, 0, 2, 1], played[:, 0, 1, 1])
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)
