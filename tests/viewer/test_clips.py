"""Motions of the timeline: filmed, built in, from the run, and from strangers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from avatar.errors import AvatarError, UsageError
from avatar.io.track_file import save_track
from avatar.model.avatar import Avatar
from avatar.viewer import clips
from avatar.viewer.clips import builtin_clips, clip_from_upload, clip_of_track
from avatar.viewer.session import open_session
from avatar.viewer.state import ViewState
from avatar.viewer.timeline import caption, confidence_strip

from .sample import sample_avatar, sample_track


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return sample_avatar(50)


def test_a_run_offers_what_was_filmed_its_files_and_the_built_ins(run_folder: Path, avatar: Avatar) -> None:
    track = sample_track(avatar, 4)
    save_track(track, run_folder / "motions" / "pose-001.npz")
    (run_folder / "motions" / "notes.txt").write_text("not a motion")
    session = open_session(run_folder)
    names = list(session.clips)
    assert names[0] == "as filmed" and "walk" in names and "pose-001.npz" in names and "notes.txt" not in names
    assert torch.allclose(session.clip("pose-001.npz").poses.rotations, track.poses.rotations)


def test_a_folder_without_an_avatar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="avatar"):
        open_session(tmp_path)


def test_on_the_spot_keeps_heights_and_loses_the_way(avatar: Avatar) -> None:
    source = builtin_clips(avatar)["walk"]
    walk = source() if callable(source) else source
    assert walk.poses.root_position[:, 2].max() - walk.poses.root_position[:, 2].min() > 1.0
    roots = walk.on_spot.poses.root_position
    assert (roots[:, [0, 2]] == roots[0, [0, 2]]).all()
    assert torch.equal(roots[:, 1], walk.poses.root_position[:, 1])


def test_what_was_filmed_stays_where_the_cameras_saw_it(avatar: Avatar) -> None:
    clip = clip_of_track("as filmed", sample_track(avatar, 4))
    assert clip.on_spot is clip


@pytest.mark.parametrize("name", ["../../escape.npz", "/etc/passwd.npz", "a/b\\c<script>.npz"])
def test_the_name_of_an_upload_is_only_a_name(avatar: Avatar, tmp_path: Path, name: str) -> None:
    save_track(sample_track(avatar, 3), tmp_path / "track.npz")
    clip = clip_from_upload(name, (tmp_path / "track.npz").read_bytes(), avatar)
    assert not set("/\\<>") & set(clip.name)
    assert not clip.name.startswith(".")


def test_the_caption_tells_how_well_a_file_was_read(avatar: Avatar) -> None:
    content = (Path(__file__).parents[1] / "motion/data/mixamo.bvh").read_bytes()
    clip = clip_from_upload("mixamo.bvh", content, avatar)
    assert clip.check.startswith("limbs within 0.0 degrees")
    assert clip.check in caption(ViewState(clip=clip.name, betas=()), clip)


@pytest.mark.parametrize("content", [b"", b"HIERARCHY", b"\x80\x04cos\nsystem\n(S'true'\ntR.", bytes(1000)])
def test_broken_uploads_give_one_sentence_without_paths(avatar: Avatar, content: bytes) -> None:
    for suffix in (".bvh", ".pkl", ".npz"):
        with pytest.raises(AvatarError) as caught:
            clip_from_upload(f"evil{suffix}", content, avatar)
        assert "/tmp" not in str(caught.value) and "\n" not in str(caught.value)


def test_large_uploads_and_other_files_are_refused(avatar: Avatar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "MAX_BYTES", 100)
    with pytest.raises(AvatarError, match="larger"):
        clip_from_upload("motion.npz", bytes(101), avatar)
    with pytest.raises(AvatarError, match="no motion file"):
        clip_from_upload("program.exe", b"MZ", avatar)


def test_the_strip_shows_the_worst_frame_of_each_column(avatar: Avatar) -> None:
    track = sample_track(avatar, 1000)
    track.confidence[500] = 0.0
    columns = confidence_strip(clip_of_track("as filmed", track))
    assert len(columns) == 160 and columns[80] == 0 and sum(value == 0 for value in columns) <= 2
