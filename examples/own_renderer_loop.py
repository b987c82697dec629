"""Fit something of your own through the renderer: here one colour gain of an avatar, from a rendered target image.

`avatar.render` is differentiable in all fields of the Gaussians, so that any loop of PyTorch can train through it.

python examples/own_renderer_loop.py runs/me --steps 40
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

import avatar


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run folder or avatar file")
    parser.add_argument("--steps", type=int, default=40, help="optimiser steps")
    parser.add_argument("--size", type=int, nargs=2, default=(135, 240), help="width and height in pixels")
    arguments = parser.parse_args()

    person = avatar.load(arguments.run)
    track = avatar.retarget(avatar.load_motion("wave"), person)
    camera = avatar.camera_paths.front(person, 1, *arguments.size)
    gaussians = person.pose(track.poses[0]).detach()
    true_gain = torch.tensor([0.9, 0.6, 0.4])
    target = avatar.render(replace(gaussians, colors=gaussians.colors * true_gain), camera).on_white()

    gain = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.Adam([gain], lr=0.05)
    for _ in range(arguments.steps):
        image = avatar.render(replace(gaussians, colors=gaussians.colors * gain), camera).on_white()
        loss = (image - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    error = float((gain.detach() - true_gain).abs().max())
    print(f"gain {[round(value, 3) for value in gain.tolist()]}, true {true_gain.tolist()}, error {error:.3f}")


if __name__ == "__main__":
    main()
