"""Measure how well a face is tracked: a made-up animation rendered with an avatar, and tracked again.

    python scripts/measure_face.py runs/me --images face.png

The mouth opens, smiles, and both eyes blink, one after the other and twice each, seen from the front and from 20
degrees to the side. Prints the correlation of each coefficient with the one that was rendered, and how far it reaches.
Needs `face_landmarker.task` in the folder of models, see `avatar doctor`.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.body.face import FACE_UNITS
from avatar.errors import UsageError
from avatar.io.assets import model_path
from avatar.io.images import to_uint8, write_image
from avatar.model.avatar import Avatar
from avatar.observation.detectors.mediapipe import MediaPipeFace
from avatar.observation.detectors.registry import FACE_MODEL
from avatar.observation.keypoints import NO_IMAGES
from avatar.pipeline.finished_run import open_run
from avatar.rendering.camera_paths import intrinsics, look_at
from avatar.rendering.renderer import render
from avatar.tracking.face import with_face
from avatar.types import BodyPose, BodyTrack, Cameras, Observations

MOVES = {"jawOpen": ("jawOpen",), "mouthSmile": ("mouthSmileLeft", "mouthSmileRight"),
         "eyeBlink": ("eyeBlinkLeft", "eyeBlinkRight")}  # fmt: skip
FRAMES, STILL, RATE = 32, 24, 30.0  # of each move, before them, and per second
SIDE, DISTANCE, FIELD = 384, 0.8, 30.0  # pixels, metres, degrees
VIEWS = (0.0, 20.0)


def main(run: tyro.conf.Positional[Path], images: Path | None = None) -> None:
    """Print the correlations.

    Args:
        run: run folder made by `avatar create`.
        images: file for the faces at the height of each move, seen from the front.

    Raises:
        UsageError: the face network is not installed.
    """
    model = model_path(FACE_MODEL)
    if model is None:
        raise UsageError(f"This needs {FACE_MODEL}, see `avatar doctor`.")
    avatar, network, played = open_run(run).avatar, MediaPipeFace(model), animation()
    for view in VIEWS:
        frames = [rendered(avatar, face, view) for face in played]
        units = torch.stack([measured(network, image) for image in frames])
        print(f"from {view:.0f} degrees to the side, face detected in {torch.isfinite(units).all(1).sum()} frames:")
        followed = tracked(units)
        for name, parts in MOVES.items():
            columns = [FACE_UNITS.index(part) for part in parts]
            mine, true = followed[:, columns].mean(1), played[:, columns].mean(1)
            r = float(torch.corrcoef(torch.stack([mine, true]))[0, 1])
            print(f"  {name}: r {r:.3f}, {float(mine.max()):.2f} at {float(true.max()):.2f}", flush=True)
        if images is not None and view == 0:
            heights = [0, *(STILL + FRAMES * move + FRAMES // 4 for move in range(len(MOVES)))]
            write_image(images, np.concatenate([frames[frame] for frame in heights], axis=1))


def animation() -> Float[Tensor, "n 52"]:
    """The coefficients of all frames: each move rises and falls twice."""
    face = torch.zeros(STILL + FRAMES * len(MOVES), len(FACE_UNITS))
    wave = 0.5 - 0.5 * torch.cos(torch.arange(FRAMES) * 4 * math.pi / FRAMES)
    for index, parts in enumerate(MOVES.values()):
        start = STILL + FRAMES * index
        for part in parts:
            face[start : start + FRAMES, FACE_UNITS.index(part)] = wave
    return face


@torch.no_grad()
def rendered(avatar: Avatar, face: Float[Tensor, " 52"], degrees: float) -> UInt8[np.ndarray, "h w 3"]:
    """The head in the T-pose on grey, from some degrees to the side."""
    pose = BodyPose(torch.zeros(3), torch.eye(3).repeat(24, 1, 1), face=face)
    head = avatar.rest.joints[avatar.body.joint_names.index("head")] - avatar.rest.joints[0]
    target = head + torch.tensor([0.0, 0.06, 0.08])
    angle = math.radians(degrees)
    eye = target + DISTANCE * torch.tensor([math.sin(angle), 0.0, math.cos(angle)])
    camera = Cameras(intrinsics(SIDE, SIDE, FIELD)[None], look_at(eye, target)[None], SIDE, SIDE)
    return to_uint8(render(avatar.pose(pose), camera).composite(torch.full((3,), 0.6))[0].clamp(0, 1))


def measured(network: MediaPipeFace, image: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, " 52"]:
    """The network's coefficients; NaN without a face."""
    shown = network.face(image)
    if shown is None:
        return torch.full((len(FACE_UNITS),), math.nan)
    return torch.tensor([shown.units.get(unit, 0.0) for unit in FACE_UNITS])


def tracked(units: Float[Tensor, "n 52"]) -> Float[Tensor, "n 52"]:
    """The track's face, as `avatar track` follows it."""
    count = len(units)
    still, times, none = torch.eye(3).repeat(count, 24, 1, 1), torch.arange(count) / RATE, torch.zeros(count, 33, 3)
    order = torch.arange(count)
    track = BodyTrack("open", torch.zeros(10), BodyPose(torch.zeros(count, 3), still), times, none[:, :24, 0], order)
    observations = Observations(
        images=NO_IMAGES, masks=NO_IMAGES, keypoints=none, keypoints_3d=none, layout="blazepose33", instant=order,
        times=times, width=SIDE, height=SIDE, face_units=units,
    )  # fmt: skip
    face = with_face(track, observations).poses.face
    return torch.zeros(count, len(FACE_UNITS)) if face is None else face


if __name__ == "__main__":
    tyro.cli(main)
