"""Measure how well a body is fitted to 2D key points alone: the clips and the held-out poses of a capture.

    python scripts/measure_keypoints.py CAPTURE

The true key points (`coco2d`) get noise and dropouts and are written as a folder of OpenPose JSON (COCO-18), which is
read as `avatar track --keypoints` reads it. Each pose of `novel_pose` is a single image, of which the likeliest
hypotheses are scored. PA-MPJPE over limbs and neck, as in `avatar evaluate`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body, load_body
from avatar.body.skinning import joint_transforms
from avatar.datasets.capture import Capture, load_capture
from avatar.evaluation.ground_truth import SCORED
from avatar.io.files import read_npz
from avatar.landmark_layouts import LAYOUTS
from avatar.metrics.poses import pa_mpjpe
from avatar.motion.motion import ReadOptions
from avatar.observation.keypoints import observe_keypoints
from avatar.pipeline.motions import keypoints_of, poses_of_figure
from avatar.tracking.fit import track
from avatar.tracking.options import TrackOptions


def main(
    capture: tyro.conf.Positional[Path],
    noise: float = 3.0,
    dropouts: float = 0.05,
    hypotheses: int = 4,
    seed: int = 0,
    poses: bool = True,
) -> None:
    """Print the scores in millimetres.

    Args:
        capture: the folder, see docs/formats/capture.md.
        noise: standard deviation of the points, pixels. dropouts: share of the points that are missing.
        hypotheses: of a single pose.
        seed: of noise and dropouts.
        poses: whether the single poses are measured too.
    """
    true, body = load_capture(capture), load_body("open")
    generator = np.random.default_rng(seed)
    for name in true.clips:
        errors = clip_errors(true, name, body, noise, dropouts, generator)
        print(f"{name}: {summary(errors)}", flush=True)
    if poses and "novel_pose" in true.skeletons:
        for share in (0.0, noise):
            errors = single_errors(true, hypotheses, share, generator)
            print(f"single poses, {share:g} px, likeliest: {summary(errors[:, 0])}")
            print(f"single poses, {share:g} px, best of {hypotheses}: {summary(errors.amin(1))}", flush=True)


def clip_errors(
    true: Capture, name: str, body: Body, noise: float, dropouts: float, generator: np.random.Generator
) -> Float[Tensor, " t"]:
    """PA-MPJPE of each frame of a clip, mm."""
    clip, points = true.clips[name], read_npz(true.folder / name / "gt.npz")["coco2d"]
    with tempfile.TemporaryDirectory() as folder:
        write_openpose(Path(folder), perturbed(points, noise, dropouts, generator))
        size = (clip.cameras.width, clip.cameras.height)
        observations = observe_keypoints(keypoints_of(Path(folder), ReadOptions(fps=clip.fps, size=size)))
    estimated, _ = track(observations, body, TrackOptions())
    transforms = joint_transforms(body.rest(estimated.betas).joints, body.parents, body.complete(estimated.poses))
    return errors_of(transforms[:, list(body.smpl_index), :3, 3], clip.joints)


def single_errors(
    true: Capture, count: int, noise: float, generator: np.random.Generator
) -> Float[Tensor, "poses hypotheses"]:
    """PA-MPJPE of each hypothesis of each held-out pose, mm; infinite where there are fewer hypotheses."""
    camera = next(image.camera for image in true.held_out if image.group == "novel_pose")
    points = read_npz(true.folder / "novel_pose" / "gt.npz")["coco2d"]
    reading = ReadOptions(size=(camera.width, camera.height))
    result = torch.full((len(points), count), torch.inf)
    for index, person in enumerate(perturbed(points, noise, 0.0, generator)):
        with tempfile.TemporaryDirectory() as folder:
            write_openpose(Path(folder), person[None])
            clip = keypoints_of(next(Path(folder).iterdir()), reading)
        estimated = poses_of_figure(clip, count=count)
        joints = torch.stack([one.joints for one in estimated])
        truth = true.skeletons["novel_pose"].joints[[index] * len(joints)]
        result[index, : len(joints)] = errors_of(joints, truth)
    return result


def errors_of(joints: Float[Tensor, "t 24 3"], truth: Float[Tensor, "t 24 3"]) -> Float[Tensor, " t"]:
    """PA-MPJPE over limbs and neck, mm."""
    chosen = list(SCORED)
    return 1e3 * pa_mpjpe(joints[:, chosen], truth[:, chosen])


def summary(errors: Float[Tensor, " t"]) -> str:
    """Mean, median and worst."""
    return f"{errors.mean():.1f} mm on average, median {errors.median():.1f}, worst {errors.max():.1f}"


def perturbed(
    points: Float[np.ndarray, "t 17 2"], noise: float, dropouts: float, generator: np.random.Generator
) -> Float[np.ndarray, "t 17 3"]:
    """The points with noise and a confidence; missing ones are zero, as OpenPose writes them."""
    noisy = points + generator.normal(0, noise, points.shape)
    present = generator.random(points.shape[:2]) >= dropouts
    return np.concatenate([noisy, np.full_like(noisy[..., :1], 0.9)], -1) * present[..., None]


def write_openpose(folder: Path, points: Float[np.ndarray, "t 17 3"]) -> None:
    """One file per frame; the neck is the middle of both shoulders if they are there."""
    names, coco = LAYOUTS["coco18"].names, LAYOUTS["coco17"].names
    shoulders = points[:, LAYOUTS["coco17"].indices("left_shoulder", "right_shoulder")]
    neck = shoulders.mean(1) * (shoulders[..., 2] > 0).all(1, keepdims=True)
    for number, (frame, middle) in enumerate(zip(points, neck, strict=True)):
        person = np.stack([middle if name == "neck" else frame[coco.index(name)] for name in names])
        content = {"version": 1.3, "people": [{"pose_keypoints_2d": person.ravel().round(3).tolist()}]}
        (folder / f"clip_{number:012d}_keypoints.json").write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    tyro.cli(main)
