"""Every format is read from a file written in that format, and gives the same motion as its truth.

`data/` was written by the formats' own libraries (`make_fixtures.py`); the formats that are plain npz, pickle,
torch or JSON are written here as their programs do.
"""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import UsageError
from avatar.geometry import geodesic_angle, rotation_from_rotvec
from avatar.motion import load_motion
from avatar.motion.bone_lengths import model_rest
from avatar.motion.formats.bvh import parse_bvh, write_bvh
from avatar.motion.formats.container import open_content
from avatar.motion.formats.player_json import write_player_motion
from avatar.motion.joint_names import match_joints
from avatar.motion.motion import Motion, ReadOptions
from avatar.types import BodyPose

DATA = Path(__file__).parent / "data"
TRUTH = np.load(DATA / "truth.npz")
POSES, TRANS = TRUTH["poses"], TRUTH["trans"]
ROTATIONS = rotation_from_rotvec(torch.from_numpy(POSES))
FRAMES = len(POSES)
FLAT = POSES.reshape(FRAMES, 72)
Y_TO_Z = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=np.float32)
HALF_DEGREE = 0.5


def worst_angle(motion: Motion, frames: slice | list[int] = slice(None)) -> float:
    return float(geodesic_angle(motion.track.poses.rotations[frames], ROTATIONS[frames]).rad2deg().max())


def turned(poses: np.ndarray, R: np.ndarray) -> np.ndarray:
    """The same poses in a world rotated by R."""
    from avatar.geometry import rotation_to_rotvec

    out = poses.copy()
    root = torch.from_numpy(R) @ rotation_from_rotvec(torch.from_numpy(poses[:, 0]))
    out[:, 0] = rotation_to_rotvec(root).numpy()
    return out


def amass(path: Path, joints: int, rate: str) -> None:
    poses = np.zeros((FRAMES, joints, 3), np.float32)
    poses[:, :22] = turned(POSES, Y_TO_Z)[:, :22]
    poses[:, 22:] = 0.4  # bent fingers, which must not be read as hands
    pelvis = np.array((-0.002, -0.223, 0.028) if joints == 52 else (0.003, -0.351, 0.012))
    # AMASS translates the body by trans after rotating it about its own pelvis.
    trans = (TRANS + pelvis) @ Y_TO_Z.T - pelvis
    arrays: dict[str, Any] = {"poses": poses.reshape(FRAMES, -1), "trans": trans, rate: 120.0}
    np.savez(path, betas=np.zeros(16), gender=np.array("male"), **arrays)


def save_table(path: Path, table: dict[str, Any]) -> None:
    """A dictionary as `np.save` writes it: an npy file with one object."""
    np.save(path, np.array(table, dtype=object))


def write(name: str, path: Path) -> str:
    """One file of the format, as the program that makes it does; returns the name of the format."""
    if name == "amass_h":
        amass(path, 52, "mocap_framerate")
        return "amass"
    if name == "amass_x":
        amass(path, 55, "mocap_frame_rate")
        return "amass"
    if name == "aist":  # AIST++
        content = {"smpl_poses": FLAT, "smpl_trans": 93.0 * TRANS, "smpl_scaling": np.array([93.0])}
        path.write_bytes(pickle.dumps(content))
        return "aist"
    if name == "gvhmr":
        body = {
            "global_orient": FLAT[:, :3],
            "body_pose": FLAT[:, 3:66],
            "transl": TRANS,
            "betas": np.zeros((FRAMES, 10)),
        }
        in_camera = {k: torch.zeros(FRAMES, 3) for k in ("global_orient", "transl")} | {
            "body_pose": torch.zeros(FRAMES, 63)
        }
        world = {k: torch.from_numpy(np.asarray(v)) for k, v in body.items()}
        torch.save({"smpl_params_global": world, "smpl_params_incam": in_camera, "K_fullimg": torch.eye(3)}, path)
        return "gvhmr"
    if name == "smpl_poses":
        np.savez(path, poses=FLAT, trans=TRANS, fps=60.0)
    elif name == "smpl_parts":
        path.write_bytes(pickle.dumps({"global_orient": FLAT[:, :3], "body_pose": FLAT[:, 3:], "transl": TRANS}))
    elif name == "smpl_x_parts":
        np.savez(path, global_orient=FLAT[:, :3], body_pose=FLAT[:, 3:66], transl=TRANS, betas=np.zeros(10))
    elif name == "easymocap":
        # EasyMocap rotates about the origin: R p + Th.
        np.savez(path, poses=np.concatenate([0 * FLAT[:, :3], FLAT[:, 3:]], 1), Rh=FLAT[:, :3], Th=TRANS)
    elif name == "tram":
        save_table(
            path, {"pred_rotmat": camera_rotations(), "pred_trans": camera_trans()[:, None], "frame": np.arange(FRAMES)}
        )
        path.with_name(path.name + ".npy").rename(path)
        return "tram"
    elif name == "player":
        write_player_motion(path, BodyPose(torch.from_numpy(TRANS), ROTATIONS), 30.0)
        return "own"
    return "smpl"


