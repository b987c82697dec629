"""Depth, normals and parts of data sets and control videos, checked by readers of their own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from avatar.body.skeleton import SMPL_JOINTS
from avatar.body.surface_map import own_surface_map
from avatar.cli.main import main
from avatar.errors import UsageError
from avatar.exporters.control_videos import write_control_videos
from avatar.exporters.pose_drawing import COLORS, NAMES
from avatar.exporters.rendered_geometry import fitted_surface
from avatar.exporters.surface_charts import surface_charts
from avatar.exporters.synthetic_dataset import background_files, write_dataset
from avatar.geometry import project, rotation_from_rotvec
from avatar.io.images import read_image, write_image
from avatar.io.track_file import save_track
from avatar.io.videos import open_video
from avatar.model.avatar import Avatar
from avatar.model.garments import GARMENTS
from avatar.observation.surface_images import iuv_files, read_iuv
from avatar.rendering.camera_paths import front, intrinsics
from avatar.types import BodyPose, BodyTrack

SOLID_PERSON = 0.98  # opacity, so that the surface has no gaps


@pytest.fixture(scope="module")
def solid(person: Avatar) -> Avatar:
    """The person without transparency, and with splats that overlap."""
    import copy

    avatar = copy.deepcopy(person)
    with torch.no_grad():
        avatar.gaussians.logit_opacities.fill_(float(torch.logit(torch.tensor(SOLID_PERSON))))
    return avatar


def test_a_sphere_has_its_depth_and_its_normals() -> None:
    K, centre, radius = intrinsics(160, 200, 40.0), torch.tensor([0.05, -0.1, 2.0]), 0.4
    rows, columns = torch.meshgrid(torch.arange(200) + 0.5, torch.arange(160) + 0.5, indexing="ij")
    rays = torch.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], torch.ones_like(rows)], -1)
    a, b, c = (rays * rays).sum(-1), rays @ centre, centre @ centre - radius**2
    hit = b * b - a * c > 0.02
    depth = torch.where(hit, (b - (b * b - a * c).clamp_min(0).sqrt()) / a, 0.0)
    truth = torch.nn.functional.normalize(rays * depth[..., None] - centre, dim=-1)
    smooth, normals = fitted_surface(depth, hit, K)
    steep = (truth * torch.nn.functional.normalize(rays, dim=-1)).sum(-1).abs() < 0.5  # where the patch bends away
    sure = hit & ~steep
    angles = torch.rad2deg((normals * truth).sum(-1).clamp(-1, 1).arccos())
    assert angles[sure].median() < 1 and angles[sure].quantile(0.95) < 5
    assert (smooth - depth)[sure].abs().max() < 0.006
    assert (normals[~hit] == 0).all()


def angles_by_plane_fits(depth: np.ndarray, normals: np.ndarray, K: np.ndarray, reach: int = 3) -> np.ndarray:
    """Degrees between the file's normals and planes fitted to its depth by singular values, at some pixels."""
    height, width = depth.shape
    rows, columns = np.mgrid[:height, :width] + 0.5
    rays = np.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], np.ones_like(rows)], -1)
    points = rays * depth[..., None]
    angles = []
    for row in range(reach, height - reach, 2):
        for column in range(reach, width - reach, 2):
            window = (slice(row - reach, row + reach + 1), slice(column - reach, column + reach + 1))
            patch = points[window].reshape(-1, 3)
            if depth[window].min() == 0 or np.ptp(depth[window]) > 0.08:
                continue
            normal = np.linalg.svd(patch - patch.mean(0))[2][2]
            angles.append(np.degrees(np.arccos(min(abs(float(normal @ normals[row, column])), 1.0))))
    return np.array(angles)


