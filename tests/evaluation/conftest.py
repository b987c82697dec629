"""A made-up run and a capture that shows the very same avatar in a world that is larger, turned and moved."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from avatar.body import load_body
from avatar.body.skeleton import SMPL_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.datasets.capture import R_WORLD_CAPTURE
from avatar.geometry import rotation_from_rotvec, rotation_to_rotvec
from avatar.io.files import write_npz
from avatar.io.images import to_uint8, write_image
from avatar.io.observations_file import save_observations
from avatar.io.track_file import save_track
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.rendering.camera_paths import front, orbit
from avatar.rendering.renderer import render
from avatar.types import BodyPose, BodyTrack, Cameras, Observations

SCALE, WIDTH, HEIGHT, FPS = 1.25, 90, 120, 10.0
TURN = rotation_from_rotvec(torch.tensor([0.0, 0.7, 0.0]))
MOVE = torch.tensor([0.4, 0.0, -0.3])
BOX = torch.tensor([-0.95, 0.0, -0.5]), torch.tensor([0.95, 1.85, 0.5])


def made_up_avatar() -> Avatar:
    body = load_body("open")
    betas = torch.zeros(body.shape_dirs.shape[-1])
    rest = body.rest(betas)
    frames = triangle_frames(rest.vertices, body.faces)
    gaussians = sample_on_surface(frames, torch.ones(len(body.faces)), 1500, torch.Generator().manual_seed(0))
    avatar = Avatar(body, betas, gaussians, deform=False)
    with torch.no_grad():
        gaussians.raw_colors.copy_(3 * torch.sin(6 * avatar.rest_means()))
    return avatar


def poses(avatar: Avatar, count: int) -> BodyPose:
    """Turning half round while bending knees and elbows."""
    phase = torch.arange(count) / max(count - 1, 1)
    rotvecs = torch.zeros(count, 24, 3)
    rotvecs[:, 0, 1] = 3.0 * phase
    for side, sign in (("left", -1.0), ("right", 1.0)):
        rotvecs[:, SMPL_JOINTS.index(f"{side}_shoulder"), 2] = sign * 1.0 * (1 - 0.5 * phase)
        rotvecs[:, SMPL_JOINTS.index(f"{side}_elbow"), 1] = sign * (0.2 + 0.8 * phase)
        rotvecs[:, SMPL_JOINTS.index(f"{side}_knee"), 0] = 0.2 + 0.5 * phase
    pelvis = avatar.rest.joints[0] - torch.tensor([0.0, 1.0, 0.0]) * avatar.rest.vertices[:, 1].min()
    return BodyPose(pelvis.expand(count, 3).clone(), rotation_from_rotvec(rotvecs))


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of the run and of the capture."""
    run, capture = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("capture")
    avatar, count = made_up_avatar(), 6
    own = poses(avatar, count)
    cameras = front(*BOX, count, WIDTH, HEIGHT)
    instants = torch.arange(count)
    track = BodyTrack("open", avatar.betas, own, instants / FPS, torch.ones(count, 24), instants, cameras)
    rendered = [_rendered(avatar, own[i], cameras[i]) for i in range(count)]
    observations = Observations(
        images=[_on_grey(rgba) for rgba in rendered], masks=[rgba[..., 3] for rgba in rendered],
        keypoints=torch.zeros(count, 33, 3), keypoints_3d=torch.zeros(count, 33, 3), layout="blazepose33",
        instant=instants, times=track.times, width=WIDTH, height=HEIGHT,
    )  # fmt: skip
    save_observations(observations, run / "observations")
    save_track(track, run / "track.npz")
    avatar.save(run / "avatar.safetensors")
    config = {"source": str(capture / "turn" / "video.mp4"), "train": {"hold_out": 3}}
    (run / "config.json").write_text(json.dumps(config))
    _write_clip(capture / "turn", avatar, own, cameras, [rgba[..., 3] for rgba in rendered])
    around = orbit(*BOX, 2, WIDTH, HEIGHT, azimuth=40.0)
    source = {"source_sequence": np.array(["turn"]), "source_frame": np.array([4])}
    _write_held_out(capture / "novel_view", avatar, own[[4]], around, ["turn0004"], ["a", "b"], source)
    new = poses(avatar, 9)[[3]]
    _write_held_out(capture / "novel_pose", avatar, new, cameras[0], ["0000"], None, {})
    return run, capture


