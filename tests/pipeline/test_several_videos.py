"""Videos of several phones: what is refused, the frames of all of them, and their exposures."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avatar.body import Body, load_body
from avatar.body.skinning import joint_transforms
from avatar.errors import AvatarError, UsageError
from avatar.geometry import project
from avatar.io.camera_motion_file import save_camera_motion
from avatar.io.exposure import exposed
from avatar.io.files import read_json, write_json
from avatar.io.observations_file import save_observations
from avatar.observation.camera_motion import standing_still
from avatar.pipeline import several_videos
from avatar.pipeline.filmed_scene import scene_of_run
from avatar.pipeline.frames_of_videos import FilmedBy, all_frames, nearest_once
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.settings import Settings, build, settings_for, to_toml
from avatar.pipeline.several_videos import SeveralVideos, check_several, given_offsets
from avatar.pipeline.stages import Stage
from avatar.pipeline.training_data import load_training_data
from avatar.pipeline.video_gains import at_first_exposure, measure_gains
from avatar.tracking.kinematics import State
from avatar.tracking.report import TrackReport
from avatar.tracking.standing_cameras import StandingCamera
from avatar.tracking.world_frame import to_world_frame
from avatar.training.split import held_out_frames
from avatar.types import BodyTrack, Cameras, ImageList, Observations
from tests.tracking.several import R_SIDE, T_SIDE, filmed, from_the_side, moving
from tests.tracking.synthetic import FOCAL, HEIGHT, WIDTH

FRAMES, RATE = 16, 12.0
SCALE = 0.8  # of the distance between the cameras as they are solved
LATE = 0.3 / RATE  # the second camera's frames, after the first one's


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("open")


@pytest.fixture(scope="module")
def fitted(body: Body) -> BodyTrack:
    """The truth at the frames of the first camera."""
    times = torch.arange(FRAMES, dtype=torch.float64) / RATE
    state: State = moving(body, times)
    poses, T = to_world_frame(state)
    cameras = Cameras.centred(FOCAL, T, WIDTH, HEIGHT)
    confidence = torch.ones(FRAMES, len(body.parents))
    return BodyTrack("open", state.betas.float(), poses, times.float(), confidence, torch.arange(FRAMES), cameras)


def both_cameras(body: Body, late: float) -> list[FilmedBy]:
    """The second one begins 2 frames before the first one, and has a clock of its own."""
    times = torch.arange(FRAMES, dtype=torch.float64) / RATE
    first = filmed(body, moving(body, times), times, "a.mp4", 1)
    later = times - 2 / RATE + late
    second = filmed(body, from_the_side(moving(body, later)), later - later[0], "b.mp4", 2)
    reference = StandingCamera(np.eye(3), np.zeros(3), FOCAL, 0.0)
    side = StandingCamera(R_SIDE.numpy(), SCALE * T_SIDE.numpy(), FOCAL, float(later[0]))
    return [FilmedBy(first, reference, "a.mp4"), FilmedBy(replace(second, notes=("one is lost.",)), side, "b.mp4")]


@pytest.mark.parametrize("late", [0.0, LATE])
def test_the_frames_of_all_cameras_fit_the_track(body: Body, fitted: BodyTrack, late: float) -> None:
    cameras = both_cameras(body, late)
    frames = all_frames(cameras, fitted, 1 / SCALE, 200)
    observations, track = frames.observations, frames.track
    outside = 2  # frames of the second camera, before the first one filmed
    assert frames.counts == [FRAMES, FRAMES - outside]
    assert len(track) == FRAMES and bool((track.times.diff() > 0).all())
    away = (observations.times - track.times[track.instant]).abs()
    assert float(away.max()) == pytest.approx(late / 2, abs=1e-5)
    rest = body.rest(track.betas)
    joints = joint_transforms(rest.joints, body.parents, body.complete(track.poses))[..., :3, 3]
    knee, mark = body.joint_names.index("left_knee"), 25
    assert track.cameras is not None
    pixels, _ = project(track.cameras.K, track.cameras.T_camera_world, joints[track.instant])
    missed = (pixels[:, knee] - observations.keypoints[:, mark, :2]).norm(dim=-1)
    assert float(missed.max()) < 8  # the landmark is not quite the joint
    assert observations.notes == ("b.mp4: one is lost.",)


def test_images_of_other_sizes_lie_in_the_corner(body: Body, fitted: BodyTrack) -> None:
    first, second = both_cameras(body, 0.0)
    own = second.observations
    ones = ImageList(len(own), lambda _: np.ones((HEIGHT + 20, WIDTH - 20, 3), np.uint8))
    masks = ImageList(len(own), lambda _: np.ones((HEIGHT + 20, WIDTH - 20), np.uint8))
    other = replace(own, images=ones, masks=masks, width=WIDTH - 20, height=HEIGHT + 20)
    frames = all_frames([first, replace(second, observations=other)], fitted, 1 / SCALE, 10)
    observations, track, count = frames.observations, frames.track, frames.counts[0]
    assert (observations.width, observations.height) == (WIDTH, HEIGHT + 20)
    assert count == 5
    image, mask = observations.images[count], observations.masks[count]
    assert image.shape == (HEIGHT + 20, WIDTH, 3) and image[:, : WIDTH - 20].min() == 1
    assert image[:, WIDTH - 20 :].max() == 0 and mask[:, WIDTH - 20 :].max() == 0
    assert track.cameras is not None and track.cameras.K[count, 0, 2] == (WIDTH - 20) / 2


def test_cameras_at_one_place_have_frames_of_their_own(body: Body, fitted: BodyTrack) -> None:
    """Their places say nothing of how many frames each one has."""
    first, _ = both_cameras(body, 0.0)
    beside = replace(first, name="b.mp4")
    assert all_frames([first, beside], fitted, 1.0, 10).counts == [5, 5]


def test_each_frame_shows_one_pose() -> None:
    """Also of a camera with fewer frames per second."""
    own, times = torch.tensor([0.0, 0.2, 0.4]), torch.tensor([0.0, 0.09, 0.11, 0.19, 0.3, 0.45])
    assert nearest_once(own, times).tolist() == [0, -1, -1, 1, -1, 2]


def test_a_held_out_pose_is_held_out_in_all_cameras(body: Body, fitted: BodyTrack) -> None:
    observations = all_frames(both_cameras(body, 0.0), fitted, 1 / SCALE, 200).observations
    held_out = held_out_frames(observations, 8)
    instants = observations.instant[held_out]
    assert instants.tolist() == [4, 12, 4, 12]
    others = [index for index in range(len(observations)) if index not in held_out]
    assert not set(observations.instant[others].tolist()) & set(instants.tolist())


def colored(observations: Observations, gains: np.ndarray) -> Observations:
    """A person of one colour in each image, whose linear light has another gain in each image."""

    color = np.full((1, 1, 3), [[[128, 115, 102]]], np.uint8)

    def image(index: int) -> np.ndarray:
        shown = exposed(color, gains[index])
        person: np.ndarray = observations.masks[index][..., None] > 127
        return np.where(person, shown, 30).astype(np.uint8)

    return replace(observations, images=ImageList(len(observations), image))


def test_exposures_are_measured_and_evened_out(body: Body, fitted: BodyTrack) -> None:
    frames = all_frames(both_cameras(body, 0.0), fitted, 1 / SCALE, 8)
    track, counts, truth = frames.track, frames.counts, np.array([[1.0, 1.0, 1.0], [1.4, 1.1, 0.8]])
    observations = colored(frames.observations, np.repeat(truth, counts, axis=0))
    gains = measure_gains(observations, track, body, counts)
    assert gains == pytest.approx(truth, rel=0.05)
    even = at_first_exposure(observations, gains, counts)
    person = even.masks[-1] > 250
    reference = even.images[0][even.masks[0] > 250].mean(0)
    assert even.images[-1][person].mean(0) == pytest.approx(reference, abs=6)
    assert (even.images[0] == observations.images[0]).all()


def test_the_stage_resumes_and_says_what_the_clocks_are(
    body: Body, fitted: BodyTrack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunFolder(tmp_path / "run")
    for number, one in enumerate(both_cameras(body, LATE), start=1):
        save_observations(one.observations, run.videos / str(number), frames=".jpg")
        still = standing_still(one.observations, FOCAL, True)
        save_camera_motion(run.videos / f"{number}.json", still)

    def solved(observations: Observations, *_: Any, others: Any, **__: Any) -> tuple[BodyTrack, TrackReport]:
        assert len(others) == 1 and bool(others[0].shows[0]) and not bool(others[0].shows[-1])
        return fitted, TrackReport(FOCAL, 1.0, ["a warning"], camera_scale=1.0)

    monkeypatch.setattr(several_videos, "track", solved)
    monkeypatch.setattr("avatar.runtime.logging.logger.propagate", True)
    settings = settings_for("a.mp4", "fast", {"others": ["b.mp4"], "offset": str(LATE - 2 / RATE)})
    stage = SeveralVideos(run, settings, body, partial(Stage, seconds={}))
    with caplog.at_level(logging.INFO):
        data = stage.compute()
    assert any("b.mp4 began 0.14" in message and "before a.mp4" in message for message in caplog.messages)
    stage.save(data)
    assert not run.videos.exists()
    loaded = load_training_data(run)
    assert loaded.all_warnings == ["b.mp4: one is lost.", "a warning"]
    rows = read_json(run.videos_file)
    assert [row["frames"] for row in rows] == [FRAMES, FRAMES - 2]
    assert len(loaded.observations) == 2 * FRAMES - 2
    assert rows[1]["offset"] == pytest.approx(LATE - 2 / RATE, abs=0.01)
    assert (run.observations / "frames" / "00000.jpg").is_file()


def test_a_phone_that_moved_and_a_long_video_are_refused(body: Body, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    first = both_cameras(body, 0.0)[0].observations
    stage = SeveralVideos(run, settings_for("a.mp4", "fast", {"others": ["b.mp4"]}), body, partial(Stage, seconds={}))
    save_observations(first, run.videos / "1", frames=".jpg")
    still = standing_still(first, FOCAL, True)
    save_camera_motion(run.videos / "1.json", replace(still, regime="turning"))
    with pytest.raises(AvatarError, match=r"a\.mp4: the phone moved"):
        stage.compute()
    save_observations(replace(first, times=3 * first.times), run.videos / "1", frames=".jpg")
    with pytest.raises(AvatarError, match=r"a\.mp4 is too long for several videos.*less than 38 seconds"):
        stage.compute()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"others": ["none.mp4"]}, "There is no file none.mp4"),
        ({"others": ["a.mp4"]}, "One video was given twice"),
        ({"others": ["b.jpg"]}, "b.jpg is no video"),
        ({"others": ["b.mp4"], "people": "all"}, "--people is for one video"),
        ({"others": ["b.mp4"], "start": 1.0}, "--start is for one video"),
        ({"others": ["b.mp4"], "depth": "depth"}, "--depth is for one video"),
        ({"others": ["b.mp4"], "train": {"masks": "learned"}}, "--masks learned is for one video"),
        ({"others": ["b.mp4"], "camera": "moving"}, "--camera is for one video"),
        ({"others": ["b.mp4"], "offset": "soon"}, "--offset is in seconds"),
        ({"others": ["b.mp4"], "offset": "1,2"}, "--offset has 2 numbers for 1 further videos"),
        ({"offset": "1"}, "--offset has 1 numbers for 0 further videos"),
    ],
)
def test_what_does_not_fit_is_refused(
    more: dict[str, Any], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "b.mp4", "b.jpg"):
        Path(name).write_bytes(b"not read")
    with pytest.raises(UsageError, match=sentence):
        check_several(settings_for("a.mp4", "fast", more))
    check_several(settings_for("a.mp4", "fast", {"others": ["b.mp4"], "offset": "-0.5", "camera": "still"}))


def test_no_scene_is_made_of_several_videos(tmp_path: Path) -> None:
    write_json(RunFolder(tmp_path).videos_file, [])
    with pytest.raises(UsageError, match="was made from several videos"):
        scene_of_run(tmp_path)


def test_the_settings_keep_all_videos() -> None:
    settings = settings_for("a.mp4", "fast", {"others": ["b.mp4", "c.mp4"], "offset": "0.5,-1"})
    assert settings.others == ("b.mp4", "c.mp4") and given_offsets(settings) == [0.5, -1.0]
    assert build(Settings, {**settings.as_dict(), "others": ["b.mp4", "c.mp4"]}) == settings
    assert "b.mp4" not in to_toml(settings)
    with pytest.raises(UsageError, match="others must be"):
        build(Settings, {"source": "a.mp4", "others": [1]})
