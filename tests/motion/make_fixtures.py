"""Writes the files in `data/` with the formats' own libraries, which the project itself does not need.

Run it in an environment of its own: `pip install numpy joblib smplcodec pybvh`, then `python make_fixtures.py`.
The motion that all files hold is in `truth.npz`: 12 synthetic frames, SMPL axis-angle and translation, Y up.
"""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
from pybvh import read_bvh_file
from smplcodec.codec import SMPLCodec, SMPLVersion

DATA = Path(__file__).parent / "data"
FRAMES = 12
# Name, parent, offset in centimetres, order of the Euler angles. Every joint has another order on purpose.
MIXAMO = [
    ("mixamorig:Hips", -1, (0, 100, 0), "ZXY"), ("mixamorig:Spine", 0, (0, 10, -1), "XYZ"),
    ("mixamorig:Spine1", 1, (0, 12, 0), "YXZ"), ("mixamorig:Spine2", 2, (0, 13, 0), "ZYX"),
    ("mixamorig:Neck", 3, (0, 15, 0), "XZY"), ("mixamorig:Head", 4, (0, 9, 2), "YZX"),
    ("mixamorig:LeftShoulder", 3, (6, 12, 0), "ZXY"), ("mixamorig:LeftArm", 6, (12, 0, -1), "XYZ"),
    ("mixamorig:LeftForeArm", 7, (27, 0, 0), "YXZ"), ("mixamorig:LeftHand", 8, (26, 0, 0), "ZYX"),
    ("mixamorig:RightShoulder", 3, (-6, 12, 0), "XZY"), ("mixamorig:RightArm", 10, (-12, 0, -1), "YZX"),
    ("mixamorig:RightForeArm", 11, (-27, 0, 0), "ZXY"), ("mixamorig:RightHand", 12, (-26, 0, 0), "XYZ"),
    ("mixamorig:LeftUpLeg", 0, (9, -6, 0), "YXZ"), ("mixamorig:LeftLeg", 14, (0, -42, 0), "ZYX"),
    ("mixamorig:LeftFoot", 15, (0, -43, -2), "XZY"), ("mixamorig:LeftToeBase", 16, (0, -8, 13), "YZX"),
    ("mixamorig:RightUpLeg", 0, (-9, -6, 0), "ZXY"), ("mixamorig:RightLeg", 18, (0, -42, 0), "XYZ"),
    ("mixamorig:RightFoot", 19, (0, -43, -2), "YXZ"), ("mixamorig:RightToeBase", 20, (0, -8, 13), "ZYX"),
]  # fmt: skip


def truth() -> tuple[np.ndarray, np.ndarray]:
    """Smooth rotations of all joints, the elbows and knees about their own axes, and a path."""
    random = np.random.default_rng(6)
    t = np.linspace(0, 1, FRAMES)[:, None, None]
    poses = 0.25 * np.sin(2 * np.pi * (t + random.uniform(size=(1, 24, 3)))) * random.uniform(0.3, 1, (1, 24, 3))
    poses[:, 22:] = 0
    poses[:, 10:12] = 0
    for joint, axis, sign in ((4, 0, 1), (5, 0, 1), (18, 1, -1), (19, 1, 1)):
        poses[:, joint] = 0
        poses[:, joint, axis] = sign * (0.8 + 0.5 * np.sin(2 * np.pi * t[:, 0, 0] + joint))
    for joint, sign in ((16, -1), (17, 1)):
        poses[:, joint, 2] += sign * 0.9
    trans = np.stack([0.3 * t[:, 0, 0], 0.02 * np.sin(9 * t[:, 0, 0]), 0.5 * t[:, 0, 0]], -1)
    return poses.astype(np.float32), trans.astype(np.float32)


def to_mixamo(poses: np.ndarray) -> dict[str, np.ndarray]:
    order = ("Hips", "LeftUpLeg", "RightUpLeg", "Spine", "LeftLeg", "RightLeg", "Spine1", "LeftFoot", "RightFoot",
             "Spine2", "LeftToeBase", "RightToeBase", "Neck", "LeftShoulder", "RightShoulder", "Head", "LeftArm",
             "RightArm", "LeftForeArm", "RightForeArm", "LeftHand", "RightHand")  # fmt: skip
    return {f"mixamorig:{name}": poses[:, joint] for joint, name in enumerate(order)}