def _rendered(avatar: Avatar, pose: BodyPose, camera: Cameras) -> np.ndarray:
    with torch.no_grad():
        out = render(avatar.pose(pose), camera)
    alpha = out.alpha[0, ..., None]
    rgba = torch.cat([out.rgb[0] / alpha.clamp_min(1e-6), alpha], -1)
    return to_uint8(rgba)


def _on_grey(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:] / 255
    return (rgba[..., :3] * alpha + 128 * (1 - alpha)).round().astype(np.uint8)


def _truth(avatar: Avatar, pose: BodyPose, cameras: Cameras) -> dict[str, np.ndarray]:
    """The arrays of gt.npz in the capture's larger, turned and moved world, with Z up."""
    axes = torch.tensor(R_WORLD_CAPTURE)
    joints = joint_transforms(avatar.rest.joints, avatar.body.parents, pose)[..., :3, 3]
    world = SCALE * (joints @ TURN.T + MOVE)
    R = cameras.T_camera_world[:, :3, :3] @ TURN.T
    t = SCALE * (cameras.T_camera_world[:, :3, 3] - R @ MOVE)
    turns = torch.cat([TURN @ pose.rotations[:, :1], pose.rotations[:, 1:]], dim=1)
    return {
        "joints": (world @ axes).numpy(), "rest_joints": (SCALE * avatar.rest.joints @ axes).numpy(),
        "local_rotvec": (rotation_to_rotvec(turns) @ axes).numpy(), "K": cameras.K[0].numpy(),
        "cam_R": (R @ axes).numpy(), "cam_t": t.numpy(), "image_size": np.array([WIDTH, HEIGHT]),
    }  # fmt: skip


def _write_truth(folder: Path, arrays: dict[str, np.ndarray], names: list[str], **more: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_npz(folder / "gt.npz", **arrays)
    entries = {
        name: {"K": arrays["K"].tolist(), "R": R.tolist(), "t": t.tolist(), "width": WIDTH, "height": HEIGHT}
        for name, R, t in zip(names, arrays["cam_R"], arrays["cam_t"], strict=True)
    }
    (folder / "cameras.json").write_text(json.dumps({"cameras": entries, **more}))


def _write_clip(folder: Path, avatar: Avatar, pose: BodyPose, cameras: Cameras, masks: Iterable[np.ndarray]) -> None:
    _write_truth(folder, _truth(avatar, pose, cameras[0]), ["turn"], fps=FPS, frames=len(pose))
    (folder / "video.mp4").touch()
    for index, mask in enumerate(masks):
        write_image(folder / "masks" / f"{index:04d}.png", mask)


def _write_held_out(
    folder: Path,
    avatar: Avatar,
    pose: BodyPose,
    cameras: Cameras,
    stems: Sequence[str],
    names: list[str] | None,
    source: dict[str, np.ndarray],
) -> None:
    arrays = _truth(avatar, pose, cameras) | source
    if names is not None:
        arrays["camera_names"] = np.array(names)
    _write_truth(folder, arrays, names or ["motion"])
    for index, stem in enumerate(stems):
        for camera in range(len(cameras)):
            name = stem if names is None else f"{stem}_{names[camera]}"
            write_image(folder / f"{name}.png", _rendered(avatar, pose[index], cameras[camera]))
            _write_depth(folder / "depth" / f"{name}.png", avatar, pose[index], cameras[camera])


def _write_depth(path: Path, avatar: Avatar, pose: BodyPose, camera: Cameras) -> None:
    """Depth in the capture's larger world, as a capture has it: 16 bits of millimetres."""
    with torch.no_grad():
        out = render(avatar.pose(pose), camera)
    depth = 1000 * SCALE * out.depth[0] / out.alpha[0].clamp_min(1e-6) * (out.alpha[0] > 0.5)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(depth.round().numpy().astype(np.uint16)).save(path)
