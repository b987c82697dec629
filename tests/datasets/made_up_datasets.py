"""Small folders in the layouts of public datasets, which cannot be shipped: one avatar in their cameras."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from avatar.body import Body, load_body
from avatar.datasets.protocols import ProtocolName
from avatar.geometry import rigid, rotation_from_rotvec, rotation_to_rotvec
from avatar.io.assets import asset_path
from avatar.io.images import write_image
from avatar.io.videos import VideoWriter
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.rendering.renderer import render
from avatar.types import BodyPose, Cameras

SIDE = 96
UPSIDE_DOWN = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
BETAS = np.linspace(-0.5, 0.5, 10, dtype=np.float32)


@dataclass
class Scene:
    """An avatar with poses in a world of the dataset's own axes: `R_file` turns our upright world into it."""

    avatar: Avatar
    R_file: torch.Tensor
    rotvecs: torch.Tensor

    @property
    def pelvis(self) -> torch.Tensor:
        return self.avatar.rest.joints[0]

    def pose(self, row: int, place: torch.Tensor) -> BodyPose:
        """The pose of a row, in the file's world, with the pelvis at `place`."""
        return BodyPose(place, rotation_from_rotvec(self.rotvecs[row]))

    def rendered(self, row: int, place: torch.Tensor, camera: Cameras) -> tuple[np.ndarray, np.ndarray]:
        """Image on grey, and hard mask."""
        with torch.no_grad():
            out = render(self.avatar.pose(self.pose(row, place)), camera)
        image = (out.composite((0.5, 0.5, 0.5))[0].clamp(0, 1) * 255).byte().numpy()
        return image, (out.alpha[0] > 0.5).numpy().astype(np.uint8) * 255


Folders = Callable[[ProtocolName], tuple[Path, Path]]
"""The folders of a dataset and of a run that holds the true avatar, by the name of the protocol."""


def smpl_like_file(folder: Path) -> Path:
    """The shipped body under the name of a user's own file: 24 joints in SMPL's order, as SMPL has."""
    path = folder / "SMPL_NEUTRAL.npz"
    path.write_bytes(asset_path("body", "open.npz").read_bytes())
    return path


def made_up_scene(folder: Path, count: int, R_file: torch.Tensor, body: Body | None = None) -> Scene:
    body = load_body(smpl_like_file(folder)) if body is None else body
    betas = torch.zeros(body.shape_dirs.shape[-1])
    betas[:10] = torch.from_numpy(BETAS)[: len(betas)]
    rest = body.rest(betas)
    frames = triangle_frames(rest.vertices, body.faces)
    gaussians = sample_on_surface(frames, torch.ones(len(body.faces)), 1200, torch.Generator().manual_seed(0))
    avatar = Avatar(body, betas, gaussians, deform=False)
    with torch.no_grad():
        gaussians.log_scales.add_(0.5)  # so that the few splats cover the body
        gaussians.raw_colors.copy_(3 * torch.sin(6 * avatar.rest_means()))
    rotvecs = torch.zeros(count, len(body.parents), 3)
    phase = torch.arange(count) / max(count - 1, 1)
    turn = torch.zeros(count, 3)
    turn[:, 1] = 2.0 * phase
    rotvecs[:, 0] = rotation_to_rotvec(R_file @ rotation_from_rotvec(turn))
    rotvecs[:, 16, 2], rotvecs[:, 17, 2] = -0.9, 0.9
    rotvecs[:, 4, 0] = 0.6 * phase
    return Scene(avatar, R_file, rotvecs)


def camera(side: int = SIDE, focal: float = 1.7, depth: float = 3.5, R: torch.Tensor | None = None) -> Cameras:
    """A camera at `depth` before the file's origin, with image axes R from the file's world."""
    K = torch.tensor([[focal * side, 0, side / 2], [0, focal * side, side / 2], [0, 0, 1]])
    T = rigid(torch.eye(3) if R is None else R, torch.tensor([0.0, 0.0, depth]))
    return Cameras(K[None], T[None], side, side)


