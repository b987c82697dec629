"""Make an avatar of each video in a folder, spread over a Ray cluster (pip install 'splat-avatar[ray]').

python examples/batch_with_ray.py videos --out runs --address auto
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ray

import avatar


@ray.remote(num_cpus=1)
def make_avatar(video: Path, out: Path, preset: str, steps: int | None) -> str:
    """The avatar of one video; a video that fails does not stop the others."""
    train = {} if steps is None else {"steps": steps}
    try:
        run = avatar.create(video, out / video.stem, preset=preset, overwrite=True, train=train)
        return f"{video.name}: {len(avatar.load(run.folder))} Gaussians in {run.folder}"
    except Exception as error:
        return f"{video.name}: failed, {error}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path, help="folder of videos")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the runs")
    parser.add_argument("--address", default="local", help="HOST:PORT of a cluster, auto, or local")
    parser.add_argument("--preset", default="fast", help="fast, balanced, quality, or a TOML file")
    parser.add_argument("--steps", type=int, help="training steps, instead of the preset's")
    arguments = parser.parse_args()

    ray.init(arguments.address, log_to_driver=False)
    videos = sorted(arguments.videos.resolve().glob("*.mp4"))
    out = arguments.out.resolve()
    tasks = [make_avatar.remote(video, out, arguments.preset, arguments.steps) for video in videos]
    for task in tasks:
        print(ray.get(task))


if __name__ == "__main__":
    main()
