"""Measure where BlazePose's landmarks lie on the open body, for `avatar/body/landmarks.py`.

    python scripts/measure_landmark_places.py    # 72 renders of the open body, a minute

The open body of `front_clips.py` stands in poses of the built-in motions, turned to eight sides, before cameras at
several pitches. The place of each landmark is the one, constant in its bone's frame, whose projections are nearest to
the detected ones: millimetres from its joint in the T-pose, right sides mirrored to the left.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import torch
import tyro
from front_clips import Clip, images, make_clip
from jaxtyping import Float
from measure_direction_bias import TURNS, turned
from torch import Tensor

from avatar.body.landmarks import DetectorPlace, detector_places, side_and_kind
from avatar.body.skeleton import SMPL_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.geometry import project, transform
from avatar.landmark_layouts import LAYOUTS
from avatar.observation.detectors.registry import choose_detector

PITCHES = (-10, 5, 20)
SURE = 0.5  # confidence of landmarks that count
ROBUST_PX = 4.0
ROUNDS = 15
LAYOUT = "blazepose33"

Sight = tuple[Float[Tensor, "2 3"], Float[Tensor, "2"]]  # derivative of a landmark's pixel by its place, and its error


def main(motions: tuple[str, ...] = ("wave", "dance", "squat"), frames: int = 1) -> None:
    """Print the places.

    Args:
        motions: built-in ones; frames: poses of each.
    """
    detector = choose_detector("mediapipe")[0]
    sights: dict[str, list[Sight]] = defaultdict(list)
    for motion in motions:
        for pitch in PITCHES:
            clip = make_clip(motion, float(pitch), "plain", 2.0)
            chosen = np.linspace(0, len(clip.poses) - 1, frames + 2).round().astype(int)[1:-1].tolist()
            for index, turn in enumerate(TURNS * frames):
                pose = turned(clip.poses[[chosen[index // len(TURNS)]]], math.radians(turn))
                one = replace(clip, poses=pose)
                detections = detector.detect(images(one)[0])
                if len(detections) == 1:
                    gather(sights, detections[0].keypoints, one)
    for kind, sightings in sights.items():
        place, spread = nearest_place(sightings)
        prior = ", ".join(f"{1000 * x:.0f}" for x in detector_places(LAYOUT, several_cameras=True)[kind].offset)
        measured = ", ".join(f"{1000 * x:.0f}" for x in place.tolist())
        print(f"{kind}: ({measured}) mm, now ({prior}); {spread:.1f} px, n {len(sightings)}")


def gather(sights: dict[str, list[Sight]], keypoints: Float[np.ndarray, "l 3"], clip: Clip) -> None:
    """Add the landmarks of one image."""
    Ts = joint_transforms(clip.body.rest(clip.betas).joints, clip.body.parents, clip.body.complete(clip.poses))
    K, T = clip.camera.K[0], clip.camera.T_camera_world[0]
    for name, (u, v, confidence) in zip(LAYOUTS[LAYOUT].names, keypoints.tolist(), strict=True):
        side, kind = side_and_kind(name)
        place = detector_places(LAYOUT)[kind]
        if place.joint is None or confidence < SURE:
            continue
        bone, joint = (Ts[0, clip.body.smpl_index[SMPL_JOINTS.index(of)]] for of in joints_of(place, side))
        x = transform(T, joint[None, :3, 3])[0]
        pixel, depth = project(K, T, joint[None, :3, 3])
        mirror = torch.tensor([-1.0 if side == "right" else 1.0, 1.0, 1.0])
        turn = T[:3, :3] @ bone[:3, :3] * mirror
        along = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]) - torch.outer(x[:2] / x[2], torch.tensor([0.0, 0, 1]))
        by_place = K[0, 0] / depth[0] * along @ turn
        sights[kind].append((by_place.double(), (torch.tensor([u, v]) - pixel[0]).double()))


def joints_of(place: DetectorPlace, side: str) -> tuple[str, str]:
    """The names of the bone and of the joint of a landmark."""
    bone = place.bone if place.bone in ("pelvis", "head") else f"{side}_{place.bone}"
    return bone, f"{side}_{place.joint}"


def nearest_place(sights: list[Sight]) -> tuple[Float[Tensor, "3"], float]:
    """The place that fits all images, metres, and the median distance in pixels."""
    J, e = (torch.stack(parts) for parts in zip(*sights, strict=True))
    place, weight = torch.zeros(3, dtype=torch.float64), torch.ones(len(e), dtype=torch.float64)
    for _ in range(ROUNDS):  # robust: some limbs are on the wrong side
        normal = torch.einsum("n,nij,nik->jk", weight, J, J)
        place = torch.linalg.solve(normal, torch.einsum("n,nij,ni->j", weight, J, e))
        left = (e - torch.einsum("nij,j->ni", J, place)).norm(dim=-1)
        weight = 1 / (1 + (left / ROBUST_PX).square())
    return place, float(left.median())


if __name__ == "__main__":
    tyro.cli(main)
