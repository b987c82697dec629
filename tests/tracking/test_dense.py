"""Dense correspondence in the fit, against made-up clips whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.body import Body
from avatar.body.surface_map import PARTS, SurfaceMap, densepose_surface_map, own_surface_map
from avatar.errors import AvatarError, UsageError
from avatar.io.images import write_image
from avatar.metrics.poses import pa_mpjpe
from avatar.observation.surface_images import iuv_files, read_iuv
from avatar.pipeline.dense import check_iuv, with_iuv
from avatar.tracking.dense import POINTS, DenseMatches, DenseSampler, dense_sampler
from avatar.tracking.fit import fit
from avatar.tracking.kinematics import State, move_points, pose_chain
from avatar.tracking.optical_flow import visible_points
from avatar.tracking.options import TrackOptions
from avatar.tracking.problem import build_problem
from avatar.tracking.samplers import Samplers
from avatar.tracking.silhouette import posed_vertices
from avatar.types import ImageList, Observations

from .synthetic import FOCAL, HEIGHT, WIDTH, observed, truth

FRAMES = 5
ZOOM = 3  # IUV images are this much larger than the frames
LIMBS = [1, 2, 4, 5, 7, 8, 16, 17, 18, 19, 20, 21]


@pytest.fixture(scope="module")
def surface(body: Body) -> SurfaceMap:
    return own_surface_map(body)


@pytest.fixture(scope="module")
def true(body: Body) -> State:
    return truth(body, FRAMES, 0.8)


def iuv_images(body: Body, surface: SurfaceMap, state: State, wrong: float = 0.0) -> ImageList:
    """What a perfect detector sees; a share of the parts of each frame is taken for others."""
    rng, size = np.random.default_rng(0), (ZOOM * WIDTH, ZOOM * HEIGHT)
    images = []
    for mesh in posed_vertices(body, state):
        pixels = ZOOM * (FOCAL * mesh[:, :2] / mesh[:, 2:] + [WIDTH / 2, HEIGHT / 2])
        visible = visible_points(mesh, pixels, size, torch.arange(len(mesh)), body.faces)
        rows = np.flatnonzero(visible[surface.corners.numpy()].all(1))
        shares = surface.shares.numpy()[rows, :, None]
        x, y = (pixels[surface.corners.numpy()[rows]] * shares).sum(1).astype(int).T
        parts = np.arange(PARTS + 1)
        taken = np.flatnonzero(rng.random(PARTS) < wrong) + 1
        parts[taken] = rng.integers(1, PARTS + 1, len(taken))
        image = np.zeros((size[1], size[0], 3), np.uint8)
        image[y, x, 0] = parts[surface.parts[rows] + 1]
        image[y, x, 1:] = (255 * surface.chart[rows]).round()
        images.append(image)
    return ImageList.of(images)


def error(body: Body, observations: Observations, true: State) -> float:
    """Millimetres of the limbs' joints after Procrustes."""
    sampler = dense_sampler(observations, body, TrackOptions())
    problem = build_problem(observations, body, FOCAL, 1.7)
    _, state = fit(problem, Samplers(dense=sampler))
    places, true_places = (pose_chain(body, one).position.float()[:, LIMBS] for one in (state, true))
    return 1e3 * float(pa_mpjpe(places, true_places).mean())


def test_a_pixel_is_tied_to_the_point_of_the_surface_that_it_shows(
    body: Body, surface: SurfaceMap, true: State
) -> None:
    chosen = np.arange(0, len(surface.parts), 29)
    nearest = surface.find(surface.parts[chosen], np.round(255 * surface.chart[chosen]) / 255)
    places = (body.template[surface.corners] * surface.shares[..., None]).sum(1)
    away = (places[nearest] - places[chosen]).norm(dim=-1)
    # Where the surface folds, at eyes and mouth, a chart names two points.
    assert (nearest >= 0).all() and float(away.median()) < 0.005 and float(away.quantile(0.99)) < 0.03
    assert surface.find(np.array([0]), np.array([[0.5, 5.0]]))[0] == -1
    observations = replace(observed(body, true, 0.0), iuv=iuv_images(body, surface, true))
    matches = DenseSampler(body, surface, observations).sample(3)
    assert matches.weight.sum(1).min() == POINTS
    places = move_points(pose_chain(body, true), true, matches.points).x
    away = (FOCAL * places[..., :2] / places[..., 2:] - matches.pixels).norm(dim=-1)
    assert float(away.median()) < 0.5 and float(away.max()) < 4  # pixels of the frames, in which a head is 25 tall


