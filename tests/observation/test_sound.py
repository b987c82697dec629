"""The offset between two videos from their sound."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from avatar.io.ffmpeg import ffmpeg_program
from avatar.io.sound import read_sound
from avatar.observation.sound import RATE, offset_by_sound, offset_of_sounds


def claps(seconds: list[float], length: float, seed: int, noise: float = 0.002, hum: float = 0.0) -> np.ndarray:
    """A quiet room in which hands clap at these times, each clap with a sound of its own."""
    rng = np.random.default_rng(seed)
    sound = noise * rng.standard_normal(round(length * RATE))
    sound += hum * np.sin(2 * np.pi * 100 * np.arange(len(sound)) / RATE)
    for number, time in enumerate(seconds):
        begin = round(time * RATE)
        burst = np.random.default_rng(number).standard_normal(RATE // 20) * np.exp(-np.arange(RATE // 20) / 60)
        if begin >= 0:
            sound[begin : begin + len(burst)] += 0.5 * burst[: len(sound) - begin]
    return sound.astype(np.float32)


TIMES = [0.4, 1.1, 1.25, 2.6, 3.05]


@pytest.mark.parametrize("hum", [0.0, 0.05])
def test_claps_tell_the_offset(hum: float) -> None:
    a = claps(TIMES, 4.0, 11)
    b = claps([time - 0.731 for time in TIMES], 3.0, 12, hum=hum)
    assert offset_of_sounds(a, b) == pytest.approx(0.731, abs=0.002)
    assert offset_of_sounds(b, a) == pytest.approx(-0.731, abs=0.002)


def test_what_says_nothing_distinct_tells_no_offset() -> None:
    a = claps(TIMES, 4.0, 11)
    assert offset_of_sounds(a, np.zeros(4 * RATE, np.float32)) is None
    assert offset_of_sounds(a, claps([], 4.0, 13, noise=0.1)) is None
    assert offset_of_sounds(a, claps([0.1], 0.5, 14)) is None


def test_the_sound_of_files(tmp_path: Path) -> None:
    paths = []
    for name, late in (("a", 0.0), ("b", 0.4)):
        (tmp_path / f"{name}.raw").write_bytes(claps([time - late for time in TIMES], 3.5, 15).tobytes())
        paths.append(tmp_path / f"{name}.mp4")
        sound = ["-f", "f32le", "-ar", str(RATE), "-ac", "1", "-i", str(tmp_path / f"{name}.raw")]
        video = ["-f", "lavfi", "-i", "color=black:size=64x64:rate=10:duration=3.5"]
        command = [ffmpeg_program(), "-loglevel", "error", *video, *sound, "-c:a", "aac", str(paths[-1])]
        subprocess.run(command, check=True)
    assert offset_by_sound(*paths) == pytest.approx(0.4, abs=0.01)
    silent = tmp_path / "silent.mp4"
    subprocess.run([ffmpeg_program(), "-loglevel", "error", "-i", str(paths[0]), "-an", str(silent)], check=True)
    assert len(read_sound(silent, RATE)) == 0 and offset_by_sound(paths[0], silent) is None