def write_peoplesnapshot(folder: Path, frames: int = 676) -> Scene:
    """A video with the person in the protocol's frames only; the world is the camera's, with y down."""
    import h5py

    folder.mkdir(parents=True)
    scene = made_up_scene(folder.parent, 4, UPSIDE_DOWN)
    place = torch.tensor([0.05, 0.0, 3.5])
    lens = camera(depth=0.0)
    images = [scene.rendered(row, place, lens) for row in range(4)]
    rows = np.arange(frames) * 4 // frames
    with VideoWriter(folder / f"{folder.name}.mp4", 30.0) as video:
        for row in rows:
            video.add(images[row][0])
    K = lens.K[0].numpy()
    content = {
        "camera_f": K[[0, 1], [0, 1]], "camera_c": K[:2, 2], "camera_k": np.zeros(5), "camera_rt": np.zeros(3),
        "camera_t": np.zeros(3), "width": SIDE, "height": SIDE,
    }  # fmt: skip
    (folder / "camera.pkl").write_bytes(pickle.dumps(content, protocol=2))
    with h5py.File(folder / "masks.hdf5", "w") as file:
        file["masks"] = np.stack([images[row][1] // 255 for row in rows])
    with h5py.File(folder / "reconstructed_poses.hdf5", "w") as file:
        file["betas"] = BETAS
        file["pose"] = scene.rotvecs[rows].reshape(frames, 72).numpy()
        file["trans"] = np.tile((place - scene.pelvis).numpy(), (frames, 1))
    return scene


def write_zju(folder: Path, refined: bool, frames: int, cameras: int = 23) -> Scene:
    """Cameras around a person in a world with z up. Most frames share one image, which keeps the dataset small."""
    folder.mkdir(parents=True)
    R_up = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # our y becomes the file's z
    scene = made_up_scene(folder.parent, 2, R_up)
    place = torch.tensor([0.1, 0.2, 0.9])
    views = []
    for index in range(cameras):
        around = rotation_from_rotvec(torch.tensor([0.0, 0.0, 0.27 * index]))
        R = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ around
        views.append(Cameras(camera().K, rigid(R, torch.tensor([0.0, 0.0, 3.5]) - R @ place)[None], SIDE, SIDE))
    images = [[scene.rendered(row, place, one) for one in views] for row in range(2)]
    names: list[list[str]] = []
    for frame in range(frames):
        row = 2 * frame // frames
        names.append([])
        for index in range(cameras):
            name = f"images/{index:02d}/{frame:06d}.jpg" if refined else f"Camera_B{index + 1}/{frame:06d}.jpg"
            names[-1].append(name)
            needed = (index == 4 and frame % 5 == 0) if refined else index == 0
            if needed or frame % 30 == 0:
                image, mask = images[row][index]
                mask_name = name.replace("images", "mask") if refined else f"mask_cihp/{name}"
                write_image(folder / name, image)
                write_image((folder / mask_name).with_suffix(".png"), mask // 255 * 7)
        # Rh turns about the model's origin, so Th is where the origin came to.
        Rh = scene.rotvecs[row, 0]
        poses = scene.rotvecs[row].clone()
        poses[0] = 0
        Th = place - rotation_from_rotvec(Rh) @ scene.pelvis
        table = {"Rh": Rh[None].numpy(), "Th": Th[None].numpy(), "poses": poses.reshape(1, 72).numpy()}
        where = folder / ("smpl_params" if refined else "new_params")
        where.mkdir(exist_ok=True)
        np.save(where / f"{frame}.npy", np.array(table | {"shapes": BETAS[None]}, dtype=object), allow_pickle=True)
    content = {
        "cams": {
            "K": [one.K[0].numpy() for one in views],
            "D": [np.zeros((5, 1)) for _ in views],
            "R": [one.T_camera_world[0, :3, :3].numpy() for one in views],
            "T": [1000 * one.T_camera_world[0, :3, 3:].numpy() for one in views],
        },
        "ims": [{"ims": entry} for entry in names],
    }
    np.save(folder / "annots.npy", np.array(content, dtype=object), allow_pickle=True)
    return scene


def write_neuman(folder: Path, frames: int = 20, scale: float = 2.5) -> Scene:
    """A moving camera in COLMAP's world, `scale` units per metre, in which up is some slanted direction."""
    (folder / "sparse").mkdir(parents=True)
    (folder / "4d_humans").mkdir()
    slanted = rotation_from_rotvec(torch.tensor([2.9, 0.2, 0.1]))
    scene = made_up_scene(folder.parent, frames, slanted)
    place = torch.tensor([0.3, -0.2, 0.4])
    lines, transl = ["# a comment"], []
    for frame in range(frames):
        R = UPSIDE_DOWN @ slanted.T
        T = rigid(R, torch.tensor([0.01 * frame, 0.0, 3.5]) - R @ place)
        image, mask = scene.rendered(frame, place, Cameras(camera().K, T[None], SIDE, SIDE))
        write_image(folder / "images" / f"{frame:05d}.png", image)
        write_image(folder / "4d_humans" / "sam_segmentations" / f"mask_{frame:05d}.png", mask)
        from avatar.geometry import quat_from_rotation

        numbers = [*quat_from_rotation(R).tolist(), *(scale * T[:3, 3]).tolist()]
        lines += [f"{frame + 1} {' '.join(map(repr, numbers))} 1 {frame:05d}.png", ""]
        transl.append(scale * (place - scene.pelvis).numpy())
    K = camera().K[0]
    (folder / "sparse" / "images.txt").write_text("\n".join(lines) + "\n")
    (folder / "sparse" / "cameras.txt").write_text(f"1 PINHOLE {SIDE} {SIDE} {K[0, 0]} {K[1, 1]} {K[0, 2]} {K[1, 2]}\n")
    np.savez(
        folder / "4d_humans" / "smpl_optimized_aligned_scale.npz",
        global_orient=scene.rotvecs[:, 0].numpy(), body_pose=scene.rotvecs[:, 1:].reshape(frames, 69).numpy(),
        betas=np.tile(BETAS, (frames, 1)), transl=np.stack(transl), scale=np.full(frames, scale),
    )  # fmt: skip
    (folder / "train_split.txt").write_text("\n".join(f"{i:05d}.png" for i in range(frames) if i % 4))
    (folder / "test_split.txt").write_text("\n".join(f"{i:05d}.png" for i in range(0, frames, 4)))
    return scene
