"""Views from folders, from an editing pipeline; where they were taken from; how they are aligned."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from avatar.body import load_body
from avatar.body.model import Body
from avatar.errors import AvatarError, UsageError
from avatar.geometry import project
from avatar.novel_views.background import person_mask
from avatar.novel_views.face_transfer import warped
from avatar.novel_views.folder import FolderViews
from avatar.novel_views.generator import Photo, View
from avatar.novel_views.image_edit import SIDES, EditedViews
from avatar.novel_views.options import ViewOptions
from avatar.novel_views.placement import camera_angles, on_canvas, place_view
from avatar.novel_views.registry import view_generator
from avatar.rendering.camera_paths import intrinsics, look_at
from avatar.tracking.silhouette import filled_mesh
from avatar.training.view_alignment import LearnedViews
from avatar.types import Cameras, Detection, Gaussians, PosedImage


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("open")


def camera_at(azimuth: float, elevation: float, distance: float, fov: float, centre: torch.Tensor) -> Cameras:
    fov = float(fov)
    turn, tilt = math.radians(azimuth), math.radians(elevation)
    away = torch.tensor([math.sin(turn) * math.cos(tilt), math.sin(tilt), math.cos(turn) * math.cos(tilt)])
    return Cameras(intrinsics(300, 400, fov)[None], look_at(centre + distance * away, centre)[None], 300, 400)


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (70, 15), (-130, -10), (180, 5)])
def test_a_view_is_placed_where_its_silhouette_says(body: Body, azimuth: int, elevation: int) -> None:
    vertices = body.template
    centre = (vertices.amin(0) + vertices.amax(0)) / 2
    photo = camera_at(20, 3, 3.0, 50, centre)
    true = camera_at(20 + azimuth, elevation, 3.4, 45, centre)
    pixels, _ = project(true.K[0], true.T_camera_world[0], vertices)
    mask = filled_mesh(pixels.numpy(), body.faces.numpy().astype(np.int32), (300, 400))
    view = View("side", np.zeros((400, 300, 3), np.uint8), mask, float(azimuth), float(elevation), 45.0)
    estimate = place_view(view, vertices, photo.T_camera_world[0])
    again, _ = project(estimate.K[0], estimate.T_camera_world[0], vertices)
    assert (again - pixels).norm(dim=-1).max() < 3
    assert torch.allclose(estimate.T_camera_world, true.T_camera_world, atol=0.03)


def test_angles_of_a_camera() -> None:
    centre = torch.tensor([0.1, 0.9, -0.2])
    for azimuth, elevation in ((0, 0), (90, 10), (-120, 30)):
        estimate = camera_angles(camera_at(azimuth, elevation, 2.0, 40, centre).T_camera_world[0], centre)
        assert estimate == pytest.approx((azimuth, elevation), abs=1e-3)


def test_a_canvas_keeps_what_the_camera_sees(body: Body) -> None:
    centre = body.template.mean(0)
    camera = camera_at(0, 0, 3, 45, centre)
    pixels, _ = project(camera.K[0], camera.T_camera_world[0], body.template)
    mask = filled_mesh(pixels.numpy(), body.faces.numpy().astype(np.int32), (300, 400))
    _image, larger, moved = on_canvas(
        View("v", np.zeros((400, 300, 3), np.uint8), mask, 0.0, 0.0, 45.0), camera, 700, 600
    )
    pixels, _ = project(moved.K[0], moved.T_camera_world[0], body.template)
    again = filled_mesh(pixels.numpy(), body.faces.numpy().astype(np.int32), (700, 600))
    assert larger.shape == (600, 700)
    assert ((larger > 127) != (again > 127)).mean() < 0.005


def test_moving_the_person_is_moving_the_camera() -> None:
    torch.manual_seed(0)
    alignment = LearnedViews(torch.tensor([0.0, 1.0, 0.0]), torch.tensor([True, True, False]))
    with torch.no_grad():
        alignment.delta_rotvec.normal_(std=0.2)
        alignment.delta_translation.normal_(std=0.2)
    means = torch.randn(50, 3) * 0.3
    unit = torch.nn.functional.normalize(torch.randn(50, 4), dim=-1)
    gaussians = Gaussians(means, unit, torch.ones(50, 3), torch.ones(50), torch.ones(50, 3))
    camera = camera_at(30, 5, 3, 40, torch.zeros(3))
    same = Cameras(camera.K.repeat(3, 1, 1), camera.T_camera_world.repeat(3, 1, 1), 300, 400)
    corrected = alignment.aligned(same)
    for frame in range(3):
        moved = alignment.apply_pose(gaussians, frame).means
        here, _ = project(same.K[frame], same.T_camera_world[frame], moved)
        there, _ = project(corrected.K[frame], corrected.T_camera_world[frame], means)
        assert torch.allclose(here, there, atol=1e-2)
    assert torch.equal(corrected.T_camera_world[:2], same.T_camera_world[:2])
    assert not torch.allclose(corrected.T_camera_world[2], same.T_camera_world[2], atol=1e-2)


def test_an_image_warped_to_its_own_camera_stays() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (40, 30, 3)).astype(np.uint8)
    camera = Cameras(intrinsics(30, 40)[None], torch.eye(4)[None], 30, 40)
    depth = torch.full((40, 30), 2.0)
    sight = PosedImage(image, np.full((40, 30), 255, np.uint8), camera)
    colors, visible = warped(depth, camera, sight, depth)
    assert visible[1:-1, 1:-1].min() == 1
    assert torch.allclose(colors[1:-1, 1:-1] * 255, torch.from_numpy(image).float()[1:-1, 1:-1], atol=0.1)
    behind = warped(depth + 0.1, camera, sight, depth)[1]
    assert behind.max() == 0


def a_folder(folder: Path, entry: dict[str, Any] | None = None, content: str | None = None) -> FolderViews:
    pixels = np.zeros((60, 40, 4), np.uint8)
    pixels[10:50, 10:30] = 200, 100, 50, 255
    Image.fromarray(pixels).save(folder / "back.png")
    entry = {"image": "back.png", "azimuth": 180, "elevation": 0, "fov": 40} | (entry or {})
    (folder / "views.json").write_text(json.dumps({"views": [entry]}) if content is None else content)
    return FolderViews(str(folder))


A_PHOTO = Photo(np.full((200, 150, 3), 255, np.uint8), np.full((200, 150), 255, np.uint8), 0.0)


def test_a_folder_is_read(tmp_path: Path) -> None:
    (view,) = a_folder(tmp_path).generate(A_PHOTO)
    assert (view.azimuth, view.fov, view.confidence) == (180, 40, 1)
    assert (view.mask > 0).sum() == 800 and (view.image[0] == 255).all()


@pytest.mark.parametrize(
    ("entry", "content", "sentence"),
    [
        ({"azimuth": "left"}, None, "azimuth must be a number"),
        ({"fov": 0}, None, "fov is 0, but must lie between"),
        ({"elevation": float("nan")}, None, "elevation must be a number"),
        ({"image": "front.png"}, None, "lacks the image front.png"),
        ({"image": "../back.png"}, None, "name of an image in the same folder"),
        (None, "{}", "one entry per image"),
        (None, "views", "not a readable JSON"),
    ],
)
def test_a_wrong_folder_is_refused(
    tmp_path: Path, entry: dict[str, Any] | None, content: str | None, sentence: str
) -> None:
    with pytest.raises(AvatarError, match=sentence):
        a_folder(tmp_path, entry, content).generate(A_PHOTO)


def test_missing_and_misspelt_generators(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no views\.json"):
        view_generator(ViewOptions(f"folder:{tmp_path}"), "cpu")
    with pytest.raises(UsageError, match="no folder nowhere"):
        view_generator(ViewOptions("folder:nowhere"), "cpu")
    with pytest.raises(UsageError, match="--views must be"):
        view_generator(ViewOptions("oribt:model"), "cpu")
    assert view_generator(ViewOptions("none"), "cpu") is None


def test_plain_background_is_not_the_person() -> None:
    image = np.full((80, 60, 3), 250, np.uint8)
    image[10:80, 20:40] = 90, 40, 40
    mask = person_mask(image, "view", None)
    assert (mask > 127).sum() == 70 * 20
    noise = np.random.default_rng(0).integers(0, 255, (80, 60, 3)).astype(np.uint8)
    with pytest.raises(AvatarError, match="background is not plain"):
        person_mask(noise, "view", None)


class Finds:
    """A detector that finds nobody."""

    layout = "blazepose33"

    def detect(self, image: np.ndarray) -> list[Detection]:
        return []


def test_an_editing_pipeline_is_asked_for_every_side() -> None:
    prompts = []

    def pipeline(image: Image.Image, prompt: str) -> SimpleNamespace:
        prompts.append(prompt)
        answer = np.full((image.height, image.width, 3), 255, np.uint8)
        answer[20:-20, 50:-50] = 10 * len(prompts)
        return SimpleNamespace(images=[Image.fromarray(answer)])

    views = EditedViews("stub", "cpu", pipeline=pipeline, detector=Finds()).generate(A_PHOTO)
    assert [view.azimuth for view in views] == list(SIDES)
    assert all(side in prompt for side, prompt in zip(SIDES.values(), prompts, strict=True))
    assert [int(view.image[100, 75, 0]) for view in views] == [10 * n for n in range(1, 8)]
