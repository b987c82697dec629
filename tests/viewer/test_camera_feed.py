"""The viewer's avatar follows the frames of a camera."""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from avatar.errors import AvatarError, UsageError
from avatar.io.assets import asset_path
from avatar.motion import load_motion
from avatar.viewer.app import Viewer
from avatar.viewer.camera_feed import CameraFeed, Frame, camera_frames
from avatar.viewer.clips import builtin_clips
from avatar.viewer.session import Session

from .sample import sample_avatar

FRAMES = 5


@pytest.fixture(scope="module")
def viewer() -> Iterator[Viewer]:
    avatar = sample_avatar(1000)
    viewer = Viewer(Session(avatar, builtin_clips(avatar)), port=8880)
    yield viewer
    viewer.solver.stop()
    viewer.server.stop()


@pytest.mark.timeout(180)
def test_the_avatar_takes_the_poses_of_a_video_and_they_become_a_motion(viewer: Viewer, tmp_path: Path) -> None:
    before = viewer.store.state
    feed = CameraFeed(viewer, islice(camera_frames(str(asset_path("clips", "turn.mp4"))), FRAMES))
    feed.start()
    feed.thread.join()
    assert feed.failure is None and len(feed.poses) == FRAMES - 1
    shown = viewer.store.state.edited
    assert shown is not None and shown is feed.poses[-1][1] and not viewer.store.state.playing
    assert float(shown.rotations[0, 1, 1]) > 0.95 and 0.7 < float(shown.root_position[1]) < 1.3
    assert before.edited is None
    frames = feed.write(tmp_path / "motion.json")
    assert len(load_motion(tmp_path / "motion.json").track) == frames >= 2


def test_a_video_is_played_at_its_own_pace() -> None:
    start = time.monotonic()
    moments = [moment for moment, _ in islice(camera_frames(str(asset_path("clips", "turn.mp4"))), 8)]
    assert time.monotonic() - start >= moments[-1] > 0.1


def test_no_camera_no_file_and_no_person_are_one_sentence(viewer: Viewer, tmp_path: Path) -> None:
    with pytest.raises(AvatarError, match="camera 97"):
        camera_frames("97")
    with pytest.raises(UsageError, match=r"missing\.mp4"):
        camera_frames(str(tmp_path / "missing.mp4"))
    empty = np.full((240, 160, 3), 127, np.uint8)
    feed = CameraFeed(viewer, [(0.0, empty), (0.1, empty)])
    feed.start()
    feed.thread.join()
    assert "Step into the image" in viewer.store.state.message
    with pytest.raises(AvatarError, match="Nothing was recorded"):
        feed.write(tmp_path / "motion.json")


def test_a_camera_that_fails_ends_with_its_sentence(viewer: Viewer) -> None:
    def unplugged() -> Iterator[Frame]:
        yield 0.0, np.full((240, 160, 3), 127, np.uint8)
        raise AvatarError("The camera gives no images any more.")

    feed = CameraFeed(viewer, unplugged())
    feed.start()
    feed.thread.join()
    assert str(feed.failure) == viewer.store.state.message == "The camera gives no images any more."
