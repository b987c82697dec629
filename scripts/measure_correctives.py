"""What the HTML page loses: linear correctives of several ranks against the deformation they stand for.

    python scripts/measure_correctives.py RUN [--size 270x480]

Prints, for each rank, the share of the squared deformation that is kept and the PSNR (whole image on white, and the
person's box) of the avatar with the correctives against the avatar itself: for embedded frames, and for a motion that
the fit does not use, whose coefficients are predicted from the pose as the page does.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from unittest.mock import patch

import torch

from avatar.exporters.linear_correctives import Correctives, fit_correctives, pose_features
from avatar.model.avatar import Avatar
from avatar.model.deformation import PoseOffsets
from avatar.pipeline.finished_run import open_run
from avatar.pipeline.motions import motion_track, motions_for_page
from avatar.pipeline.previews import bounding_box
from avatar.rendering.camera_paths import front
from avatar.rendering.renderer import render
from avatar.types import BodyPose

HELD_OUT = "arm-circles"
Cases = list[tuple[BodyPose, torch.Tensor]]  # poses with the correctives' coefficients
FRAMES = 2  # of each motion that are compared


def predict_coefficients(correctives: Correctives, pose: BodyPose) -> torch.Tensor:
    """The page's prediction for a pose that no clip holds: linear in the pose, within the range of the clips."""
    embedded = torch.cat(correctives.coefficients)
    values = (pose_features(pose.rotations[None]) @ correctives.regression.T)[0]
    return torch.minimum(torch.maximum(values, embedded.amin(0)), embedded.amax(0))


@torch.no_grad()
def image(avatar: Avatar, pose: BodyPose, width: int, height: int) -> torch.Tensor:
    low, high = bounding_box(avatar, pose)
    return render(avatar.pose(pose), front(low - 0.05, high + 0.05, 1, width, height)).on_white()[0]


def psnr(a: torch.Tensor, b: torch.Tensor) -> tuple[float, float]:
    """Of the whole image and of the box of what is not white in the first."""
    rows, columns = (a < 0.99).any(-1).nonzero(as_tuple=True)
    box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    whole, person = (
        -10 * math.log10(max(float((x - y).square().mean()), 1e-12)) for x, y in ((a, b), (a[box], b[box]))
    )
    return whole, person


@torch.no_grad()
def compare(avatar: Avatar, correctives: Correctives, cases: Cases, width: int, height: int) -> tuple[float, float]:
    """Mean PSNR of images with the correctives' deformation against those with the avatar's own."""
    values = []
    for pose, coefficients in cases:
        truth = image(avatar, pose, width, height)
        field = correctives.field(coefficients)
        offsets = PoseOffsets(displacement=field[:, :3], learned=None, brightness=field[:, 3])
        with patch.object(avatar, "_pose_offsets", return_value=offsets):
            values.append(psnr(truth, image(avatar, pose, width, height)))
    whole, person = torch.tensor(values).mean(0).tolist()
    return whole, person


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--size", default="270x480")
    parser.add_argument("--ranks", type=int, nargs="+", default=[0, 4, 8, 16])
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    finished = open_run(arguments.run)
    run, avatar = finished.run, finished.avatar
    tracks = list(motions_for_page(run, avatar, ()).values())
    clips = [avatar.body.complete(track.poses) for track in tracks]
    held_out = avatar.body.complete(motion_track(run, avatar, HELD_OUT).poses)
    strongest = fit_correctives(avatar, clips, [track.fps for track in tracks], max(arguments.ranks))
    print("rank    kept   embedded, dB: whole   box   held_out, dB: whole   box")
    for rank in arguments.ranks:
        correctives = strongest.truncated(rank)
        embedded = [
            (clip[int(frame)], rows[int(frame)])
            for clip, rows in zip(clips, correctives.coefficients, strict=True)
            for frame in torch.linspace(0, len(clip) - 1, FRAMES)
        ]
        free = [
            (held_out[int(frame)], predict_coefficients(correctives, held_out[int(frame)]))
            for frame in torch.linspace(0, len(held_out) - 1, 2 * FRAMES)
        ]
        (a, b), (c, d) = (compare(avatar, correctives, cases, width, height) for cases in (embedded, free))
        print(f"{rank:4}  {correctives.explained:.4f}  {a:18.1f}  {b:5.1f}  {c:16.1f}  {d:5.1f}", flush=True)


if __name__ == "__main__":
    main()
