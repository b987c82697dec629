"""What people really film, through the program and its own detector: `pytest -m slow` runs those that take longer."""

import subprocess

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
def frames():
    """Some small frames of a man who turns round."""
    clip = open_video(asset_path("clips", "turn.mp4"), longest=SIDE)
    return [picture for index, (_, picture) in enumerate(clip.frames()) if index % EVERY == 0]


def written(path, frames):
    with VideoWriter(path, FPS) as video:
        for frame in frames:
            video.add(np.ascontiguousarray(frame))
    return path


def refused(capsys, tmp_path, frames, *more):
    """What `avatar create` says of a video of these frames."""
    video = written(tmp_path / "video.mp4", frames)
    code, said = ends(capsys, "create", video, "--out", tmp_path / "run", *more)
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and str(video) in errors[0] and not (tmp_path / "run").exists()
    return code, errors[0]


def test_few_frames(frames, tmp_path, capsys):
    code, said = refused(capsys, tmp_path, frames[:3])
    assert code == 1 and "only 3 of 3 frames; at least 10 are needed" in said


def test_nobody(frames, tmp_path, capsys):
    corner = np.tile(frames[0][:40, :30], (5, 5, 1))
    code, said = refused(capsys, tmp_path, [corner] * 10)
    assert code == 1 and "no person was found" in said


@pytest.mark.slow
def test_only_the_upper_body(frames, tmp_path, capsys):
    upper = [frame[: len(frame) // 2].repeat(2, 0).repeat(2, 1) for frame in frames]
    code, said = refused(capsys, tmp_path, upper)
    assert code == 1 and "only the upper body is in view" in said


@pytest.mark.slow
def test_two_people_and_a_phone_held_upright(frames, tmp_path, capsys):
    """The picture lies on its side in the file, as phones write it, with a note to turn it."""
    both = [np.concatenate([frame, frame[:, ::-1]], 1) for frame in frames]
    code, said = refused(capsys, tmp_path, both, "--person", "5")
    assert code == 2 and "there is no person 5" in said
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
