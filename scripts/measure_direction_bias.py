"""Measure how far BlazePose's 3D directions of trunk and limbs are off, for `avatar/tracking/detector_bias.py`.

    python scripts/measure_direction_bias.py    # about 300 renders of the open body, a few minutes

The open body of `front_clips.py` stands in poses of the built-in motions, turned to eight sides, before cameras at
pitches from -20 to 30 degrees. For each bone the error of its direction in the plane of the camera's y and z axes is
split by least squares into a constant part, one that goes with the side that is seen, and one that goes with the pitch.
"""

from __future__ import annotations

import math
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import tyro
from front_clips import HEIGHT, WIDTH, images, make_clip

from avatar.body.landmarks import side_and_kind
from avatar.body.skeleton import SMPL_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.exporters.mirror import pose_bundle
from avatar.geometry import rotation_from_rotvec, transform
from avatar.landmark_layouts import LAYOUTS
from avatar.observation.detectors.mediapipe import MediaPipeDetector
from avatar.observation.detectors.registry import choose_detector
from avatar.tracking.detector_bias import facing
from avatar.tracking.initialization import rotate_to_rays
from avatar.types import BodyPose, LandmarkDetector

PITCHES = (-20, -10, 0, 10, 20, 30)
TURNS = tuple(range(0, 360, 45))
LIMBS = (("hip", "knee"), ("knee", "ankle"), ("shoulder", "hip"), ("shoulder", "elbow"), ("elbow", "wrist"))
LEAST_IN_PLANE = 0.5  # share of a bone's length in the plane; bones across it have no direction there


def light_detector() -> LandmarkDetector:
    """The network of `avatar export --html --live`."""
    path = Path(tempfile.mkdtemp()) / "light.task"
    path.write_bytes(pose_bundle())
    return MediaPipeDetector(path)


def main(motions: tuple[str, ...] = ("wave", "dance", "squat"), frames: int = 2, light: bool = False) -> None:
    """Print the table.

    Args:
        motions: built-in ones; frames: poses of each.
        light: measure the light network of pages that follow a camera.
    """
    detector = light_detector() if light else choose_detector("mediapipe")[0]
    rows: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    for motion in motions:
        for pitch in PITCHES:
            clip = make_clip(motion, float(pitch), "plain", 2.0)
            chosen = np.linspace(0, len(clip.poses) - 1, frames).round().astype(int).tolist()
            for index, turn in enumerate(TURNS):
                pose = turned(clip.poses[[chosen[index % frames]]], math.radians(turn))
                one = replace(clip, poses=pose)
                found = detector.detect(images(one)[0])
                if len(found) == 1:
                    gather(rows, found[0].keypoints, found[0].keypoints_3d, one, pitch)
    for bone, values in rows.items():
        error, side, pitch_degrees = np.array(values).T
        columns = np.stack([np.ones_like(side), side, pitch_degrees], 1)
        weight = np.ones(len(error))
        for _ in range(10):  # robust: some limbs are flipped
            solution = np.linalg.lstsq(columns * weight[:, None], error * weight, rcond=None)[0]
            left = error - columns @ solution
            spread = 1.48 * np.median(np.abs(left))
            weight = 1 / np.sqrt(1 + (left / (2 * spread)) ** 2)
        camera, body, share = solution
        print(f"{bone}: camera {camera:.1f}, body {body:.1f}, share {-share:.2f}, spread {spread:.1f}, n {len(error)}")


def turned(pose: BodyPose, angle: float) -> BodyPose:
    """The pose turned about the vertical through its root."""
    rotations = pose.rotations.clone()
    rotations[:, 0] = rotation_from_rotvec(torch.tensor([0.0, angle, 0.0])) @ rotations[:, 0]
    return BodyPose(pose.root_position, rotations)


def gather(rows, keypoints, keypoints_3d, clip, pitch) -> None:  # type: ignore[no-untyped-def]
    """Add the errors of one image."""
    names, K = LAYOUTS["blazepose33"].names, clip.camera.K[0]
    pixels = torch.from_numpy(keypoints[:, :2]).double() - torch.tensor([WIDTH / 2, HEIGHT / 2])
    guess = rotate_to_rays(torch.from_numpy(keypoints_3d).double()[None], pixels.mean(0, keepdim=True), float(K[0, 0]))
    Ts = joint_transforms(clip.body.rest(clip.betas).joints, clip.body.parents, clip.body.complete(clip.poses))
    joints = transform(clip.camera.T_camera_world[0], Ts[0, list(clip.body.smpl_index), :3, 3]).double()
    side = float(facing(guess, names)[0])
    for start, end in LIMBS:
        for which in ("left", "right"):
            a, b = f"{which}_{start}", f"{which}_{end}"
            ours = guess[0, names.index(b)] - guess[0, names.index(a)]
            true = joints[SMPL_JOINTS.index(b)] - joints[SMPL_JOINTS.index(a)]
            if float(true[1:].norm() / true.norm()) > LEAST_IN_PLANE:
                error = torch.atan2(ours[2], ours[1]) - torch.atan2(true[2], true[1])
                wrapped = math.degrees(math.remainder(float(error), 2 * math.pi))
                rows[side_and_kind(a)[1], side_and_kind(b)[1]].append((wrapped, side, float(pitch)))


if __name__ == "__main__":
    tyro.cli(main)
