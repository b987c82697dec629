"""The track file gives back what was written, and refuses what is not a track in one sentence."""

from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.errors import AvatarError, UsageError
from avatar.geometry import rotation_from_rotvec
from avatar.io.files import read_npz, write_npz
from avatar.io.track_file import load_track, save_track
from avatar.types import BodyPose, BodyTrack, Cameras


def some_track(filmed: bool = True) -> BodyTrack:
    generator = torch.Generator().manual_seed(3)
    rotations = rotation_from_rotvec(torch.randn(4, 24, 3, generator=generator))
    cameras = Cameras(torch.eye(3).expand(6, 3, 3), torch.eye(4).expand(6, 4, 4), 320, 240) if filmed else None
    return BodyTrack(
        body="open",
        betas=torch.randn(10, generator=generator),
        poses=BodyPose(torch.randn(4, 3, generator=generator), rotations),
        times=torch.arange(4) / 30,
        confidence=torch.rand(4, 24, generator=generator),
        instant=torch.tensor([0, 0, 1, 2, 3, 3]),
        cameras=cameras,
    )


@pytest.mark.parametrize("filmed", [True, False])
def test_round_trip(tmp_path: Path, filmed: bool) -> None:
    track = some_track(filmed)
    save_track(track, tmp_path / "track.npz")
    again = load_track(tmp_path / "track.npz")
    assert again.body == track.body
    for name in ("betas", "times", "confidence", "instant"):
        assert torch.equal(getattr(again, name), getattr(track, name))
    assert torch.equal(again.poses.root_position, track.poses.root_position)
    assert torch.equal(again.poses.rotations, track.poses.rotations)
    assert (again.cameras is None) != filmed
    if again.cameras is not None and track.cameras is not None:
        assert torch.equal(again.cameras.K, track.cameras.K)
        assert (again.cameras.width, again.cameras.height) == (320, 240)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        load_track(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(AvatarError, match="not a readable npz"):
        load_track(tmp_path / "text.npz")
    write_npz(tmp_path / "other.npz", points=np.zeros(3))
    with pytest.raises(AvatarError, match="not a track file"):
        load_track(tmp_path / "other.npz")
    np.savez(tmp_path / "objects.npz", format=np.array([{"a": 1}], dtype=object))
    with pytest.raises(AvatarError, match="plain arrays"):
        load_track(tmp_path / "objects.npz")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("betas", None, "lacks betas"),
        ("T_camera_world", None, "lacks T_camera_world"),
        ("rotations", np.zeros((3, 24, 3, 3)), "rotations should be"),
        ("root_position", np.full((4, 3), np.nan), "root_position should be"),
        ("instant", np.array([0, 1, 2, 3, 4, 4]), "frames do not match"),
        ("version", np.array(99), "another version"),
    ],
)
def test_damaged_tracks_are_named(tmp_path: Path, name: str, value: np.ndarray | None, message: str) -> None:
    path = tmp_path / "track.npz"
    save_track(some_track(), path)
    arrays = read_npz(path)
    if value is None:
        del arrays[name]
    else:
        arrays[name] = value
    write_npz(path, **arrays)
    with pytest.raises(AvatarError, match=message):
        load_track(path)
