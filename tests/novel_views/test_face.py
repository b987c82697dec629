"""The photo's face, carried into other views through the depth of the fitted head, agrees with the truth."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from avatar.geometry import invert_rigid, project, transform
from avatar.io.images import to_float
from avatar.novel_views.face_transfer import LEAST_TRUST, Surface, close_up, repaired, warped
from avatar.rendering.camera_paths import intrinsics, look_at
from avatar.types import Cameras, PosedImage

SIDE, RADIUS, FAR = 160, 0.11, 0.8


def camera(azimuth: float) -> Cameras:
    """A camera that looks at a head at the origin from `azimuth` degrees to its left."""
    a = math.radians(azimuth)
    T = look_at(torch.tensor([FAR * math.sin(a), 0.0, FAR * math.cos(a)]), torch.zeros(3))
    return Cameras(intrinsics(SIDE, SIDE, 24.0)[None], T[None], SIDE, SIDE)


def head(viewer: Cameras, photo: Cameras) -> tuple[np.ndarray, np.ndarray, Surface, torch.Tensor]:
    """A painted sphere, traced ray by ray: its image, mask and surface, and the azimuth of each pixel's point."""
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    rays = torch.stack([x, y, torch.ones_like(x)], -1) @ torch.linalg.inv(viewer.K[0]).T
    T = invert_rigid(viewer.T_camera_world[0])
    origin, way = T[:3, 3], rays @ T[:3, :3].T
    a, b, c = (way * way).sum(-1), way @ origin, origin @ origin - RADIUS**2
    inside = b * b - a * c
    depth = torch.where(inside > 0, (-b - inside.clamp_min(0).sqrt()) / a, 0.0)
    points = origin + depth[..., None] * way
    colors = 0.5 + 0.3 * torch.stack([(25 * points[..., i]).sin() for i in range(3)], -1)
    hit = depth > 0
    image = torch.where(hit[..., None], colors, torch.ones(3))
    eye = invert_rigid(photo.T_camera_world[0])[:3, 3]
    normals = points / RADIUS
    facing = (normals * torch.nn.functional.normalize(eye - points, dim=-1)).sum(-1).clamp(0, 1)
    surface = Surface(depth, hit.float(), torch.where(hit, facing, 0.0))
    azimuth = torch.atan2(points[..., 0], points[..., 2]).rad2deg()
    return (
        (image * 255).round().byte().numpy(),
        (hit * 255).byte().numpy(),
        surface,
        torch.where(hit, azimuth, torch.nan),
    )


@pytest.mark.parametrize("turned", [20.0, -35.0])
def test_a_warped_face_is_the_face_seen_from_there(turned: float) -> None:
    photo, view = camera(0), camera(turned)
    image, mask, photo_surface, _ = head(photo, photo)
    truth, _mask, view_surface, azimuth = head(view, photo)
    colors, visible = warped(view_surface.depth, view, PosedImage(image, mask, photo), photo_surface.depth)
    # What lies well within sight of both cameras is carried over rightly, what the photo could not see is not.
    shared = azimuth.abs() < 60
    assert visible[shared].mean() > 0.97
    error = (colors - to_float(truth))[shared & (visible > 0)].abs()
    assert error.mean() < 0.01 and error.quantile(0.99) < 0.05
    assert visible[azimuth.abs() > 95].mean() < 0.05


def test_a_wrong_face_is_repaired_where_the_photo_knows_and_distrusted_elsewhere() -> None:
    photo, view = camera(0), camera(40)
    image, mask, photo_surface, _ = head(photo, photo)
    truth, _mask, view_surface, azimuth = head(view, photo)
    wrong = np.full_like(truth, 30)
    mended, trust = repaired(wrong, view, view_surface, PosedImage(image, mask, photo), photo_surface.depth, 40.0)
    front, side = (view_surface.facing > 0.85).numpy(), (azimuth > 85).numpy()
    assert np.abs(mended[front].astype(int) - truth[front]).mean() < 4
    assert (mended[side] == 30).all()
    assert trust[front].min() > 0.95 * 255
    assert trust[side].max() == pytest.approx(255 * math.cos(math.radians(40)), abs=1)
    # Off the head nothing is changed and nothing distrusted.
    off = ~np.isfinite(azimuth.numpy())
    assert (mended[off] == 30).all() and (trust[off] == 255).all()