def test_depth_and_normals_of_a_dataset_are_of_one_surface(
    solid: Avatar, moves: dict[str, BodyTrack], tmp_path: Path
) -> None:
    garments = surface_charts(solid).parts % len(GARMENTS)
    write_dataset(solid, moves, tmp_path, count=2, width=240, height=320, seed=5, garments=garments)
    labels = json.loads((tmp_path / "labels.json").read_text())
    assert labels["parts"] == ["background", *SMPL_JOINTS] and labels["garments"] == ["background", *GARMENTS]
    for entry in labels["samples"]:
        depth = np.asarray(Image.open(tmp_path / "depth" / entry["file"])) * labels["depth_unit_m"]
        normals = np.asarray(Image.open(tmp_path / "normals" / entry["file"])) / 255.0 * 2 - 1
        angles = angles_by_plane_fits(depth, normals, np.array(entry["K"]))
        assert len(angles) > 50 and np.median(angles) < 10 and np.quantile(angles, 0.9) < 30
        parts = np.asarray(Image.open(tmp_path / "iuv" / entry["file"]))
        assert ((parts[..., 0] > 0) == (depth > 0)).mean() > 0.999 and parts[..., 0].max() <= 24
        worn = np.asarray(Image.open(tmp_path / "garments" / entry["file"])).astype(int)
        part = parts[..., 0].astype(int)
        assert (worn == np.where(part > 0, (part - 1) % len(GARMENTS) + 1, 0)).all()
        # The surface of a part is near its joint or the next one: the mean by part, back-projected.
        T, places = np.array(entry["T_camera_world"]), np.array(entry["joints_world"])
        for index in np.unique(parts[..., 0][parts[..., 0] > 0]):
            rows, columns = np.nonzero(parts[..., 0] == index)
            rays = np.linalg.inv(np.array(entry["K"])) @ np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
            world = T[:3, :3].T @ ((rays * depth[rows, columns]).mean(1) - T[:3, 3])
            nearest = np.linalg.norm(places - world, axis=1)
            assert nearest[index - 1] < 0.4 and nearest[index - 1] < nearest.min() + 0.3


def test_charts_run_along_and_around_the_bones(solid: Avatar) -> None:
    charts, anchors = surface_charts(solid), solid.surface.anchors
    assert charts.chart.min() >= 0 and charts.chart.max() <= 1
    for name in ("left_knee", "right_elbow", "spine3"):
        mine = charts.parts == SMPL_JOINTS.index(name)
        axis = {"left_knee": 1, "right_elbow": 0, "spine3": 1}[name]
        along = torch.stack([charts.chart[mine, 1], anchors[mine, axis]])
        assert torch.corrcoef(along)[0, 1].abs() > 0.95
        turns = charts.chart[mine, 0].histc(8, 0, 1)
        assert (turns > 0).all()
    beyond, chart, worn = charts.at(torch.tensor([0, len(solid) + 5]))
    assert beyond[1] == 0 < beyond[0] and worn[1] == 0 and (chart[1] == 0).all()


def test_the_fit_reads_what_a_dataset_writes(solid: Avatar, moves: dict[str, BodyTrack], tmp_path: Path) -> None:
    """The point of the body that a pixel names lies where the pixel is."""
    write_dataset(solid, moves, tmp_path, count=2, width=240, height=320, seed=5)
    body, surface = solid.body, own_surface_map(solid.body)
    images = read_iuv(iuv_files(tmp_path / "iuv"), 240, 320)
    for index, entry in enumerate(json.loads((tmp_path / "labels.json").read_text())["samples"]):
        image = images[index]
        rows, columns = np.nonzero(image[..., 0])
        values = image[rows, columns]
        points = surface.find(values[:, 0].astype(int) - 1, values[:, 1:] / 255)
        rotvecs = torch.tensor([*entry["smpl"]["global_orient"], *entry["smpl"]["body_pose"]]).view(24, 3)
        root = torch.tensor(entry["smpl"]["transl"]) + solid.rest.joints[0]
        mesh = body.vertices(solid.rest, BodyPose(root, rotation_from_rotvec(rotvecs)))
        places = (mesh[surface.corners] * surface.shares[..., None]).sum(1)[points]
        pixels, _ = project(torch.tensor(entry["K"]), torch.tensor(entry["T_camera_world"]), places)
        away = (pixels - torch.from_numpy(np.stack([columns + 0.5, rows + 0.5], 1))).norm(dim=-1)
        assert (points >= 0).mean() > 0.99 and float(away.median()) < 0.01 * 320