def test_first_passes_leave_out_parts_and_each_pass_takes_other_pixels(
    body: Body, surface: SurfaceMap, true: State
) -> None:
    observations = replace(observed(body, true, 0.0), iuv=iuv_images(body, surface, true))
    sampler = DenseSampler(body, surface, observations)
    first, again, second, last = (sampler.sample(turn) for turn in (0, 0, 1, 3))
    assert torch.equal(first.pixels, again.pixels) and not torch.equal(first.pixels, second.pixels)

    def parts(matches: DenseMatches) -> list[int]:
        counts = []
        for index in range(FRAMES):
            places = matches.pixels[index][matches.weight[index] > 0] + torch.tensor([WIDTH / 2, HEIGHT / 2])
            x, y = (ZOOM * places).floor().long().numpy().T
            assert observations.iuv is not None
            counts.append(len(np.unique(observations.iuv[index][y, x, 0])))
        return counts

    assert all(fewer < more for fewer, more in zip(parts(first), parts(last), strict=True))


def test_dense_pixels_mend_a_pose_and_wrong_parts_do_not_spoil_it(body: Body, surface: SurfaceMap, true: State) -> None:
    bare = observed(body, true, 4.0)
    without = error(body, bare, true)
    clean = error(body, replace(bare, iuv=iuv_images(body, surface, true)), true)
    confused = error(body, replace(bare, iuv=iuv_images(body, surface, true, wrong=0.2)), true)
    assert clean < 0.6 * without and confused < 0.8 * without


def test_the_users_own_table_ties_densepose_to_smpl(
    body: Body, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scipy.io import savemat

    path = tmp_path / "UV_Processed.mat"
    count, rng = len(body.template), np.random.default_rng(0)
    order = rng.permutation(count)  # the table's points are in an order of their own
    faces = np.argsort(order)[body.faces.numpy()]
    parts = rng.integers(1, PARTS + 1, len(faces))
    U, V = rng.random((2, count))
    table = {
        "All_Faces": faces + 1, "All_FaceIndices": parts[:, None], "All_U_norm": U[:, None], "All_V_norm": V[:, None],
        "All_vertices": order[None] + 1,
    }  # fmt: skip
    savemat(path, table)
    with pytest.raises(UsageError, match="SMPL's 6890 vertices and the body is open"):
        densepose_surface_map(path, body)
    monkeypatch.setattr("avatar.body.surface_map.SMPL_VERTICES", count)
    surface = densepose_surface_map(path, body)
    middle = count + 17
    assert surface.find(parts[[17]] - 1, np.stack([U, V], 1)[faces[17]].mean(0)[None]).tolist() == [middle]
    assert sorted(surface.corners[middle].tolist()) == sorted(body.faces[17].tolist())
    for wrong in ({"All_Faces": faces + 1}, table | {"All_vertices": order[None] + 9}):
        savemat(path, wrong)
        with pytest.raises(AvatarError, match=r"is not DensePose's UV_Processed.mat"):
            densepose_surface_map(path, body)


def test_parts_are_read_from_red_or_blue_and_other_images_refused(tmp_path: Path) -> None:
    image = np.zeros((32, 18, 3), np.uint8)
    image[4:20, 5:12] = np.stack(np.broadcast_arrays(7, np.arange(16)[:, None] * 16, np.arange(7) * 40), -1)
    for name, pixels in (("red", image), ("blue", image[..., ::-1])):
        write_image(tmp_path / name / "0.png", pixels)
        read = read_iuv(iuv_files(tmp_path / name), 180, 320)
        assert len(read) == 1 and np.array_equal(read[0], image)
    grey = np.repeat(image[..., :1], 3, -1)
    for pixels, sentence in ((image + 40, "no IUV image"), (image[:18], "whole frame"), (grey, "is grey"),
                             (np.zeros_like(image), "nobody is")):  # fmt: skip
        write_image(tmp_path / "wrong" / "0.png", pixels)
        with pytest.raises(AvatarError, match=sentence):
            read_iuv(iuv_files(tmp_path / "wrong"), 180, 320)
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "nowhere", tmp_path / "empty"):
        with pytest.raises(UsageError, match="one PNG for each frame"):
            iuv_files(folder)


def test_the_folder_has_an_image_for_each_frame(body: Body, surface: SurfaceMap, true: State, tmp_path: Path) -> None:
    observations = observed(body, true, 0.0)
    images = iuv_images(body, surface, true)
    for index in range(FRAMES):
        write_image(tmp_path / f"{index:03d}.png", images[index])
    options = TrackOptions(iuv=str(tmp_path))
    read = with_iuv(observations, options).iuv
    assert read is not None and np.array_equal(read[4], images[4])
    (tmp_path / "003.png").unlink()
    with pytest.raises(UsageError, match=r"has 4 images, but 5 frames are used: --iuv needs one per frame"):
        with_iuv(observations, options)
    assert with_iuv(observations, TrackOptions()) is observations
    with pytest.raises(UsageError, match="give their folder by --iuv"):
        check_iuv(TrackOptions(iuv_charts="UV_Processed.mat"), body)
    with pytest.raises(UsageError, match="There is no file"):
        check_iuv(TrackOptions(iuv=str(tmp_path), iuv_charts=str(tmp_path / "no.mat")), body)
