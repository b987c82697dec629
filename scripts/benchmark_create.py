"""Time `avatar create` from the video to the turntable, stage by stage, in processes of their own.

    python scripts/benchmark_create.py
    python scripts/benchmark_create.py --videos assets/clips/turn.mp4 --presets fast --max-frames 30 --steps 300

Prints a markdown table: seconds per stage from the run's report, total seconds with the start of Python, CPU seconds,
peak memory and the quality on held-out frames.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tyro
from benchmark_render import load, processor

STAGES = ("observe", "track", "train", "previews")


def create(video: Path, preset: str, extra: list[str]) -> dict[str, float]:
    """Run it; the report's numbers in one row."""
    with tempfile.TemporaryDirectory() as folder:
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [
            sys.executable,
            "-c",
            "from avatar.cli.main import main; main()",
            "create",
            str(video),
            "--preset",
            preset,
        ]
        done = subprocess.run(
            [*command, "--out", f"{folder}/run", *extra],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        report = json.loads(Path(folder, "run", "report.json").read_text(encoding="utf-8"))
    return {
        **report["seconds"],
        "all": wall,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        **{name: report[name] for name in ("frames", "splats", "peak_memory_mb")},
        "psnr": report["held_out"].get("psnr", float("nan")),
    }


def main(
    videos: tuple[Path, ...] = (Path("assets/clips/turn.mp4"),),
    presets: tuple[str, ...] = ("fast", "balanced"),
    max_frames: tuple[int, ...] = (),
    steps: int | None = None,
) -> None:
    """Print the table.

    Args:
        videos: what to make avatars from.
        presets: the presets to compare.
        max_frames: frames used, to see the growth with them; the preset's number if none is given.
        steps: training steps, instead of the preset's.
    """
    print(f"{processor()}, {os.cpu_count()} processors; Python {platform.python_version()}; load before: {load()}\n")
    print(f"| video | preset | frames | splats | {' s | '.join(STAGES)} s | all s | CPU s | peak MB | PSNR dB |")
    print("|" + "---|" * (len(STAGES) + 8))
    for video in videos:
        for preset in presets:
            for frames in max_frames or (None,):
                extra = [] if frames is None else ["--max-frames", str(frames)]
                extra += [] if steps is None else ["--steps", str(steps)]
                row = create(video, preset, extra)
                stages = " | ".join(f"{row[name]:.0f}" for name in STAGES)
                print(
                    f"| {video.stem} | {preset} | {row['frames']} | {row['splats']} | {stages} | {row['all']:.0f} | "
                    f"{row['cpu']:.0f} | {row['peak_memory_mb']} | {row['psnr']:.2f} |",
                    flush=True,
                )
    print(f"\nload after: {load()}")


if __name__ == "__main__":
    tyro.cli(main)
