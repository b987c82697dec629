"""Render one pose of an avatar from all sides, with alpha, as numbered PNG files.

python examples/render_orbit.py runs/me --out orbit --frames 24
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import avatar


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run folder or avatar file")
    parser.add_argument("--out", type=Path, default=Path("orbit"), help="folder for the images")
    parser.add_argument("--motion", default="wave", help="motion that the pose is taken from")
    parser.add_argument("--frame", type=int, default=10, help="frame of the motion")
    parser.add_argument("--frames", type=int, default=24, help="number of images")
    parser.add_argument("--size", type=int, nargs=2, default=(540, 960), help="width and height in pixels")
    arguments = parser.parse_args()

    person = avatar.load(arguments.run)
    track = avatar.retarget(avatar.load_motion(arguments.motion), person)
    cameras = avatar.camera_paths.orbit(person, arguments.frames, *arguments.size)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        gaussians = person.pose(track.poses[arguments.frame])
        for index in range(len(cameras)):
            output = avatar.render(gaussians, cameras[index])
            alpha = output.alpha[0, ..., None]
            rgba = torch.cat([output.rgb[0] / alpha.clamp_min(1e-4), alpha], -1).clamp(0, 1)
            pixels = (rgba * 255).round().numpy().astype(np.uint8)
            Image.fromarray(pixels).save(arguments.out / f"{index:04d}.png")
    print(f"{len(cameras)} images in {arguments.out}")


if __name__ == "__main__":
    main()