def test_a_face_turned_away_is_hardly_trusted_but_never_ignored() -> None:
    photo, view = camera(0), camera(120)
    image, mask, photo_surface, _ = head(photo, photo)
    truth, _mask, view_surface, azimuth = head(view, photo)
    _mended, trust = repaired(truth, view, view_surface, PosedImage(image, mask, photo), photo_surface.depth, 120.0)
    assert trust[(azimuth > 100).numpy()].max() == round(255 * LEAST_TRUST)


def test_the_close_up_is_a_sharper_image_of_the_same_place(tmp_path: Path) -> None:
    """Its camera sees the same point of the head in a pixel of the same colour, at the file's own resolution."""
    rng = np.random.default_rng(0)
    large = rng.integers(0, 255, (960, 640, 3)).astype(np.uint8)
    Image.fromarray(large).save(tmp_path / "photo.png")
    K = intrinsics(320, 480, 40.0)
    photo_camera = Cameras(K[None], look_at(torch.tensor([0.0, 0.0, 3.0]), torch.zeros(3))[None], 320, 480)
    small = np.asarray(Image.fromarray(large).resize((320, 480), Image.Resampling.BOX))
    points = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).clamp(-1, 1) * 0.1 + torch.tensor(
        [0.2, 0.4, 0]
    )
    near = close_up(tmp_path / "photo.png", PosedImage(small, np.full((480, 320), 255, np.uint8), photo_camera), points)
    assert near is not None and near.image.shape == (480, 320, 3)
    pixels, _ = project(near.camera.K[0], near.camera.T_camera_world[0], points)
    assert (pixels > 0).all() and (pixels < torch.tensor([320.0, 480.0])).all()
    assert float(pixels[:, 1].max() - pixels[:, 1].min()) > 0.5 * 480
    # A pixel of the file, found through the photo's camera, lies where the close-up's camera says.
    whole, _ = project(photo_camera.K[0], photo_camera.T_camera_world[0], points[:50])
    close, _ = project(near.camera.K[0], near.camera.T_camera_world[0], points[:50])
    scale = (close[1:] - close[:1]).norm(dim=-1) / (whole[1:] - whole[:1]).norm(dim=-1)
    assert torch.allclose(scale, scale[0].expand_as(scale), rtol=0.01) and scale[0] > 2
    smooth = torch.nn.functional.avg_pool2d(torch.from_numpy(large).permute(2, 0, 1)[None].float(), 5, 1, 2)[0]
    mine = torch.nn.functional.avg_pool2d(torch.from_numpy(near.image).permute(2, 0, 1)[None].float(), 9, 1, 4)[0]
    grid = (whole * 2).long()
    there = close.long()
    a, b = smooth[:, grid[:, 1], grid[:, 0]], mine[:, there[:, 1], there[:, 0]]
    assert torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1] > 0.7


def test_a_tiny_or_cut_head_has_no_close_up(tmp_path: Path) -> None:
    Image.new("RGB", (320, 480)).save(tmp_path / "photo.png")
    photo_camera = Cameras(intrinsics(320, 480, 40.0)[None], torch.eye(4)[None], 320, 480)
    sight = PosedImage(np.zeros((480, 320, 3), np.uint8), np.zeros((480, 320), np.uint8), photo_camera)
    points = torch.tensor([[-0.1, -0.1, 0.0], [0.1, 0.1, 0.0]])
    assert close_up(tmp_path / "photo.png", sight, points + torch.tensor([0, 0, 40.0])) is None
    assert close_up(tmp_path / "photo.png", sight, points + torch.tensor([0.6, 0, 2.0])) is None
    assert close_up(tmp_path / "photo.png", sight, points + torch.tensor([0, 0, 2.0])) is not None


def test_a_point_behind_the_head_is_not_painted_with_the_face() -> None:
    photo = camera(0)
    image, mask, view_surface, _ = head(photo, photo)
    view = camera(180)
    _truth, _mask, behind, _ = head(view, photo)
    _colors, visible = warped(behind.depth, view, PosedImage(image, mask, photo), view_surface.depth)
    assert visible.max() == 0
    assert transform(view.T_camera_world[0], torch.zeros(1, 3))[0, 2] == pytest.approx(FAR, abs=1e-5)
