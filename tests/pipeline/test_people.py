"""Several people of one video: their folders, their frames, and one world for all of them."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from avatar.errors import AvatarError, UsageError
from avatar.geometry import invert_rigid, project, rigid, rotation_from_rotvec
from avatar.io.camera_motion_file import CameraMotion
from avatar.io.files import read_json, write_json
from avatar.io.images import write_image
from avatar.io.observations_file import load_observations
from avatar.pipeline import people as people_stage
from avatar.pipeline.people import check_people, number_of_people, observed_people, separate_people
from avatar.pipeline.people_folder import PeopleFolder, open_people
from avatar.pipeline.rounds import Training
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.settings import Settings, settings_for
from avatar.pipeline.shared_world import camera_height, everybody, motion_of_track, moved_to, rows_in
from avatar.pipeline.training_data import TrainingData
from avatar.types import BodyPose, BodyTrack, Cameras
from tests.observation.crowd import BLUE, GREEN, RED, Crowd, Figure, write_crowd

FRAMES = 12


def people_of(video: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, people: str = "all") -> PeopleFolder:
    monkeypatch.setattr(people_stage, "choose_detector", lambda _name: (Crowd(), "made-up people"))
    result = PeopleFolder(RunFolder(folder))
    observed_people(result, settings_for(video, "fast", {"people": people}), {})
    return result


def test_each_person_has_a_run_folder_with_frames_in_common(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [[Figure(60 + index, RED, BLUE), Figure(180 - index, GREEN, RED)] for index in range(FRAMES)]
    video = write_crowd(tmp_path / "two.mp4", frames)
    folder = people_of(video, tmp_path / "run", monkeypatch)
    assert [run.folder.name for run in folder.load()] == ["person-1", "person-2"]
    observed = observed_people(folder, settings_for(video, "fast", {"people": "all"}), {})
    assert torch.equal(observed[0].times, observed[1].times) and len(observed[0]) == FRAMES
    both = everybody(observed)
    assert both.masks[3].tolist() == [
        [max(a, b) for a, b in zip(*rows, strict=True)]
        for rows in zip(*(one.masks[3].tolist() for one in observed), strict=True)
    ]
    assert rows_in(both.times, observed[1].times[[2, 5]]) == [2, 5]
    config = read_json(folder.person(2).config)
    assert config["people"] is None and config["observe"]["person"] == 2
    only = people_of(video, tmp_path / "one", monkeypatch, "1")
    assert not only.is_complete and only.run.observations_file.is_file()


def test_who_is_hidden_nearly_always_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [[Figure(60 + index, RED, BLUE), Figure(180 - index, GREEN, RED)] for index in range(FRAMES)]
    video = write_crowd(tmp_path / "two.mp4", frames)
    monkeypatch.setattr(
        people_stage, "shown_frames", lambda one: [] if float(one.keypoints[0, 0, 0]) < 100 else [0] * 9
    )
    folder = people_of(video, tmp_path / "run", monkeypatch)
    assert not folder.is_complete
    assert float(load_observations(folder.run.observations).keypoints[0, 0, 0]) > 100
    monkeypatch.setattr(people_stage, "shown_frames", lambda one: [])
    with pytest.raises(AvatarError, match="let them stand apart"):
        people_of(video, tmp_path / "none", monkeypatch)


def test_one_person_is_no_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_crowd(tmp_path / "one.mp4", [[Figure(60 + index, RED, BLUE)] for index in range(FRAMES)])
    folder = people_of(video, tmp_path / "run", monkeypatch)
    assert not folder.is_complete and folder.run.observations_file.is_file()
    assert sorted(path.name for path in folder.run.folder.iterdir()) == ["observations"]


def test_people_are_separated_once_and_only_where_they_touch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def touching(apart: int) -> list[list[Figure]]:
        return [[Figure(60 + index, RED, BLUE), Figure(60 + index + apart, GREEN, RED)] for index in range(FRAMES)]

    calls: list[int] = []
    cases: list[tuple[int, int, list[int]]] = [(120, 0, []), (33, 7, [2, 0])]
    track = track_seen_by(cameras(0.2, 1.4))
    monkeypatch.setattr(
        people_stage, "load_training_data", lambda run: TrainingData(load_observations(run.observations), track)
    )

    def train(_training: Training, data: TrainingData, _checkpoint: Path) -> SimpleNamespace:
        return SimpleNamespace(avatar=None, track=data.track)

    def separate(people: list[Any], _backend: str) -> int:
        calls.append(len(people))
        return 7

    monkeypatch.setattr(Training, "train", train)
    monkeypatch.setattr(people_stage, "CoarsePerson", lambda *fields: fields)
    monkeypatch.setattr(people_stage, "separate", separate)
    monkeypatch.setattr(people_stage, "_look_again", lambda *_: calls.append(0))
    for apart, frames, expected in cases:
        video = write_crowd(tmp_path / f"{apart}.mp4", touching(apart))
        folder = people_of(video, tmp_path / f"run{apart}", monkeypatch)
        for _ in range(2):  # the second time it is done
            separate_people(folder, settings_for(video, "fast", {"people": "all"}), {})
        assert read_json(folder.run.separation) == frames and calls == expected


def cameras(pitch: float, height: float, yaw: float = 0.0, frames: int = FRAMES) -> Cameras:
    """A camera that stands still at some height and looks down a little."""
    turn = rotation_from_rotvec(torch.tensor([0.0, yaw, 0.0])) @ torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    R = rotation_from_rotvec(torch.tensor([pitch, 0.0, 0.0])).mT @ turn.mT
    T = rigid(R, -(R @ torch.tensor([0.2, height, 3.0])))
    K = torch.tensor([[600.0, 0, 160], [0, 600, 240], [0, 0, 1]])
    return Cameras(K.repeat(frames, 1, 1), T.repeat(frames, 1, 1), 320, 480)


def track_seen_by(view: Cameras) -> BodyTrack:
    frames = len(view)
    poses = BodyPose(
        torch.randn(frames, 3, generator=torch.Generator().manual_seed(0)), torch.eye(3).repeat(frames, 24, 1, 1)
    )
    times = torch.arange(frames) / 10
    return BodyTrack("open", torch.zeros(4), poses, times, torch.ones(frames, 24), torch.arange(frames), view)


def test_tracks_of_two_fits_come_into_one_world() -> None:
    first, other = cameras(0.2, 1.4), track_seen_by(cameras(0.2, 1.4, yaw=0.7))
    moved = moved_to(first, other)
    assert moved.cameras is not None and other.cameras is not None
    assert torch.allclose(moved.cameras.T_camera_world, first.T_camera_world, atol=1e-5)
    before, after = (
        project(track.cameras.K[0], track.cameras.T_camera_world[0], track.poses.root_position)[0]
        for track in (other, moved)
        if track.cameras is not None
    )
    assert torch.allclose(before, after, atol=1e-2)
    assert camera_height(moved) == pytest.approx(1.4, abs=1e-5)
    upright = moved.poses.rotations[:, 0, :, 1]
    assert torch.allclose(upright, torch.tensor([0.0, 1.0, 0.0]).expand_as(upright), atol=1e-5)


def test_the_motion_takes_over_what_the_first_fit_tells() -> None:
    """Also in frames that the first person is missing from, and with a camera that moves."""
    truth = cameras(0.2, 1.4)
    shift = torch.eye(4).repeat(FRAMES, 1, 1)
    shift[:, 0, 3] = torch.linspace(-0.5, 0.5, FRAMES)
    truth = replace(truth, T_camera_world=shift @ truth.T_camera_world)
    T_world_other = rigid(rotation_from_rotvec(torch.tensor([0.3, 1.0, 0.2])), torch.tensor([1.0, 2.0, 3.0]))
    other = truth.T_camera_world @ T_world_other
    other[:, :3, 3] *= 0.1  # the scale of a reconstruction means nothing
    K = truth.K.clone()
    K[:, :2, :2] *= 1.2
    motion = CameraMotion("moving", replace(truth, K=K, T_camera_world=other))
    rows = list(range(2, FRAMES - 1))
    fitted = track_seen_by(truth[rows])
    shared = motion_of_track(motion, rows, fitted)
    assert shared.metric and shared.focal_given and shared.vertical == (0.0, 1.0, 0.0)
    assert torch.allclose(shared.cameras.K, truth.K)
    ours, theirs = (invert_rigid(view.T_camera_world)[:, :3, 3] for view in (shared.cameras, truth))
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_a_folder_of_people_names_its_own_folders(tmp_path: Path) -> None:
    folder = PeopleFolder(RunFolder(tmp_path))
    with pytest.raises(UsageError, match="holds no people"):
        folder.load()
    folder.save("me.mp4", 2)
    assert [run.folder.name for run in folder.load()] == ["person-1", "person-2"]
    with pytest.raises(UsageError, match=r"person-1 holds no finished avatar"):
        open_people(tmp_path)
    with pytest.raises(UsageError, match=r"holds several people: give one of them, such as .*person-1"):
        folder.run.require_avatar()
    for persons in ([], ["../elsewhere"], [3], None, ["a/b"]):
        write_json(folder.run.people, {"version": 1, "persons": persons})
        with pytest.raises(AvatarError, match="does not hold people"):
            folder.load()


def test_what_does_not_fit_several_people_is_refused(tmp_path: Path) -> None:
    assert number_of_people("all") is None and number_of_people("2") == 2
    for wrong in ("0", "two", "-1", ""):
        with pytest.raises(UsageError, match="--people is all, or how many"):
            number_of_people(wrong)
    options: list[tuple[dict[str, Any], str]] = [
        ({"person": 2}, "--person"), ({"init": "a.npz"}, "--init"), ({"shape": "height=1.8"}, "--shape")
    ]  # fmt: skip
    for more, flag in options:
        with pytest.raises(UsageError, match=flag):
            check_people(settings_for("a.mp4", "fast", {"people": "all", **more}))
    photo = tmp_path / "me.png"
    write_image(photo, Figure(60, RED, BLUE).truth()[..., None].repeat(3, -1).astype("uint8"))
    with pytest.raises(UsageError, match="--people is for videos"):
        check_people(Settings(str(photo), people="all"))
    assert math.isfinite(camera_height(track_seen_by(cameras(0.1, 1.5))))