def write_mixamo(path: Path, poses: np.ndarray, trans: np.ndarray, z_up: bool, a_pose: bool) -> None:
    """By hand, after the format's description: Biovision's hierarchy, each joint with its own order of axes."""
    turned = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]) if z_up else np.eye(3)
    low = {"Left": rotation(np.array([0, 0, -0.7])), "Right": rotation(np.array([0, 0, 0.7]))}
    pieces: dict[int, str] = {}
    children = {i: [k for k, joint in enumerate(MIXAMO) if joint[1] == i] for i in range(len(MIXAMO))}

    def offset_of(index: int) -> np.ndarray:
        name, _, centimetres, _ = MIXAMO[index]
        offset = np.array(centimetres, dtype=float)
        if a_pose and ("ForeArm" in name or "Hand" in name):
            offset = low["Left" if "Left" in name else "Right"] @ offset
        return np.asarray(turned @ offset)

    def text(index: int, depth: int) -> str:
        name, _, _, order = MIXAMO[index]
        pad = "  " * depth
        turns = " ".join(f"{axis}rotation" for axis in order)
        channels = f"6 Xposition Yposition Zposition {turns}" if index == 0 else f"3 {turns}"
        offset = " ".join(f"{x:.6f}" for x in (np.zeros(3) if index == 0 else offset_of(index)))
        inner = "".join(text(child, depth + 1) for child in children[index])
        inner = inner or f"{pad}  End Site\n{pad}  {{\n{pad}    OFFSET 0.0 4.0 0.0\n{pad}  }}\n"
        kind = "ROOT" if index == 0 else "JOINT"
        return f"{pad}{kind} {name}\n{pad}{{\n{pad}  OFFSET {offset}\n{pad}  CHANNELS {channels}\n{inner}{pad}}}\n"

    def listed(index: int) -> list[int]:
        return [index] + [k for child in children[index] for k in listed(child)]

    local = to_mixamo(poses)
    rows = []
    for frame in range(len(poses)):
        row = list(turned @ (100 * trans[frame] + np.array([0, 100, 0])))
        for index in listed(0):
            name, _, _, order = MIXAMO[index]
            row += list(np.degrees(euler(turned @ rotation(local[name][frame]) @ turned.T, order)))
        rows.append(" ".join(f"{x:.6f}" for x in row))
    pieces[0] = f"HIERARCHY\n{text(0, 0)}MOTION\nFrames: {len(poses)}\nFrame Time: 0.0333333\n"
    path.write_text(pieces[0] + "\n".join(rows) + "\n", encoding="utf-8")


def rotation(v: np.ndarray) -> np.ndarray:
    angle = np.linalg.norm(v)
    x, y, z = v / max(angle, 1e-12)
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    R: np.ndarray = np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K
    return R


def euler(R: np.ndarray, order: str) -> np.ndarray:
    """Angles a, b, c with R = R_first(a) R_second(b) R_third(c)."""
    i, j, k = ("XYZ".index(axis) for axis in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    b = np.arcsin(np.clip(sign * R[i, k], -1, 1))
    a = np.arctan2(-sign * R[j, k], R[k, k])
    c = np.arctan2(-sign * R[i, j], R[i, i])
    return np.array([a, b, c])


def save_positions(path: Path) -> None:
    """Where pybvh puts the joints of a BVH."""
    bvh = read_bvh_file(path)
    np.savez_compressed(path.with_suffix(".npz"), names=np.array(bvh.joint_names), positions=bvh.joint_positions())


def main() -> None:
    DATA.mkdir(exist_ok=True)
    poses, trans = truth()
    np.savez_compressed(DATA / "truth.npz", poses=poses, trans=trans)
    # Meshcapade.
    SMPLCodec(
        smpl_version=SMPLVersion.SMPLX, frame_count=FRAMES, frame_rate=30.0, body_translation=trans,
        body_pose=poses[:, :22], shape_parameters=np.zeros(10, np.float32),
    ).write(str(DATA / "motion.smpl"))  # fmt: skip
    flat = poses.reshape(FRAMES, 72)
    other = {
        "pose_world": flat[:3],
        "trans_world": trans[:3],
        "frame_ids": np.arange(3),
        "pose": flat[:3],
        "trans": trans[:3],
    }
    subject = {"pose_world": flat, "trans_world": trans, "frame_ids": np.arange(FRAMES), "pose": flat, "trans": trans}
    joblib.dump({0: other, 1: subject}, DATA / "wham_output.pkl")
    joblib.dump({0: other, 1: subject}, DATA / "wham_compressed.pkl", compress=3)
    # PHALP and 4D-Humans: rotation matrices in the camera's frame, which looks at the person with y down.
    flip = np.diag([1.0, -1.0, -1.0])
    R = np.array([[rotation(v) for v in frame] for frame in poses])
    frames: dict[str, dict[str, Any]] = {
        f"frames/{k:06d}.jpg": {
            "tid": [7, 3], "bbox": [np.zeros(4), np.zeros(4)],
            "smpl": [{"global_orient": (flip @ R[k, 0])[None], "body_pose": R[k, 1:], "betas": np.zeros(10)},
                     {"global_orient": np.eye(3)[None], "body_pose": np.tile(np.eye(3), (23, 1, 1)),
                      "betas": np.zeros(10)}],
            "camera": [flip @ trans[k], np.array([0, 0, 9.0])],
        } if k != 5 else {"tid": [], "bbox": [], "smpl": [], "camera": []}
        for k in range(FRAMES)
    }  # fmt: skip
    joblib.dump(frames, DATA / "phalp.pkl", compress=("gzip", 3))
    person = {
        "frames": np.arange(FRAMES),
        "smplx_world": {"pose": flat[:, :66], "trans": trans, "shape": np.zeros((FRAMES, 10))},
    }
    joblib.dump({"people": {1: person}, "camera": {}}, DATA / "prompthmr_results.pkl")
    for name, z_up, a_pose in (("mixamo", False, False), ("z_up_a_pose", True, True)):
        write_mixamo(DATA / f"{name}.bvh", poses, trans, z_up, a_pose)
        save_positions(DATA / f"{name}.bvh")


if __name__ == "__main__":
    main()
