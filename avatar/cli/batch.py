"""`avatar batch`: many videos in, an avatar of each out."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import tyro

from avatar.cli.options import Device
from avatar.errors import AvatarError, UsageError


def create_avatars(
    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="VIDEOS")],
    out: Path = Path("runs"),
    workers: int = 1,
    ray: str | None = None,
    preset: str = "balanced",
    device: Device = "auto",
    body: str = "open",
    max_frames: int | None = None,
    detector: str | None = None,
    steps: int | None = None,
) -> None:
    """Make an avatar of each video by itself.

    A bad video does not stop the rest; after a crash the same command continues.

    Args:
        source: a folder of videos, or a text file with one path per line.
        out: folder for the runs, `batch.json` and the summary page `index.html`.
        workers: number of avatars made at the same time; where there are several GPUs, they take turns.
        ray: address of a Ray cluster (HOST:PORT, or auto) whose machines see the same files and have this program
            installed, or "local" to start one here. Needs the extra splat-avatar[ray].
        preset: fast, balanced, quality, large, or the path of a TOML file.
        device: where to train.
        body: "open", or the path of a body file.
        max_frames: maximum number of frames of each video; keyframes are chosen automatically.
        detector: landmark detector, as for `avatar create --detector`.
        steps: number of training steps, instead of the preset's.
    """
    from avatar.pipeline.batch import batch as make
    from avatar.pipeline.batch import find_videos, require_workers, run_on_each, visible_gpus
    from avatar.pipeline.ray_pool import ray_pool

    require_workers(workers)
    for flag, count in (("--max-frames", max_frames), ("--steps", steps)):
        if count is not None and count < 1:
            raise UsageError(f"{flag} must be at least 1, not {count}.")
    options = ["--preset", preset, "--device", device, "--body", body]
    for name, value in (("--max-frames", max_frames), ("--detector", detector), ("--steps", steps)):
        options += [] if value is None else [name, str(value)]
    videos = find_videos(source)
    here = run_on_each([] if ray is not None or device == "cpu" else visible_gpus(), workers)
    with nullcontext(here) if ray is None else ray_pool(ray, workers, device) as run:
        outcomes = make(videos, out, workers, options, run)
    failed = [outcome for outcome in outcomes if outcome.state != "done"]
    for outcome in failed:
        print(f"{outcome.video}: {outcome.reason}")
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} avatars; the summary is in {out / 'index.html'}")
    if failed:
        raise AvatarError(f"{len(failed)} of {len(outcomes)} videos failed.")