def camera_rotations() -> np.ndarray:
    R = ROTATIONS.numpy().copy()
    R[:, 0] = np.diag([1.0, -1, -1]).astype(np.float32) @ R[:, 0]
    return R


def camera_trans() -> np.ndarray:
    return np.asarray(TRANS @ np.diag([1.0, -1, -1]).astype(np.float32))


@pytest.mark.parametrize(
    "name",
    ["amass_h", "amass_x", "aist", "gvhmr", "smpl_poses", "smpl_parts", "smpl_x_parts", "easymocap", "tram", "player"],
)
def test_formats_written_here(tmp_path: Path, name: str) -> None:
    path = tmp_path / ("file.json" if name == "player" else "file")
    path = (
        path.with_suffix(".npz") if name in ("amass_h", "amass_x", "smpl_poses", "smpl_x_parts", "easymocap") else path
    )
    path = path.with_suffix(".pkl") if name in ("aist", "smpl_parts") else path
    form = write(name, path)
    motion = load_motion(path)
    assert motion.format == form
    joints = [j for j in range(24) if name not in ("amass_h", "amass_x", "gvhmr", "smpl_x_parts") or j < 22]
    angle = geodesic_angle(motion.track.poses.rotations[:, joints], ROTATIONS[:, joints]).rad2deg().max()
    assert float(angle) < HALF_DEGREE
    hands = motion.track.poses.rotations[:, len(joints) :]
    torch.testing.assert_close(hands, torch.eye(3).expand_as(hands))
    moved = motion.track.poses.root_position - motion.track.poses.root_position[0]
    if name != "easymocap":  # there the pelvis itself moves with the rotation about the origin
        torch.testing.assert_close(moved, torch.from_numpy(TRANS - TRANS[0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("name", "form"),
    [("motion.smpl", "smplcodec"), ("wham_output.pkl", "wham"), ("wham_compressed.pkl", "wham"),
     ("phalp.pkl", "phalp"), ("prompthmr_results.pkl", "prompthmr")],
)  # fmt: skip
def test_formats_written_by_their_own_libraries(name: str, form: str) -> None:
    motion = load_motion(DATA / name)
    assert (motion.format, len(motion.track)) == (form, FRAMES)
    # The person is missing in frame 5 of the PHALP track, where the neighbours are blended.
    frames = [k for k in range(FRAMES) if form != "phalp" or k != 5]
    assert worst_angle(motion, frames) < HALF_DEGREE
    moved = motion.track.poses.root_position[-1] - motion.track.poses.root_position[0]
    torch.testing.assert_close(moved, torch.from_numpy(TRANS[-1] - TRANS[0]), atol=1e-4, rtol=0)


def test_a_person_is_selected_by_name_and_an_unknown_one_is_refused() -> None:
    assert len(load_motion(DATA / "wham_output.pkl", ReadOptions(person="0")).track) == 3
    with pytest.raises(UsageError, match="it has 0, 1"):
        load_motion(DATA / "wham_output.pkl", ReadOptions(person="9"))


def test_tram_with_a_moving_camera(tmp_path: Path) -> None:
    """A person seen by a rotating camera moves as they do in the world."""
    turn = np.stack([rotation_from_rotvec(torch.tensor([0.0, 0.03 * k, 0.0])).numpy() for k in range(FRAMES + 2)])
    place = np.linspace([0, 0, 0], [0.1, 0, 0.4], FRAMES + 2)
    save_table(tmp_path / "camera.npy", {"pred_cam_R": turn, "pred_cam_T": place})
    pelvis = np.array((-0.002, -0.223, 0.028))
    R, world = camera_rotations(), camera_trans() + pelvis
    back = np.swapaxes(turn[2:], 1, 2)
    R[:, 0] = back @ R[:, 0]
    trans = (back @ (world - place[2:])[..., None])[..., 0] - pelvis
    (tmp_path / "hps").mkdir()
    frame = np.arange(2, FRAMES + 2)
    save_table(tmp_path / "hps/hps_track_0.npy", {"pred_rotmat": R, "pred_trans": trans[:, None], "frame": frame})
    motion = load_motion(tmp_path / "hps/hps_track_0.npy")
    assert worst_angle(motion) < HALF_DEGREE
    moved = motion.track.poses.root_position[-1] - motion.track.poses.root_position[0]
    torch.testing.assert_close(moved, torch.from_numpy(TRANS[-1] - TRANS[0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["mixamo", "z_up_a_pose"])
def test_bvh_joints_are_where_pybvh_puts_them(name: str) -> None:
    path = DATA / f"{name}.bvh"
    animation = parse_bvh(path, path.read_text())
    expected = np.load(path.with_suffix(".npz"))
    assert list(animation.names) == list(expected["names"])
    np.testing.assert_allclose(animation.positions.numpy(), expected["positions"], atol=1e-3)


@pytest.mark.parametrize("name", ["mixamo", "z_up_a_pose"])
def test_bvh_limbs_point_as_in_the_file_whatever_its_rest_pose(name: str) -> None:
    path = DATA / f"{name}.bvh"
    expected = np.load(path.with_suffix(".npz"))
    world = expected["positions"] @ Y_TO_Z if name.startswith("z_up") else expected["positions"]
    matches = match_joints(path, list(expected["names"]), parse_bvh(path, path.read_text()).parents)
    pose = load_motion(path).track.poses
    ours = joint_transforms(model_rest().float(), SMPL_PARENTS, pose)[..., :3, 3]
    for side in ("left", "right"):
        for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")):
            i, j = f"{side}_{a}", f"{side}_{b}"
            theirs = torch.from_numpy(world[:, matches[j]] - world[:, matches[i]]).float()
            mine = ours[:, SMPL_JOINTS.index(j)] - ours[:, SMPL_JOINTS.index(i)]
            cosine = torch.nn.functional.cosine_similarity(theirs, mine, dim=-1).clamp(max=1)
            assert float(cosine.acos().rad2deg().max()) < HALF_DEGREE, (i, j)


def test_bvh_comes_back_as_it_was_written(tmp_path: Path) -> None:
    pose = BodyPose(torch.from_numpy(TRANS), ROTATIONS)
    write_bvh(tmp_path / "a.bvh", pose, 30.0, model_rest().float())
    motion = load_motion(tmp_path / "a.bvh")
    assert worst_angle(motion) < 0.05
    write_bvh(tmp_path / "b.bvh", motion.track.poses, 30.0, model_rest().float())
    assert worst_angle(load_motion(tmp_path / "b.bvh")) < 0.05
    moved = motion.track.poses.root_position - motion.track.poses.root_position[0]
    legs = 0.8 / (model_rest()[1] - model_rest()[4]).norm().add((model_rest()[4] - model_rest()[7]).norm())
    torch.testing.assert_close(moved, torch.from_numpy(TRANS - TRANS[0]) * legs.float(), atol=2e-3, rtol=0)


def test_an_unknown_skeleton_lists_its_names_and_takes_a_map(tmp_path: Path) -> None:
    rest = model_rest().float()
    knee, ankle = (SMPL_JOINTS.index(f"left_{part}") for part in ("knee", "ankle"))
    rest[ankle] += 1.5 * (rest[ankle] - rest[knee])  # so that no two legs are alike
    write_bvh(tmp_path / "a.bvh", BodyPose(torch.from_numpy(TRANS), ROTATIONS), 30.0, rest)
    text = (tmp_path / "a.bvh").read_text()
    codes = {name: f"b{k:02d}x" for k, name in enumerate(SMPL_JOINTS)}
    for name in sorted(SMPL_JOINTS, key=len, reverse=True):
        text = text.replace(f" {name}\n", f" {codes[name]}\n")
    (tmp_path / "strange.bvh").write_text(text)
    with pytest.raises(UsageError, match=r"unknown skeleton with the joints b00x, .*--map"):
        load_motion(tmp_path / "strange.bvh")
    assert worst_angle(load_motion(tmp_path / "strange.bvh", ReadOptions(names=codes))) < HALF_DEGREE
    with pytest.raises(UsageError, match="tail"):
        load_motion(tmp_path / "strange.bvh", ReadOptions(names={"tail": "b00x"}))


def glb_of_truth(path: Path, scale: float = 1.0) -> None:
    """A rigged GLB with the truth as its animation, written by pygltflib."""
    import pygltflib as g

    from avatar.geometry import quat_from_rotation

    rest = model_rest().float().numpy()
    quats = quat_from_rotation(ROTATIONS).numpy()[..., [1, 2, 3, 0]].astype(np.float32)
    times = (np.arange(FRAMES) / 30).astype(np.float32)
    blobs = [times.tobytes()] + [np.ascontiguousarray(quats[:, j]).tobytes() for j in range(24)]
    root = ((rest[0] + TRANS) / scale).astype(np.float32)
    blobs.append(root.tobytes())
    inverse = np.tile(np.eye(4, dtype=np.float32), (24, 1, 1))
    inverse[:, 3, :3] = -rest / scale  # glTF matrices stand column by column
    blobs.append(inverse.tobytes())
    views, start = [], 0
    for blob in blobs:
        views.append(g.BufferView(buffer=0, byteOffset=start, byteLength=len(blob)))
        start += len(blob)
    accessors = [
        g.Accessor(bufferView=0, componentType=g.FLOAT, count=FRAMES, type="SCALAR", min=[0.0], max=[float(times[-1])])
    ]
    accessors += [g.Accessor(bufferView=1 + j, componentType=g.FLOAT, count=FRAMES, type="VEC4") for j in range(24)]
    accessors += [g.Accessor(bufferView=25, componentType=g.FLOAT, count=FRAMES, type="VEC3")]
    accessors += [g.Accessor(bufferView=26, componentType=g.FLOAT, count=24, type="MAT4")]
    nodes = []
    for j, name in enumerate(SMPL_JOINTS):
        offset = (rest[j] - rest[SMPL_PARENTS[j]] if j else rest[0]) / scale
        children = [k for k, p in enumerate(SMPL_PARENTS) if p == j]
        nodes.append(g.Node(name=name, translation=offset.tolist(), children=children))
    nodes.append(g.Node(name="Armature", scale=[scale] * 3, children=[0]))
    channels = [
        g.AnimationChannel(sampler=j, target=g.AnimationChannelTarget(node=j, path="rotation")) for j in range(24)
    ]
    channels.append(g.AnimationChannel(sampler=24, target=g.AnimationChannelTarget(node=0, path="translation")))
    samplers = [g.AnimationSampler(input=0, output=1 + j, interpolation="LINEAR") for j in range(25)]
    model = g.GLTF2(
        scene=0, scenes=[g.Scene(nodes=[24])], nodes=nodes, buffers=[g.Buffer(byteLength=start)], bufferViews=views,
        accessors=accessors, animations=[g.Animation(channels=channels, samplers=samplers)],
        skins=[g.Skin(joints=list(range(24)), inverseBindMatrices=26)],
    )  # fmt: skip
    model.set_binary_blob(b"".join(blobs))
    model.save_binary(str(path))


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_glb_clips_in_metres_and_under_a_scaled_armature(tmp_path: Path, scale: float) -> None:
    glb_of_truth(tmp_path / "a.glb", scale)
    motion = load_motion(tmp_path / "a.glb")
    assert (motion.format, len(motion.track)) == ("glb", FRAMES)
    assert worst_angle(motion) < HALF_DEGREE


def test_our_own_track_file(tmp_path: Path) -> None:
    from avatar.io.track_file import save_track

    source = load_motion(DATA / "motion.smpl").track
    save_track(source, tmp_path / "track.npz")
    motion = load_motion(tmp_path / "track.npz")
    assert motion.format == "own" and worst_angle(motion) < 0.1


def test_smpl_vertices_by_smplx_agree_within_a_millimetre(tmp_path: Path) -> None:
    """SMPL npz -> our track -> vertices, against the package smplx posing the numbers of the file."""
    from smplx.lbs import lbs

    body = load_body("open")
    betas = torch.linspace(-1, 1, body.shape_dirs.shape[-1])
    rest = body.rest(betas)
    np.savez(tmp_path / "a.npz", poses=FLAT, trans=TRANS, betas=betas.numpy())
    options = ReadOptions(rest_pelvis=tuple(rest.joints[0].tolist()))
    pose = load_motion(tmp_path / "a.npz", options).track.poses
    posedirs = (
        body.pose_dirs.permute(2, 0, 1).flatten(1)
        if body.pose_dirs is not None
        else torch.zeros(207, body.template.numel())
    )
    expected, _ = lbs(
        betas.expand(2, -1), torch.from_numpy(FLAT[:2]), body.template[None], body.shape_dirs,
        posedirs, body.joint_regressor, torch.tensor(body.parents), body.weights,
    )  # fmt: skip
    vertices = body.vertices(rest, pose[:2])
    assert float((expected + torch.from_numpy(TRANS[:2, None]) - vertices).norm(dim=-1).max()) < 1e-3


def test_the_up_axis_is_estimated_or_requested(tmp_path: Path) -> None:
    np.savez(tmp_path / "z.npz", poses=turned(POSES, Y_TO_Z).reshape(FRAMES, 72), trans=TRANS @ Y_TO_Z.T)
    assert worst_angle(load_motion(tmp_path / "z.npz")) < HALF_DEGREE
    lying = rotation_from_rotvec(torch.tensor([0.0, 0.0, 1.5])).numpy()
    np.savez(tmp_path / "lying.npz", poses=turned(POSES, lying).reshape(FRAMES, 72), trans=TRANS)
    with pytest.raises(UsageError, match="--up"):
        load_motion(tmp_path / "lying.npz")
    assert len(load_motion(tmp_path / "lying.npz", ReadOptions(up="y")).track) == FRAMES


def test_ten_thousand_frames_load_quickly(tmp_path: Path) -> None:
    import time

    poses = np.tile(np.pad(FLAT, ((0, 0), (0, 84))), (834, 1))
    np.savez(
        tmp_path / "long.npz",
        poses=poses,
        trans=np.tile(TRANS, (834, 1)) * 0,
        betas=np.zeros(16),
        mocap_framerate=120.0,
    )
    start = time.process_time()
    assert len(load_motion(tmp_path / "long.npz").track) == 10008
    assert time.process_time() - start < 2.0


def test_json_of_joints(tmp_path: Path) -> None:
    joints = joint_transforms(model_rest().float(), SMPL_PARENTS, BodyPose(torch.from_numpy(TRANS), ROTATIONS))[
        ..., :3, 3
    ]
    (tmp_path / "a.json").write_text(json.dumps({"joints": joints.tolist()}))
    assert open_content(tmp_path / "a.json").kind == "json"
    assert load_motion(tmp_path / "a.json").format == "joints"
