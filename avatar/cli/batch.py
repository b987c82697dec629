"""`avatar batch`: many videos in, an avatar of each out."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

import tyro

from avatar.errors import AvatarError


def batch(
    source: Annotated[Path, tyro.conf.Positional],
    out: Path = Path("runs"),
    workers: int = 1,
    ray: str | None = None,
    preset: str = "balanced",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    body: str = "open",
    max_frames: int | None = None,
    detector: str | None = None,
    steps: int | None = None,
) -> None:
    """Make an avatar of each video; a bad one does not stop the rest, and after a crash the same command goes on.

    Args:
        source: a folder of videos, or a text file that names one a line.
        out: folder for the runs, `batch.json` and the summary page `index.html`.
        workers: how many are made at a time.
        ray: make them on the Ray at this address (HOST:PORT, or auto), whose machines see the same files and have this
            program, or on one that is started here ("local"). Needs the extra splat-avatar[ray].
        preset: fast, balanced, quality, or the path of a TOML file.
        device: where to train.
        body: "open", or the path of a body file.
        max_frames: use at most so many frames of each video.
        detector: what finds the landmarks, as `avatar create --detector` takes it.
        steps: training steps, instead of the preset's.
    """
    from avatar.pipeline.batch import batch as make
    from avatar.pipeline.batch import find_videos, require_workers, run_here
    from avatar.pipeline.ray_pool import ray_pool

    require_workers(workers)
    options = ["--preset", preset, "--device", device, "--body", body]
    for name, value in (("--max-frames", max_frames), ("--detector", detector), ("--steps", steps)):
        options += [] if value is None else [name, str(value)]
    videos = find_videos(source)
    with nullcontext(run_here) if ray is None else ray_pool(ray, workers, device) as run:
        outcomes = make(videos, out, workers, options, run)
    failed = [outcome for outcome in outcomes if outcome.state != "done"]
    for outcome in failed:
        print(f"{outcome.video}: {outcome.reason}")
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} avatars; the summary is in {out / 'index.html'}")
    if failed:
        raise AvatarError(f"{len(failed)} of {len(outcomes)} videos failed.")
