"""Meshes and splats of other programs: colours from textures, vertices and materials; broken files in one sentence."""

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial, SimpleMaterial

from avatar.errors import AvatarError, UsageError
from avatar.exporters.splats import write_ply
from avatar.io.exposure import srgb
from avatar.io.meshes import read_mesh
from avatar.io.splat_files import is_splat_file, read_splats
from avatar.model.props import Shape
from avatar.pipeline.props import read_shape
from avatar.types import Gaussians

RED_LEFT = np.zeros((64, 64, 3), np.uint8)
RED_LEFT[:, :32, 0], RED_LEFT[:, 32:, 2] = 255, 255


def square(material: object) -> trimesh.Trimesh:
    """A square of two triangles, whose texture is red at x < 0 and blue at x > 0."""
    corners = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    visual = trimesh.visual.TextureVisuals(uv=(corners[:, :2] + 1) / 2, material=material)
    return trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], visual=visual, process=False)


@pytest.mark.parametrize(
    ("name", "material"),
    [
        ("a.glb", PBRMaterial(baseColorTexture=Image.fromarray(RED_LEFT))),
        ("a.obj", SimpleMaterial(image=Image.fromarray(RED_LEFT))),
    ],
)
def test_a_texture_colours_the_splats(tmp_path: Path, name: str, material: object) -> None:
    square(material).export(tmp_path / name)
    shape = read_shape(tmp_path / name)
    left = shape.gaussians.means[:, 0] < -0.1
    right = shape.gaussians.means[:, 0] > 0.1
    assert float(shape.gaussians.colors[left, 0].mean()) > 0.95 and float(shape.gaussians.colors[left, 2].mean()) < 0.05
    assert float(shape.gaussians.colors[right, 2].mean()) > 0.95
    assert float(shape.normals[:, 2].min()) > 0.99


def test_colours_of_materials_are_linear_light_in_gltf_alone(tmp_path: Path) -> None:
    square(PBRMaterial(baseColorFactor=[0.5, 0.1, 0.0, 1.0])).export(tmp_path / "a.glb")
    color = read_mesh(tmp_path / "a.glb").colors[0].numpy()
    assert color == pytest.approx(srgb(np.array([0.5, 0.1, 0.0])), abs=0.02)
    ball = trimesh.creation.icosphere(subdivisions=1)
    ball.visual.vertex_colors = np.tile(np.array([[128, 30, 0, 255]], np.uint8), (len(ball.vertices), 1))
    ball.export(tmp_path / "b.ply")
    assert read_mesh(tmp_path / "b.ply").colors[0].tolist() == pytest.approx([128 / 255, 30 / 255, 0.0], abs=0.01)


def test_transforms_of_a_scene_are_applied(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    for x in (-2.0, 2.0):
        scene.add_geometry(
            trimesh.creation.box((1, 1, 1)), transform=trimesh.transformations.translation_matrix([x, 0, 0])
        )
    scene.export(tmp_path / "two.glb")
    mesh = read_mesh(tmp_path / "two.glb")
    assert len(mesh.faces) == 24 and mesh.vertices[:, 0].amin() == -2.5 and mesh.vertices[:, 0].amax() == 2.5


def test_splats_come_back_as_they_were_written(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    splats = Gaussians(
        torch.randn(50, 3, generator=generator),
        torch.nn.functional.normalize(torch.randn(50, 4, generator=generator), dim=1),
        0.01 + torch.rand(50, 3, generator=generator), 0.05 + 0.9 * torch.rand(50, generator=generator),
        torch.rand(50, 3, generator=generator),
    )  # fmt: skip
    write_ply(splats, tmp_path / "a.ply")
    assert is_splat_file(tmp_path / "a.ply")
    back = read_splats(tmp_path / "a.ply")
    for name in splats.__dataclass_fields__:
        torch.testing.assert_close(getattr(back, name), getattr(splats, name), atol=1e-5, rtol=1e-4)
    shape = Shape.of_splats(back)
    outward = ((back.means - back.means.median(0).values) * shape.normals).sum(1)
    assert float(outward.min()) >= 0


def test_broken_and_foreign_files_are_one_sentence(tmp_path: Path) -> None:
    trimesh.creation.icosphere().export(tmp_path / "ball.glb")
    content = (tmp_path / "ball.glb").read_bytes()
    (tmp_path / "cut.glb").write_bytes(content[: len(content) // 2])
    with pytest.raises(AvatarError, match=r"cut\.glb is not a readable mesh"):
        read_mesh(tmp_path / "cut.glb")
    (tmp_path / "far.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 7\n")
    with pytest.raises(AvatarError, match=r"far\.obj is not a readable mesh"):
        read_mesh(tmp_path / "far.obj")
    trimesh.PointCloud(np.random.default_rng(0).random((10, 3))).export(tmp_path / "points.ply")
    with pytest.raises(AvatarError, match="holds no triangles"):
        read_shape(tmp_path / "points.ply")
    (tmp_path / "a.stl").write_text("solid")
    with pytest.raises(UsageError, match="is no mesh and no file of splats"):
        read_shape(tmp_path / "a.stl")
    (tmp_path / "ascii.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 1\nproperty float f_dc_0\nend_header\n0\n"
    )
    with pytest.raises(AvatarError, match="no binary PLY"):
        read_shape(tmp_path / "ascii.ply")
