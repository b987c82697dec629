"""Cuts and black bars are found in videos made for it, and nothing is found in whole ones."""

from pathlib import Path

import numpy as np
import pytest

from avatar.errors import UsageError
from avatar.io.assets import asset_path
from avatar.io.video_layout import scene_changes, video_layout, without_bars
from avatar.io.videos import VideoWriter, open_video

FPS = 10


def scene(seed: int, frames: int, bar: int = 0) -> list[np.ndarray]:
    """A room of its own colours, seen by a hand that shakes, with a bar of a number of pixels above and below."""
    random = np.random.default_rng(seed)
    wall = np.kron(random.integers(40, 220, (8, 10, 3)), np.ones((24, 24, 1))).astype(np.uint8)
    images = [np.roll(wall, (index % 3, index % 2), (0, 1)) for index in range(frames)]
    if bar:
        images = [np.concatenate([np.zeros_like(i[:bar]), i, np.zeros_like(i[:bar])]) for i in images]
    return images


def written(path: Path, frames: list[np.ndarray]) -> Path:
    with VideoWriter(path, FPS) as video:
        for frame in frames:
            video.add(frame)
    return path


def test_cuts_are_found_and_a_flash_is_none(tmp_path: Path) -> None:
    first = scene(1, 25)
    flashed = [np.full_like(image, 250) if index in (12,) else image for index, image in enumerate(first)]
    two = [np.full_like(image, 250) if index in (5, 6) else image for index, image in enumerate(scene(2, 20))]
    video = open_video(written(tmp_path / "a.mp4", [*flashed, *two, *scene(3, 10)]))
    assert video_layout(video).cuts == pytest.approx((2.5, 4.5), abs=0.01)
    assert video_layout(video.part(1.0, 4.0)).cuts == pytest.approx((1.5,), abs=0.01)


@pytest.mark.parametrize("name", ["turn.mp4", "balance.mp4"])
def test_whole_clips_are_whole(name: str) -> None:
    layout = video_layout(open_video(asset_path("clips", name), longest=960))
    assert layout.cuts == () and layout.content is None


def test_a_change_must_stand_out() -> None:
    calm, cut, shaken = [1.0] * 9, [1.0] * 4 + [20.0] + [1.0] * 4, [15.0] * 4 + [20.0] + [15.0] * 4
    assert scene_changes(calm, calm) == [] and scene_changes(cut, cut) == [4]
    assert scene_changes(shaken, [5.0] * 4 + [9.0] + [5.0] * 4) == []


def test_bars_are_cut_away(tmp_path: Path) -> None:
    video = open_video(written(tmp_path / "a.mp4", scene(1, 12, bar=30)))
    cut = without_bars(video, video_layout(video))
    assert (cut.width, cut.height) == (240, 192)
    assert "leaves 240x192 of 240x252 pixels" in cut.notes[0]
    frames = [image for _, image in cut.frames()]
    assert frames[0].shape == (192, 240, 3) and frames[3].mean((1, 2)).min() > 60


def test_a_dark_side_is_no_bar(tmp_path: Path) -> None:
    dark = scene(1, 12)
    for image in dark:
        image[:, :60] = 0
    video = open_video(written(tmp_path / "a.mp4", dark))
    assert video_layout(video).content is None


def test_chosen_frames_are_those_of_the_whole(tmp_path: Path) -> None:
    video = open_video(written(tmp_path / "a.mp4", scene(1, 30)))
    whole = list(video.frames())
    for source, shift in ((video, 0), (video.part(1.0, None), 10)):
        chosen = list(source.frames({7, 3, 12}))
        assert [time for time, _ in chosen] == pytest.approx([whole[index][0] for index in (3, 7, 12)], abs=1e-3)
        assert all(
            np.array_equal(image, whole[shift + index][1]) for (_, image), index in zip(chosen, (3, 7, 12), strict=True)
        )
    assert len(list(video.frames({0, 29}))) == 2 and not list(video.frames(set()))


def test_hundreds_of_frames_are_chosen(tmp_path: Path) -> None:
    """ffmpeg's expressions are limited to a hundred terms in a row."""
    path = written(tmp_path / "a.mp4", [np.full((16, 16, 3), index // 2, np.uint8) for index in range(500)])
    chosen = set(range(0, 500, 2))
    assert len(list(open_video(path).frames(chosen))) == 250


def test_a_part_has_the_frames_and_times_of_the_whole(tmp_path: Path) -> None:
    video = open_video(written(tmp_path / "a.mp4", scene(1, 30)))
    whole = list(video.frames())
    part = video.part(1.0, 2.0)
    frames = list(part.frames())
    assert part.expected_frames == len(frames) == 10 and part.damage(10) is None
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(frames, whole[10:20], strict=True))
    assert [time for time, _ in frames] == pytest.approx([time for time, _ in whole[:10]], abs=1e-3)
    again = list(part.part(0.5, None).frames())
    assert np.array_equal(again[0][1], whole[15][1]) and len(again) == 5
    for start, end in ((3.5, None), (-1.0, None), (2.0, 1.0)):
        with pytest.raises(UsageError, match="has no part from"):
            video.part(start, end)
