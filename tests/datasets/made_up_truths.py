"""Small files in the layouts of data sets with true poses, which cannot be shipped, of one walk of a made-up body."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from avatar.body import Body, load_body
from avatar.body.skeleton import SMPL_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.datasets.aria_digital_twin import MEANINGS, NAMES
from avatar.datasets.freeman import COCO
from avatar.datasets.posed import SmplPoses, floats
from avatar.datasets.protocols import TruthName
from avatar.geometry import rotation_from_rotvec, rotation_to_rotvec
from avatar.io.files import write_npz

from ..body.made_up_bodies import made_up, made_up_person

COUNT = 6
TURN = torch.tensor([0.2, 0.5, 0.1])  # of a camera in the data set's world
SESSION = "20220818_0a1b2c3d_subj01"


@dataclass
class Walk:
    """A body in some poses in the axes of a camera, and where its files name it."""

    body: Body
    betas: np.ndarray
    rotvecs: np.ndarray
    transl: np.ndarray

    @property
    def poses(self) -> SmplPoses:
        return SmplPoses(floats(self.betas), floats(self.rotvecs), floats(self.transl))

    def joints(self) -> np.ndarray:
        """SMPL's 24 joints, metres, in the camera's axes."""
        pose = self.poses.poses_in(self.body, torch.eye(3))
        rest = self.body.rest(self.poses.shape(self.body))
        Ts = joint_transforms(rest.joints, self.body.parents, pose)
        return Ts[:, list(self.body.smpl_index), :3, 3].double().numpy()


def body_file(folder: Path, kind: str, gender: str = "NEUTRAL") -> Path:
    """A user's own body file, as SMPL's or SMPL-X's is named."""
    path = folder / f"{kind.upper()}_{gender}.npz"
    arrays = made_up_person(kind)
    if kind == "smplx":
        arrays |= {name: array for name, array in made_up(kind).items() if name.startswith("hands_components")}
    write_npz(path, **arrays)
    return path


def walk(folder: Path, kind: str, gender: str = "NEUTRAL") -> Walk:
    """Somebody who stands before a camera, upside down in its axes, and bends a knee, an elbow and the fingers."""
    body = load_body(body_file(folder, kind, gender))
    rotvecs = np.zeros((COUNT, len(body.parents), 3))
    phase = np.linspace(0, 1, COUNT)
    upside_down = rotation_from_rotvec(torch.tensor([torch.pi, 0.0, 0.0]))
    turns = rotation_from_rotvec(torch.tensor([[0.0, float(angle), 0.0] for angle in phase]))
    rotvecs[:, 0] = rotation_to_rotvec(upside_down @ turns).numpy()
    rotvecs[:, SMPL_JOINTS.index("left_knee"), 0] = 0.8 * phase
    rotvecs[:, SMPL_JOINTS.index("right_elbow"), 1] = 0.5
    if kind == "smplx":
        rotvecs[:, body.finger_joints, 2] = 0.1
    transl = np.stack([0.1 * phase, np.zeros(COUNT), np.full(COUNT, 4.0)], 1)
    return Walk(body, np.linspace(-0.4, 0.4, 10), rotvecs, transl)


def write_bedlam(folder: Path) -> tuple[Path, str, Walk]:
    """Labels at a sixth of the frames, of two people in two sequences."""
    true, n = walk(folder, "smplx"), COUNT
    path = folder / "20221010_3_1000_batch01hand.npz"
    offset = np.array([0.5, 0.2, 1.0])
    T = np.tile(np.eye(4), (n, 1, 1))
    T[:, :3, 3] = offset
    names = [[f"seq_{s:06d}/seq_{s:06d}_{5 * i:04d}.png" for i in range(n)] for s in (0, 0, 1)]
    subjects = ["rp_a_posed_001", "rp_b_posed_002", "rp_a_posed_001"]
    pose = true.rotvecs.reshape(n, 165)
    np.savez(
        path,
        imgname=np.concatenate(names), sub=np.repeat(subjects, n), gender=np.repeat("neutral", 3 * n),
        pose_cam=np.concatenate([0 * pose, pose, 0 * pose]), shape=np.tile(true.betas, (3 * n, 1)),
        trans_cam=np.tile(true.transl - offset, (3, 1)), cam_ext=np.tile(T, (3, 1, 1)),
        motion_info=np.array([{"babel": "walk"}] * 3 * n, dtype=object),
    )  # fmt: skip
    return path, "seq_000000/rp_b_posed_002", true


def write_gta_human(folder: Path) -> tuple[Path, str, Walk]:
    true = walk(folder, "smpl")
    table = {
        "is_male": True, "fov": 50.0, "num_frames": COUNT, "weather": "CLEAR", "daytime": (12, 0, 0),
        "betas": np.tile(true.betas, (COUNT, 1)), "global_orient": true.rotvecs[:, 0],
        "body_pose": true.rotvecs[:, 1:].reshape(COUNT, 69), "transl": true.transl,
    }  # fmt: skip
    import pickle

    (folder / "annotations").mkdir()
    for name in ("seq_00000012", "seq_00000013"):
        (folder / "annotations" / f"{name}.pkl").write_bytes(pickle.dumps(table))
    return folder, "seq_00000012", true


