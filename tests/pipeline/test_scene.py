"""Scenes from files: their floor under the person's feet, in any axes and units, and sentences where that fails."""

from pathlib import Path

import pytest
import torch

from avatar.errors import AvatarError, UsageError
from avatar.exporters.splats import Orientation, write_ply
from avatar.pipeline.scene import FILMED, ScenePlacement, read_scene
from avatar.types import Gaussians


def room(floor: float = 0.0, ceiling: bool = False) -> Gaussians:
    """A floor of 4 m x 3 m, two walls, a table, dust below the floor and in the air."""
    generator = torch.Generator().manual_seed(0)

    def sheet(count: int, low: list[float], high: list[float], flat: int) -> Gaussians:
        a, b = torch.tensor(low), torch.tensor(high)
        scales = torch.full((count, 3), 0.05)
        scales[:, flat] = 0.005
        means = a + (b - a) * torch.rand(count, 3, generator=generator)
        quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1)
        return Gaussians(means, quats, scales, torch.full((count,), 0.9), torch.rand(count, 3, generator=generator))

    parts = [
        sheet(3000, [-2, -0.01, -1.5], [2, 0.01, 1.5], 1),
        sheet(2500, [-2, 0, -1.51], [2, 2.4, -1.49], 2),
        sheet(2000, [-2.01, 0, -1.5], [-1.99, 2.4, 1.5], 0),
        sheet(500, [0.8, 0.7, -1.4], [1.8, 0.72, -0.6], 1),
        sheet(60, [-2, -0.4, -1.5], [2, 2.4, 1.5], 1),
        *([sheet(3000, [-2, 2.39, -1.5], [2, 2.41, 1.5], 1)] if ceiling else []),
    ]
    whole = Gaussians.cat(parts)
    return whole.moved(torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, floor], [0, 0, 1, 0], [0, 0, 0, 1]]))


@pytest.mark.parametrize(("up", "flip"), [("y", False), ("minus-y", False), ("z", False)])
@pytest.mark.parametrize("ceiling", [False, True])
def test_the_floor_comes_to_zero_and_the_room_stands_upright(
    tmp_path: Path, up: str, flip: bool, ceiling: bool
) -> None:
    truth = room()
    write_ply(room(floor=-1.3, ceiling=ceiling), tmp_path / "room.ply", (), Orientation(up, flip))  # type: ignore[arg-type]
    scene, note = read_scene(tmp_path / "room.ply", ScenePlacement(up))  # type: ignore[arg-type]
    assert "floor estimated at -1.3" in note
    torch.testing.assert_close(scene.means[: len(truth)], truth.means, atol=0.02, rtol=0)


def test_scale_place_and_floor_are_as_given(tmp_path: Path) -> None:
    large = room(floor=2.0)
    shifted = large.moved(torch.tensor([[1.0, 0, 0, 50.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    write_ply(shifted, tmp_path / "room.ply")
    scene, note = read_scene(tmp_path / "room.ply", ScenePlacement(scale=2.0, floor=2.0, offset=(1.0, -3.0)))
    low, high = scene.inner_box
    assert float(high[0] - low[0]) == pytest.approx(8.0, abs=0.2) and "floor given at 2.00" in note
    assert ((low + high) / 2)[[0, 2]].tolist() == pytest.approx([1.0, -3.0], abs=1e-3)
    assert float(scene.means[:3000, 1].abs().max()) < 0.03
    centred, note = read_scene(tmp_path / "room.ply")
    assert "its middle moved to x = 0, z = 0" in note and abs(float(centred.means[:, 0].mean())) < 0.5


def test_a_scene_around_the_origin_stays_where_it_is(tmp_path: Path) -> None:
    truth = room()
    write_ply(truth, tmp_path / "room.ply")
    scene, note = read_scene(tmp_path / "room.ply")
    assert "moved" not in note
    torch.testing.assert_close(scene.means, truth.means, atol=1e-5, rtol=0)


def test_what_cannot_be_a_scene_is_a_sentence(tmp_path: Path) -> None:
    write_ply(room(), tmp_path / "room.ply")
    with pytest.raises(UsageError, match=r"would be 0\.0039\d? m wide: .* --scene-scale 1"):
        read_scene(tmp_path / "room.ply", ScenePlacement(scale=0.001))
    with pytest.raises(UsageError, match="There is no file"):
        read_scene(tmp_path / "none.ply")
    (tmp_path / "cut.ply").write_bytes((tmp_path / "room.ply").read_bytes()[:5000])
    with pytest.raises(AvatarError, match="ends before its last splat"):
        read_scene(tmp_path / "cut.ply")
    with pytest.raises(UsageError, match="--scene-scale must be above 0"):
        read_scene(tmp_path / "room.ply", ScenePlacement(scale=-1.0))


def test_the_scene_of_a_run_stays_where_it_is(tmp_path: Path) -> None:
    aside = room().moved(torch.tensor([[1.0, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, -5], [0, 0, 0, 1]]))
    write_ply(aside, tmp_path / "scene.ply", [FILMED])
    scene, note = read_scene(tmp_path / "scene.ply")
    torch.testing.assert_close(scene.means, aside.means)
    assert "where the person was filmed" in note
