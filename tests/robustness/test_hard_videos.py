"""Difficult videos through the program and its own detector; `pytest -m slow` runs the longer ones."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from avatar.cli.main import main
from avatar.io.assets import asset_path
from avatar.io.files import read_json
from avatar.io.track_file import load_track
from avatar.io.videos import VideoWriter, open_video

from .test_commands import ends

SIDE, EVERY, FPS = 288, 7, 5


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """Some small frames of a man who turns around."""
    clip = open_video(asset_path("clips", "turn.mp4"), longest=SIDE)
    return [image for index, (_, image) in enumerate(clip.frames()) if index % EVERY == 0]


def written(path: Path, frames: list[np.ndarray]) -> Path:
    with VideoWriter(path, FPS) as video:
        for frame in frames:
            video.add(np.ascontiguousarray(frame))
    return path


def refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, frames: list[np.ndarray], *more: str
) -> tuple[int, str]:
    """The exit code and the error line of `avatar create` for a video of these frames."""
    video = written(tmp_path / "video.mp4", frames)
    code, output = ends(capsys, "create", video, "--out", tmp_path / "run", *more)
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and str(video) in errors[0] and not (tmp_path / "run").exists()
    return code, errors[0]


def test_few_frames(frames: list[np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, error = refused(capsys, tmp_path, frames[:3])
    assert code == 1 and "only 3 of 3 frames; at least 10 are needed" in error


def test_nobody(frames: list[np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corner = np.tile(frames[0][:40, :30], (5, 5, 1))
    code, error = refused(capsys, tmp_path, [corner] * 10)
    assert code == 1 and "no person was found" in error


@pytest.mark.slow
def test_only_the_upper_body(frames: list[np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    upper = [frame[: len(frame) // 2].repeat(2, 0).repeat(2, 1) for frame in frames]
    code, error = refused(capsys, tmp_path, upper)
    assert code == 1 and "only the upper body is in view" in error


@pytest.mark.slow
def test_two_people_and_a_phone_held_upright(
    frames: list[np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The image lies on its side in the file, as phones write it, with a tag to rotate it."""
    both = [np.concatenate([frame, frame[:, ::-1]], 1) for frame in frames]
    code, error = refused(capsys, tmp_path, both, "--person", "5")
    assert code == 2 and "there is no person 5" in error
    plain = written(tmp_path / "lying.mp4", [np.rot90(frame) for frame in both])
    turned = tmp_path / "phone.mp4"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-display_rotation", "-90", "-i", str(plain)]
    subprocess.run([*ffmpeg, "-c", "copy", str(turned)], check=True)
    assert open_video(turned).height == frames[0].shape[0]
    main(["create", str(turned), "--max-frames", "6", "--steps", "10", "--out", str(tmp_path / "run")])
    assert "2 persons are in view: person 1 was taken" in capsys.readouterr().err
    assert any(
        "2 persons are in view" in warning for warning in read_json(tmp_path / "run" / "report.json")["warnings"]
    )
    up = load_track(tmp_path / "run" / "track.npz").poses.rotations[:, 0, 1, 1]
    assert (up > 0.8).all()
