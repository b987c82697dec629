"""Drive an avatar with a motion file (BVH, AMASS, glTF, ...) or a built-in motion, and write a video and a page.

python examples/drive_with_bvh.py runs/me dance.bvh --out dance.mp4
"""

from __future__ import annotations

import argparse
from pathlib import Path

import imageio
import torch

import avatar


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run folder or avatar file")
    parser.add_argument("motion", help="motion file, or the name of a built-in motion such as walk")
    parser.add_argument("--out", type=Path, default=Path("motion.mp4"), help="video to write")
    parser.add_argument("--page", type=Path, help="HTML page to write")
    parser.add_argument("--size", type=int, nargs=2, default=(540, 960), help="width and height in pixels")
    parser.add_argument("--frames", type=int, help="maximum number of frames to render")
    arguments = parser.parse_args()

    person = avatar.load(arguments.run)
    track = avatar.retarget(avatar.load_motion(arguments.motion), person)
    # One standing camera that sees the person in the first pose; the motion starts at the origin and faces it.
    camera = avatar.camera_paths.front(person, 1, *arguments.size, azimuth=20)
    frames = min(len(track), arguments.frames or len(track))
    with imageio.get_writer(arguments.out, fps=track.fps, macro_block_size=1) as video, torch.no_grad():
        for index in range(frames):
            image = avatar.render(person.pose(track.poses[index]), camera).on_white()[0]
            video.append_data((image.clamp(0, 1) * 255).round().byte().numpy())
    print(f"{frames} frames at {track.fps:g} per second in {arguments.out}")
    if arguments.page is not None:
        avatar.export_html(person, arguments.page, motions={Path(arguments.motion).stem: track})
        print(f"open {arguments.page} in a browser")


if __name__ == "__main__":
    main()
