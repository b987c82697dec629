"""Make an avatar from a video or a photo, render it from the front, and write a page that opens in any browser.

python examples/create.py me.mp4 --out runs/me --height 1.82
"""

from __future__ import annotations

import argparse
from pathlib import Path

import avatar


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="video or photo of a person")
    parser.add_argument("--out", type=Path, required=True, help="run folder to write")
    parser.add_argument("--preset", default="fast", help="fast, balanced, quality, or a TOML file")
    parser.add_argument("--height", type=float, help="height of the person in metres")
    parser.add_argument("--steps", type=int, help="training steps, instead of the preset's")
    parser.add_argument("--max-frames", type=int, default=120, help="maximum number of frames")
    arguments = parser.parse_args()

    train = {} if arguments.steps is None else {"steps": arguments.steps}
    run = avatar.create(
        arguments.source,
        arguments.out,
        preset=arguments.preset,
        height=arguments.height,
        max_frames=arguments.max_frames,
        train=train,
    )
    person = avatar.load(run.folder)
    walk = avatar.retarget(avatar.load_motion("walk"), person)
    page = avatar.export_html(person, run.folder / "avatar.html", motions={"walk": walk})
    print(f"{len(person)} Gaussians in {run.avatar}; open {page} in a browser")


if __name__ == "__main__":
    main()