def test_backgrounds_stand_behind_the_person(solid: Avatar, moves: dict[str, BodyTrack], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "places"
    for name in ("a.png", "b.jpg"):
        write_image(folder / name, rng.integers(0, 255, (90, 160, 3), np.uint8))
    write_dataset(solid, moves, tmp_path / "set", 2, 60, 80, backgrounds=background_files(folder))
    for index in range(2):
        image = read_image(tmp_path / f"set/images/{index:06d}.png").astype(float)
        behind = read_image(tmp_path / f"set/masks/{index:06d}.png")[..., 0] == 0
        assert image[behind].std() > 20
    with pytest.raises(UsageError, match="no image in"):
        background_files(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        background_files(tmp_path / "none")


def test_control_videos_show_one_motion(solid: Avatar, moves: dict[str, BodyTrack], tmp_path: Path) -> None:
    track = moves["wave"]
    frames = [0, 8, 16]
    track = replace(
        track, poses=track.poses[frames], times=track.times[: len(frames)], confidence=track.confidence[frames],
        instant=track.instant[: len(frames)],
    )  # fmt: skip
    low, high = torch.tensor([-0.9, 0.0, -0.4]), torch.tensor([0.9, 1.9, 0.4])
    cameras = front(low, high, len(frames), 192, 256)
    write_control_videos(solid, track, cameras, tmp_path, torch.ones(3))
    control = json.loads((tmp_path / "control.json").read_text())
    assert control["points"] == list(NAMES) and len(control["keypoints"]) == len(frames)
    videos = {
        name: [frame.astype(int) for _, frame in open_video(tmp_path / f"{name}.mp4").frames()]
        for name in ("pose", "depth", "normals", "mask", "image")
    }
    for index in range(len(frames)):
        images = {name: video[index] for name, video in videos.items()}
        mask = images["mask"][..., 0] > 128
        assert 0.03 < mask.mean() < 0.5
        assert ((images["depth"][..., 0] > 20) == mask).mean() > 0.97
        assert (images["image"][~mask] > 200).mean() > 0.95
        # Seen from the front, most of the surface faces the camera, which is blue in this convention.
        assert np.median(images["normals"][mask], axis=0)[2] > 190
        for (x, y, visible), color in zip(control["keypoints"][index], COLORS, strict=True):
            drawn = images["pose"][int(y), int(x)] if visible else None
            # Video codecs blur colours; the strongest channel stays the strongest.
            assert drawn is None or drawn[int(np.argmax(color))] > 90
        wrist = control["keypoints"][index][NAMES.index("left_wrist")]
        assert wrist[2] and mask[int(wrist[1]), int(wrist[0])]
    assert control["near_m"] < control["far_m"]


def test_the_command_writes_control_videos(
    person: Avatar, moves: dict[str, BodyTrack], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "me"
    run.mkdir()
    person.save(run / "avatar.safetensors")
    track = moves["wave"]
    save_track(replace(track, poses=track.poses[:2], times=track.times[:2], confidence=track.confidence[:2],
                       instant=track.instant[:2]), run / "track.npz")  # fmt: skip
    main(["export", str(run), "--control", str(tmp_path / "ctl"), "--size", "64x96", "--camera", "front"])
    assert "2 frames at 24 per second" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "ctl").iterdir()) == [
        "control.json", "depth.mp4", "image.mp4", "mask.mp4", "normals.mp4", "pose.mp4",
    ]  # fmt: skip
