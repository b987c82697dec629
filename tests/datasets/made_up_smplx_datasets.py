"""Small folders in the layouts of data sets with SMPL-X poses, which cannot be shipped: one avatar in their cameras."""

import csv
import pickle
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from avatar.body import load_body
from avatar.datasets.smplx_files import PARTS
from avatar.geometry import invert_rigid, rigid, rotation_from_rotvec, rotation_to_rotvec
from avatar.io.files import write_npz
from avatar.io.images import write_image
from avatar.types import Cameras

from .made_up_datasets import BETAS, SIDE, Scene, camera, made_up_scene
from .made_up_truths import body_file

PLACE = torch.tensor([0.1, 0.9, -0.2])
FRONT = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # a camera that looks at the person's face, in a world with y up


def smplx_scene(folder: Path, count: int, gender: str = "NEUTRAL") -> Scene:
    """An avatar on a made-up SMPL-X body with relaxed hands, in a world with y up."""
    body = load_body(body_file(folder, "smplx", gender))
    scene = made_up_scene(folder, count, torch.eye(3), body)
    scene.rotvecs[:, body.finger_joints] = rotation_to_rotvec(body.rest_rotations[body.finger_joints])
    return scene


def parameters(scene: Scene, row: int, from_mean_hand: bool) -> dict[str, np.ndarray]:
    """SMPL-X's parts of one pose as files name them."""
    rotvecs, body = scene.rotvecs[row].clone(), scene.avatar.body
    if from_mean_hand:
        rotvecs[body.finger_joints] -= rotation_to_rotvec(body.rest_rotations[body.finger_joints])
    ends = np.cumsum(list(PARTS.values()))[:-1]
    parts = dict(zip(PARTS, np.split(rotvecs.flatten().numpy(), ends), strict=True))
    return parts | {"transl": (PLACE - scene.pelvis).numpy(), "betas": BETAS, "expression": np.zeros(10, np.float32)}


def around(angle: float) -> Cameras:
    """A camera 3.5 m from the person, so far to the side."""
    R = FRONT @ rotation_from_rotvec(torch.tensor([0.0, angle, 0.0]))
    return Cameras(camera().K, rigid(R, torch.tensor([0.0, 0.0, 3.5]) - R @ PLACE)[None], SIDE, SIDE)


def write_xhumans(folder: Path) -> Scene:
    """Two sequences to train on, one to test, six frames each, by a camera that goes round."""
    folder.mkdir(parents=True)
    scene, count = smplx_scene(folder.parent, 6, "FEMALE"), 6
    (folder / "gender.txt").write_text("female\n")
    np.save(folder / "mean_shape_smplx.npy", BETAS)
    for name in ("train/Take1", "train/Take2", "test/Take3"):
        views = [around(0.2 * index) for index in range(count)]
        (folder / name / "SMPLX").mkdir(parents=True)
        (folder / name / "render" / "depth").mkdir(parents=True)
        for index, view in enumerate(views):
            table = parameters(scene, index, from_mean_hand=True)
            file = folder / name / "SMPLX" / f"mesh-f{index + 11:05d}_smplx.pkl"
            file.write_bytes(pickle.dumps(table | {"betas": np.zeros(10)}))
            if index % 5 == 0:
                image, mask = scene.rendered(index, PLACE, view)
                write_image(folder / name / "render" / "image" / f"color_{index + 1:06d}.png", image)
                depth = np.where(mask > 0, 3.5, 100.0).astype(np.float32)
                Image.fromarray(depth).save(folder / name / "render" / "depth" / f"depth_{index + 1:06d}.tiff")
        T = torch.cat([view.T_camera_world for view in views]).numpy()
        np.savez(folder / name / "render" / "cameras.npz", intrinsic=camera().K[0].numpy(), extrinsic=T)
    return scene


def write_dress4d(folder: Path) -> Scene:
    """One sequence to train on and one to test, each by two cameras."""
    folder.mkdir(parents=True)
    scene = smplx_scene(folder.parent, 4)
    views = {"0004": around(0.0), "0028": around(0.8)}
    tables = {
        name: {"intrinsics": view.K[0].numpy(), "extrinsics": view.T_camera_world[0, :3].numpy()}
        for name, view in views.items()
    }
    for take, rows, step, frames in (("Take1", (0, 1), 10, 11), ("Take2", (2, 3), 20, 21)):
        place = folder / take
        (place / "SMPLX").mkdir(parents=True)
        (place / "Capture").mkdir()
        names = [f"{number:05d}" for number in range(1, frames + 1)]
        (place / "basic_info.pkl").write_bytes(pickle.dumps({"scan_frames": names, "rotation": None}))
        (place / "Capture" / "cameras.pkl").write_bytes(pickle.dumps(tables))
        for row, name in zip(rows, names[::step], strict=True):
            table = parameters(scene, row, from_mean_hand=True)
            (place / "SMPLX" / f"mesh-f{name}_smplx.pkl").write_bytes(pickle.dumps(table))
            for number, view in views.items():
                image, mask = scene.rendered(row, PLACE, view)
                write_image(place / "Capture" / number / "images" / f"capture-f{name}.png", image)
                write_image(place / "Capture" / number / "masks" / f"mask-f{name}.png", mask)
    return scene


def write_actorshq(folder: Path) -> Scene:
    """51 poses before three cameras of one size and one of another, whose images are not there."""
    folder.mkdir(parents=True)
    scene, count = smplx_scene(folder.parent, 51), 51
    views = [around(0.5 * index) for index in range(3)]
    with_fingers = [parameters(scene, row, from_mean_hand=False) for row in range(count)]
    arrays = {name: np.stack([one[name] for one in with_fingers]) for name in with_fingers[0]}
    write_npz(folder / "smpl_params.npz", **(arrays | {"betas": BETAS[None]}))
    (folder / "4x").mkdir()
    with (folder / "4x" / "calibration.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "w", "h", "rx", "ry", "rz", "tx", "ty", "tz", "fx", "fy", "px", "py"])
        for index, view in enumerate(views, start=1):
            T, K = invert_rigid(view.T_camera_world[0]), view.K[0] / SIDE
            turn = rotation_to_rotvec(T[:3, :3])
            lens = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
            writer.writerow([f"Cam{index:03d}", SIDE, SIDE, *turn.tolist(), *T[:3, 3].tolist(), *map(float, lens)])
        writer.writerow(["Cam004", SIDE, 2 * SIDE, 0, 0, 0, 0, 0, 0, 1, 1, 0.5, 0.5])
    for index, view in enumerate(views, start=1):
        for row in (0, 20, 40) if index < 3 else (0, 50):
            image, mask = scene.rendered(row, PLACE, view)
            name = f"Cam{index:03d}"
            write_image(folder / "4x" / "rgbs" / name / f"{name}_rgb{row:06d}.jpg", image)
            write_image(folder / "4x" / "masks" / name / f"{name}_mask{row:06d}.png", mask)
    return scene