def write_gta_human_2(folder: Path) -> tuple[Path, str, Walk]:
    true = walk(folder, "smplx")
    # The fingers that the first principal component means.
    components = [made_up("smplx")[f"hands_components{side}"][0] for side in "lr"]
    true.rotvecs[:, 25:40], true.rotvecs[:, 40:] = (0.3 * part.reshape(15, 3) for part in components)
    place = folder / "annotations" / "seq_00087011"
    place.mkdir(parents=True)
    hand = np.zeros((COUNT, 24))
    hand[:, 0] = 0.3
    np.savez(
        place / "000123.npz",
        is_male=True, fov=50.0, betas=np.tile(true.betas, (COUNT, 1)), global_orient=true.rotvecs[:, 0],
        body_pose=true.rotvecs[:, 1:22].reshape(COUNT, 63), transl=true.transl, is_valid_smplx=True,
        left_hand_pose=hand, right_hand_pose=hand,
    )  # fmt: skip
    np.savez(place / "000456.npz", is_male=True, is_valid_smplx=False)
    return folder, "seq_00087011/000123", true


def write_voccl3d(folder: Path) -> tuple[Path, str, Walk]:
    true = walk(folder, "smplx", "MALE")
    labels = {
        f"{i:05d}.png": {
            "pose_cam": true.rotvecs[i].reshape(165).astype(np.float32), "shape": np.append(true.betas, 0.0),
            "cam_translation": true.transl[i : i + 1], "gender": "male", "center": [360.0, 360.0], "scale": 2.0,
        }
        for i in range(COUNT)
    }  # fmt: skip
    true.rotvecs[:, 22:] = 0  # the data set's bodies have flat hands whatever the labels say
    path = folder / "scene9_view1_ground_truth_labels.npy"
    np.save(path, np.array({"images/male_walk_01": labels, "images/male_run_02": labels}, dtype=object))
    return path, "male_walk_01", true


def write_freeman(folder: Path) -> tuple[Path, str, Walk]:
    """Key points in millimetres in the world of eight cameras."""
    true = walk(folder, "smpl")
    R, t = rotation_from_rotvec(TURN).double().numpy(), np.array([100.0, -50.0, 300.0])
    joints = true.joints() * 1000
    points = np.zeros((COUNT, 17, 3))
    for row, name in enumerate(COCO):
        source = SMPL_JOINTS.index(name if name in SMPL_JOINTS else "head")
        points[:, row] = (joints[:, source] - t) @ R
    (folder / "keypoints3d").mkdir()
    (folder / "cameras").mkdir()
    table = {"keypoints3d": points + 10, "keypoints3d_optim": points}
    np.save(folder / "keypoints3d" / f"{SESSION}.npy", np.array([table], dtype=object))
    cameras = [
        {
            "name": f"c{index:02d}", "size": [1920, 1080], "matrix": np.eye(3).tolist(), "distortions": [0.0] * 5,
            "rotation": TURN.tolist() if index == 3 else [0.0, 0.0, 0.0], "translation": t.tolist(),
        }
        for index in range(1, 9)
    ]  # fmt: skip
    (folder / "cameras" / f"{SESSION}.json").write_text(json.dumps(cameras))
    return folder, f"{SESSION}/c03", true


def write_aria_digital_twin(folder: Path) -> tuple[Path, str, Walk]:
    """Two skeletons at 120 Hz, and the times of the colour camera's frames at 30 Hz among others."""
    true = walk(folder, "smpl")
    R = rotation_from_rotvec(TURN).double().numpy()
    joints = true.joints() @ R + 2
    start, frames = 1_000_000_000, []
    for index in range(4 * COUNT):
        places = np.zeros((51, 3))
        for number, name in NAMES.items():
            if name in MEANINGS:
                places[number] = joints[index // 4, SMPL_JOINTS.index(MEANINGS[name])]
        time = start + index * 8_333_333
        frames.append({"markers": [[0.0, 0.0, 0.0]], "joints": places.tolist(), "timestamp_ns": time})
    for name in ("Skeleton_C", "Skeleton_T"):
        (folder / f"{name}.json").write_text(json.dumps({"frames": frames}))
    with (folder / "2d_bounding_box.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["stream_id", "object_uid", "timestamp[ns]", "x_min[pixel]", "visibility_ratio[%]"])
        for index in range(COUNT):
            for stream in ("214-1", "1201-1"):
                shift = 0 if stream == "214-1" else 5_000_000
                writer.writerow([stream, 42, start + index * 33_333_332 + 1_000_000 + shift, 3.0, 1.0])
    return folder, "Skeleton_T", true


WRITERS: dict[TruthName, Callable[[Path], tuple[Path, str, Walk]]] = {
    "bedlam": write_bedlam,
    "gtahuman": write_gta_human,
    "gtahuman2": write_gta_human_2,
    "voccl3d": write_voccl3d,
    "freeman": write_freeman,
    "adt": write_aria_digital_twin,
}
