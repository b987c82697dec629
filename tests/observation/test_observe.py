"""A video in, observations out: on the shipped clips, and with a detector made up for the test."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.errors import AvatarError, UsageError
from avatar.io.assets import asset_path
from avatar.io.ffmpeg import ffmpeg_program
from avatar.io.images import read_image
from avatar.io.observations_file import load_observations, save_observations
from avatar.io.videos import VideoWriter
from avatar.landmark_layouts import LAYOUTS
from avatar.observation.detectors.mediapipe import MediaPipeDetector
from avatar.observation.video import observe
from avatar.types import Detection

LAYOUT = LAYOUTS["blazepose33"]


class Blobs:
    """Finds bright upright bars: enough of a person for everything after the detector."""

    layout = "blazepose33"

    def __init__(self, legs: bool = True) -> None:
        self.legs = legs

    def detect(self, image: np.ndarray) -> list[Detection]:
        columns = np.flatnonzero((image[..., 0] > 128).any(0))
        groups = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1) if columns.size else []
        return [self._person(image, group) for group in groups]

    def _person(self, image: np.ndarray, group: np.ndarray) -> Detection:
        mask = np.zeros(image.shape[:2], np.uint8)
        mask[:, group] = np.where(image[:, group, 0] > 128, 255, 0)
        rows = np.flatnonzero(mask.any(1))
        keypoints = np.empty((33, 3), np.float32)
        keypoints[:, 0] = group.mean()
        keypoints[:, 1] = np.linspace(rows[0], rows[-1], 33)
        keypoints[:, 2] = 0.9
        if not self.legs:
            keypoints[LAYOUT.indices("left_knee", "right_knee"), 2] = 0.1
        return Detection(keypoints, np.zeros((33, 3), np.float32), mask)


def bars(path: Path, frames: int, persons: int = 1, until: int | None = None, size: int = 160) -> Path:
    """A video of walking bars; the k-th is shorter than the one before."""
    with VideoWriter(path, fps=10) as writer:
        for index in range(frames):
            image = np.full((size, size, 3), 40, np.uint8)
            for person in range(persons if until is None or index < until else 0):
                left = 20 + 60 * person + index
                image[20 + 30 * person : size - 10, left : left + 12] = 220
            writer.add(image)
    return path


def scenes(path: Path, *shots: tuple[int, int, int]) -> Path:
    """A video at 10 frames per second with one bar in each shot: its number of frames, left side and brightness."""
    with VideoWriter(path, fps=10) as writer:
        for frames, left, brightness in shots:
            for index in range(frames):
                image = np.full((160, 160, 3), brightness, np.uint8)
                image[20:150, left + index % 5 : left + index % 5 + 12] = 220
                writer.add(image)
    return path


def test_the_turning_person_is_seen_from_all_sides(tmp_path: Path) -> None:
    clip = tmp_path / "turn.mp4"
    thin = ["-vf", "select='not(mod(n,9))',scale=270:480", "-fps_mode", "vfr"]
    source = asset_path("clips", "turn.mp4")
    subprocess.run([ffmpeg_program(), "-loglevel", "error", "-i", str(source), *thin, str(clip)], check=True)
    observations = observe(clip, tmp_path / "out")
    assert len(observations) == 10 and (observations.width, observations.height) == (270, 480)
    assert observations.times[1] == pytest.approx(0.3, abs=1e-3)
    # Left is right of right in the image where the person faces the camera, and the other way round from behind.
    left, right = LAYOUT.indices("left_shoulder", "right_shoulder")
    apart = observations.keypoints[:, left, 0] - observations.keypoints[:, right, 0]
    assert apart[0] > 20 and apart.min() < -20
    assert (observations.keypoints[..., 2] >= 0).all() and (observations.keypoints[..., 2] <= 1).all()
    for index in (0, 5):
        assert observations.images[index].shape == (480, 270, 3)
        mask = observations.masks[index] > 127
        inside = observations.keypoints[index, LAYOUT.indices("nose", "left_hip", "right_knee"), :2].long()
        assert mask[inside[:, 1], inside[:, 0]].all()
        assert 0.1 < mask.mean() < 0.2
    again = load_observations(tmp_path / "out")
    assert torch.equal(again.keypoints, observations.keypoints) and torch.equal(again.times, observations.times)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["frames", "masks", "observations.npz"]


def test_the_real_person_is_found_and_nothing_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    video = asset_path("clips", "balance.mp4")
    command = [ffmpeg_program(), "-loglevel", "error", "-i", str(video), "-frames:v", "1", "-vf", "scale=540:-1",
               "-f", "image2pipe", "-c:v", "ppm", "-"]  # fmt: skip
    data = subprocess.run(command, check=True, capture_output=True).stdout
    image = np.frombuffer(data[-540 * 960 * 3 :], np.uint8).reshape(960, 540, 3)
    detector = MediaPipeDetector(asset_path("models", "pose_landmarker_heavy.task"))
    detections = detector.detect(image)
    assert len(detections) == 1
    height = np.ptp(detections[0].keypoints[:, 1])
    assert 250 < height < 420
    assert capfd.readouterr().err == ""


def test_saved_observations_come_back(tmp_path: Path) -> None:
    observations = observe(bars(tmp_path / "a.mp4", 12), None, detector=Blobs())
    save_observations(observations, tmp_path / "copy")
    again = load_observations(tmp_path / "copy")
    for name in ("keypoints", "keypoints_3d", "instant", "times", "frame_weight"):
        assert torch.equal(getattr(again, name), getattr(observations, name))
    assert np.array_equal(again.images[3], observations.images[3]) and np.array_equal(
        again.masks[-1], observations.masks[-1]
    )
    assert (again.layout, again.source, again.notes) == (observations.layout, observations.source, observations.notes)


def test_a_temporary_folder_goes_with_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    observations = observe(bars(tmp_path / "a.mp4", 12), None, detector=Blobs())
    assert len(list(temporary.iterdir())) == 1
    del observations
    assert list(temporary.iterdir()) == []


def test_the_largest_person_is_taken_and_another_can_be_asked_for(tmp_path: Path) -> None:
    clip = bars(tmp_path / "two.mp4", 12, persons=2)
    first, second = (observe(clip, None, person=number, detector=Blobs()) for number in (None, 2))
    assert (first.keypoints[:, 0, 0] < second.keypoints[:, 0, 0]).all()
    assert "2 persons" in first.notes[0] and "person 1" in first.notes[0] and "person 2" in second.notes[0]
    with pytest.raises(UsageError, match="no person 3"):
        observe(clip, None, person=3, detector=Blobs())


def test_a_long_clip_is_thinned_evenly(tmp_path: Path) -> None:
    observations = observe(bars(tmp_path / "a.mp4", 60), None, max_frames=10, detector=Blobs())
    assert len(observations) == 10
    assert (observations.times.diff() > 0).all() and observations.times[-1] > 4
    bar = [int(np.argmax(image[80, :, 0] > 128)) for image in (observations.images[0], observations.images[9])]
    assert bar[1] - bar[0] == pytest.approx(10 * float(observations.times[-1] - observations.times[0]), abs=1.5)


@pytest.mark.parametrize(
    ("video", "detector", "says"),
    [
        ({"frames": 12, "persons": 0}, Blobs(), "no person"),
        ({"frames": 14, "until": 6}, Blobs(), "only 6 of 14 frames"),
        ({"frames": 12}, Blobs(legs=False), "only the upper body"),
        ({"frames": 3, "size": 96}, Blobs(), "at least 128 pixels"),
    ],
)
def test_unusable_videos_give_one_sentence_and_leave_nothing(
    tmp_path: Path, video: dict[str, int], detector: Blobs, says: str
) -> None:
    clip = bars(tmp_path / "a.mp4", **video)
    with pytest.raises(AvatarError, match=says) as caught:
        observe(clip, tmp_path / "out", detector=detector)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "observations.npz").exists()
    assert not (tmp_path / "out" / "unfinished").exists()


def test_what_a_truncated_video_lost_is_said(tmp_path: Path) -> None:
    clip = tmp_path / "cut.mkv"
    bars(tmp_path / "a.mp4", 40)
    subprocess.run(
        [ffmpeg_program(), "-loglevel", "error", "-i", str(tmp_path / "a.mp4"), "-c:v", "ffv1", str(clip)], check=True
    )
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    observations = observe(clip, None, detector=Blobs())
    assert 10 <= len(observations) < 35
    assert "of about 40 frames" in observations.notes[0]


@pytest.mark.parametrize("change", ["layout", "shape", "version", "missing"])
def test_broken_observations_give_one_sentence(tmp_path: Path, change: str) -> None:
    out = tmp_path / "out"
    observe(bars(tmp_path / "a.mp4", 12), out, detector=Blobs())
    with np.load(out / "observations.npz") as file:
        arrays = dict(file)
    if change == "layout":
        arrays["layout"] = np.array("made up")
    elif change == "shape":
        arrays["times"] = arrays["times"][:-1]
    elif change == "version":
        arrays["version"] = np.array(99)
    else:
        del arrays["keypoints"]
    np.savez(out / "observations.npz", **arrays)
    with pytest.raises(AvatarError, match=r"observations\.npz"):
        load_observations(out)


def test_masks_and_frames_are_plain_images(tmp_path: Path) -> None:
    observe(bars(tmp_path / "a.mp4", 12), tmp_path, detector=Blobs())
    assert read_image(tmp_path / "masks" / "00003.png").shape == (160, 160, 3)


@pytest.mark.parametrize("most", [300, 12])
def test_of_a_video_with_cuts_one_shot_is_used(tmp_path: Path, most: int) -> None:
    """The bars of all shots stand at the same place, so that only the cut tells them apart."""
    video = scenes(tmp_path / "a.mp4", (20, 40, 20), (45, 44, 90), (15, 40, 20))
    observations = observe(video, tmp_path / "out", max_frames=most, detector=Blobs())
    assert len(observations) == min(most, 45)
    assert {observations.images[index][0, 0, 0] // 20 for index in range(len(observations))} == {90 // 20}
    (note,) = [note for note in observations.notes if "cut" in note]
    assert note == (
        "The video is cut at 2.0, 6.5 s: only the part from 2.0 s to 6.5 s is used, which shows most of one person; "
        "--start and --end choose another part."
    )
    part = observe(video, tmp_path / "part", start=0.2, end=2.0, detector=Blobs())
    assert len(part) == 18 and not part.notes
    with pytest.raises(UsageError, match="has no part from 9 s"):
        observe(video, None, start=9.0, detector=Blobs())
