"""Every exported format read back by a program we did not write, and compared with the avatar."""

import json
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from plyfile import PlyData

from avatar.errors import AvatarError
from avatar.exporters.splats import Orientation, Up, write_packed, write_ply, write_ply_sequence
from avatar.exporters.synthetic_dataset import write_dataset
from avatar.geometry import rotation_from_quat
from avatar.io.splat_files import SH_C0
from avatar.io.videos import open_video
from avatar.model.avatar import Avatar
from avatar.pipeline.previews import write_turntable
from avatar.rendering.renderer import render
from avatar.types import BodyTrack, Cameras, Gaussians
from tests.node_packages import node_modules

gaussforge = pytest.importorskip("gaussforge")


@pytest.fixture(scope="module")
def posed(person: Avatar, moves: dict[str, BodyTrack]) -> Gaussians:
    return person.pose(moves["wave"].poses[6]).detach()


def test_ply_holds_the_splats_as_other_viewers_read_them(posed: Gaussians, tmp_path: Path) -> None:
    write_ply(posed, tmp_path / "me.ply", ["a pose"])
    ply = PlyData.read(tmp_path / "me.ply")
    vertex = ply["vertex"]
    assert vertex.count == len(posed)
    assert any("Y up, metres" in comment for comment in ply.comments)

    def columns(*names: str) -> torch.Tensor:
        return torch.tensor(np.stack([vertex[name] for name in names], axis=-1))

    torch.testing.assert_close(columns("x", "y", "z"), posed.means)
    torch.testing.assert_close(columns("scale_0", "scale_1", "scale_2").exp(), posed.scales)
    torch.testing.assert_close(torch.sigmoid(columns("opacity"))[:, 0], posed.opacities, atol=2e-6, rtol=0)
    torch.testing.assert_close(0.5 + SH_C0 * columns("f_dc_0", "f_dc_1", "f_dc_2"), posed.colors)
    torch.testing.assert_close(columns("rot_0", "rot_1", "rot_2", "rot_3"), posed.quats, atol=1e-6, rtol=0)
    # Upright, in metres, standing on the floor.
    height = np.ptp(vertex["y"])
    assert 1.4 < height < 2.1 and abs(vertex["y"].min()) < 0.25


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [("splat", 1e-6), ("ksplat", 1e-3), ("spz", 1e-3), ("sog", 1e-3), ("compressed.ply", 1e-3)],
)
def test_packed_formats_are_read_by_their_library(
    posed: Gaussians, tmp_path: Path, kind: str, tolerance: float
) -> None:
    path = tmp_path / f"me.{kind}"
    write_packed(posed, path)
    info = gaussforge.GaussForge().get_model_info(path.read_bytes(), kind)["data"]
    assert info["basic"]["numPoints"] == len(posed)
    bounds = info["bounds"]
    for axis, low, high in zip("xyz", posed.means.amin(0).tolist(), posed.means.amax(0).tolist(), strict=True):
        assert bounds[axis] == pytest.approx([low, high], abs=tolerance)
    beside = json.loads(path.with_name(path.name + ".json").read_text())
    assert beside["splats"] == len(posed) and "Y up, metres" in beside["frame"]


def test_a_packed_file_read_back_looks_the_same(posed: Gaussians, tmp_path: Path) -> None:
    write_packed(posed, tmp_path / "me.spz")
    forge = gaussforge.GaussForge()
    (tmp_path / "back.ply").write_bytes(forge.convert((tmp_path / "me.spz").read_bytes(), "spz", "ply")["data"])
    vertex = PlyData.read(tmp_path / "back.ply")["vertex"]

    def columns(*names: str) -> torch.Tensor:
        return torch.tensor(np.stack([vertex[name] for name in names], axis=-1))

    back = Gaussians(
        means=columns("x", "y", "z"),
        quats=columns("rot_0", "rot_1", "rot_2", "rot_3"),
        scales=columns("scale_0", "scale_1", "scale_2").exp(),
        opacities=torch.sigmoid(columns("opacity"))[:, 0],
        colors=0.5 + SH_C0 * columns("f_dc_0", "f_dc_1", "f_dc_2"),
    )
    T = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0.95], [0, 0, -1, 4], [0, 0, 0, 1]])
    K = torch.tensor([[200.0, 0, 80], [0, 200, 80], [0, 0, 1]])
    camera = Cameras(K[None], T[None], 160, 160)
    ours, theirs = (render(g, camera, "reference").rgb for g in (posed, back))
    assert -10 * math.log10((ours - theirs).square().mean()) > 30


@pytest.mark.parametrize(
    ("up", "flip"), [("y", True), ("minus-y", False), ("minus-y", True), ("z", False), ("z", True)]
)
def test_another_orientation_turns_the_person_and_nothing_else(posed: Gaussians, up: Up, flip: bool) -> None:
    orientation = Orientation(up, flip)
    R = orientation.rotation
    assert torch.allclose(R @ R.T, torch.eye(3)) and torch.det(R) > 0.999
    turned = orientation.applied(posed)
    axis, sign = {"y": (1, 1), "minus-y": (1, -1), "z": (2, 1)}[up]
    assert torch.allclose(turned.means[:, axis] * sign, posed.means[:, 1]), "heights stay heights"
    covariances = [
        (rotation_from_quat(g.quats) * g.scales[:, None]).square().sum(-1) for g in (turned, posed)
    ]  # the diagonals
    assert torch.allclose(covariances[0][:, axis], covariances[1][:, 1], atol=1e-6)
    if flip:
        assert torch.allclose(Orientation(up).applied(posed).means[:, 0], -turned.means[:, 0])


SPLAT_TRANSFORM = "@playcanvas/splat-transform@2.7.1"


@pytest.fixture(scope="module")
def splat_transform(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PlayCanvas's converter: on PATH, or a package of npm."""
    if program := shutil.which("splat-transform"):
        return program
    return str(node_modules(tmp_path_factory.mktemp("npm"), SPLAT_TRANSFORM) / ".bin" / "splat-transform")


@pytest.mark.parametrize(("kind", "options"), [("ply", ("minus-y", False)), ("splat", ("minus-y", False)),
                                               ("sog", ("minus-y", False)), ("ksplat", ("minus-y", False)),
                                               ("compressed.ply", ("minus-y", False)),
                                               ("spz", ("y", True))])  # fmt: skip
def test_every_format_opens_alike_in_supersplat(
    posed: Gaussians, splat_transform: str, tmp_path: Path, kind: str, options: tuple[Up, bool]
) -> None:
    """SuperSplat and its converter turn what they read by 180 degrees about Z: then the person stands as ours does."""
    orientation, path = Orientation(*options), tmp_path / f"me.{kind}"
    if kind == "ply":
        write_ply(posed, path, (), orientation)
    else:
        write_packed(posed, path, orientation)
    command = [splat_transform, "-w", str(path), str(tmp_path / "read.ply")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    vertex = PlyData.read(tmp_path / "read.ply")["vertex"]
    displayed = np.stack([-vertex["x"], -vertex["y"], vertex["z"]], axis=-1)
    for measure in (np.min, np.max, np.mean):
        assert measure(displayed, axis=0) == pytest.approx(measure(posed.means.numpy(), axis=0), abs=2e-3)


def test_gaussforge_missing_or_failing_is_one_sentence(
    posed: Gaussians, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AvatarError, match=r"me\.nonsense cannot be written: gaussforge"):
        write_packed(posed, tmp_path / "me.nonsense")
    monkeypatch.setitem(__import__("sys").modules, "gaussforge", None)
    with pytest.raises(AvatarError, match=r"needs the package gaussforge: pip install"):
        write_packed(posed, tmp_path / "me.spz")
    assert not list(tmp_path.iterdir())


def test_a_sequence_is_one_file_a_frame(person: Avatar, moves: dict[str, BodyTrack], tmp_path: Path) -> None:
    poses = moves["turn"].poses[:3]
    count = write_ply_sequence((person.pose(poses[i]) for i in range(3)), tmp_path, "turn")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert count == 3 and names == ["turn_0000.ply", "turn_0001.ply", "turn_0002.ply"]
    places = [PlyData.read(tmp_path / name)["vertex"]["z"].mean() for name in names]
    assert places[0] < places[1] < places[2]  # the motion walks towards +Z


@pytest.mark.parametrize("name", ["me.mp4", "me.gif", "me.webp"])
def test_a_turntable_turns(
    person: Avatar, moves: dict[str, BodyTrack], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avatar.pipeline.previews.TURN_SECONDS", 0.25)
    path = tmp_path / name
    write_turntable(person, moves["wave"].poses[0], path, 48, 64, backend="reference")
    if name.endswith("webp"):
        frames = [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(Image.open(path))]
    else:
        frames = [frame.astype(int) for _, frame in open_video(path).frames()]
    assert len(frames) == 6 and frames[0].shape == (64, 48, 3)
    assert np.abs(frames[0] - frames[3]).mean() > 1  # the back is not the front


def test_a_dataset_agrees_with_its_labels(person: Avatar, moves: dict[str, BodyTrack], tmp_path: Path) -> None:
    write_dataset(person, moves, tmp_path / "a", count=2, width=96, height=128, seed=3, backend="reference")
    labels = json.loads((tmp_path / "a" / "labels.json").read_text())
    assert len(labels["samples"]) == 2 and labels["joints"][0] == "pelvis"
    for entry in labels["samples"]:
        read = {
            name: np.asarray(Image.open(tmp_path / "a" / name / entry["file"]))
            for name in ("images", "masks", "depth", "normals")
        }
        assert read["images"].shape == (128, 96, 3) and read["masks"].shape == (128, 96)
        solid = read["masks"] > 200
        assert 0.01 < solid.mean() < 0.6
        # The pelvis lies inside the body, a little behind the surface in the depth map.
        x, y, inside = entry["keypoints"][0]
        T, joint = np.array(entry["T_camera_world"]), np.array(entry["joints_world"][0])
        behind = (T[:3, :3] @ joint + T[:3, 3])[2] - read["depth"][int(y), int(x)] * labels["depth_unit_m"]
        assert inside and solid[int(y), int(x)] and 0 < behind < 0.3
        # The visible surface faces the camera, which looks along +z.
        normals = read["normals"][solid] / 255 * 2 - 1
        assert (normals[:, 2] < 0.2).mean() > 0.95
        assert np.linalg.norm(normals, axis=1) == pytest.approx(1, abs=0.03)
        transl = np.array(entry["smpl"]["transl"]) + person.rest.joints[0].numpy()
        np.testing.assert_allclose(transl, joint, atol=1e-5)
    write_dataset(person, moves, tmp_path / "b", count=2, width=96, height=128, seed=3, backend="reference")
    assert (tmp_path / "a/labels.json").read_text() == (tmp_path / "b/labels.json").read_text()
