"""Quality of avatars from one photo, measured on a capture with ground truth.

Modes: no views, or true images of other sides whose cameras are noisy, aligned or exact. Half of the held-out images
serve as views and the other half are scored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro

from avatar.body import Body, load_body
from avatar.body.skinning import joint_transforms
from avatar.datasets.capture import CaptureClip, HeldOut, load_capture
from avatar.evaluation.alignment import Placement
from avatar.evaluation.ground_truth import LIMBS
from avatar.geometry import transform
from avatar.io.files import write_json
from avatar.io.images import to_uint8, write_image
from avatar.io.videos import open_video
from avatar.metrics import images as metrics
from avatar.novel_views.generator import View
from avatar.novel_views.observations import assign_frames, photo_observations
from avatar.novel_views.placement import box_center, camera_angles, placed_image
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.photo import observe_photo
from avatar.pipeline.photo import PhotoTraining, fit_photo, posed_vertices
from avatar.pipeline.settings import Settings, settings_for
from avatar.pipeline.view_selection import align_views, select_views
from avatar.rendering.renderer import render
from avatar.tracking.multiview import fit_views
from avatar.training.result import TrainResult
from avatar.training.trainer import Trainer
from avatar.training.view_alignment import LearnedViews
from avatar.types import BodyTrack

MODES = ("none", "noisy", "aligned", "true")
EXACT = (1e-3, 1e-3, 1e-3)  # rad, of true cameras; the body is fitted to their images too


@dataclass(frozen=True)
class Noise:
    """Standard deviations of the given angles (degrees) and field of view (relative) of the views."""

    degrees: float = 5.0
    scale: float = 0.03
    seed: int = 0


def measure(
    capture: Path,
    out: Path,
    clip: str = "turn",
    frame: int = 0,
    focal: float | None = None,
    modes: tuple[str, ...] = MODES,
    preset: str = "fast",
    long_side: int = 480,
    steps: int = 600,
    noise: Noise = Noise(),
) -> None:
    """Train an avatar in each of `modes` and score it on the views that were not given.

    Args:
        capture: folder of a capture (docs/formats/capture.md).
        out: folder for the photo, the images to look at and scores.json.
        clip: clip that the photo is taken from; frame: which of its frames.
        focal: focal length of the photo in pixels; estimated if not given.
        preset, long_side, steps: how to train.
    """
    truth = load_capture(capture)
    source = truth.clip(clip)
    held_out = [one for one in truth.held_out if one.clip == clip and one.frame == frame and one.group == "novel_view"]
    options = {"focal": focal, "device": "cpu", "train": {"long_side": long_side, "steps": steps}}
    settings = settings_for(out / "photo.png", preset, options).resolved()
    out.mkdir(parents=True, exist_ok=True)
    for index, (_time, image) in enumerate(open_video(source.video).frames()):
        if index == frame:
            write_image(out / "photo.png", image)
            break
    torch.set_num_threads(1)
    detector = choose_detector()[0]
    photo = observe_photo(out / "photo.png", detector=detector)
    body = load_body(settings.body)
    images, estimated, _warnings = fit_photo(out / "photo.png", photo, body, settings.track)
    training = PhotoTraining(settings.train, settings.device, settings.backend)
    given, scored = held_out[::2], held_out[1::2]
    placement = placed(body, estimated, source, frame)
    views = views_of(given, source, frame, noise)
    scores = {}
    for mode in modes:
        selected, track = list(images), estimated
        if mode != "none":
            vertices = posed_vertices(body, estimated)
            rough = [placed_image(view, vertices, images[0].camera) for view in views]
            if mode == "true":
                rough = [replace(s, camera=placement.camera(p.camera)) for s, p in zip(rough, given, strict=True)]
                track, rough = fit_views(photo, images[0], rough, estimated, body, detector, EXACT)
            if mode == "aligned":
                track, rough = fit_views(photo, images[0], rough, estimated, body, detector)
            fixed_count = len(images) if mode == "aligned" else len(images) + len(rough)
            fixed = torch.arange(len(images) + len(rough)) < fixed_count
            alignment = LearnedViews(box_center(posed_vertices(body, track)), fixed).to(settings.device)
            together = photo_observations(photo, [*images, *rough])
            coarse = align_views(
                together, assign_frames(track, together), body, alignment, training.config_for(len(together)),
                settings.device, settings.backend,
            )  # fmt: skip
            more, warnings = select_views(images, rough, coarse, alignment, settings.backend)
            selected, track = [*images, *more], coarse.track
            print(mode, warnings, [round(image.weight, 2) for image in selected])
        observations = photo_observations(photo, selected)
        config = training.config_for(len(observations))
        initial = assign_frames(track, observations)
        result = Trainer(observations, initial, body, config, settings.device, settings.backend).run()
        result.avatar.save(out / f"{mode}.safetensors")
        scores[mode] = score(result, placed(body, result.track, source, frame), scored, settings, out / mode)
        print(mode, scores[mode], flush=True)
        write_json(out / "scores.json", scores)


def views_of(given: list[HeldOut], source: CaptureClip, frame: int, noise: Noise) -> list[View]:
    """The true images as views, with noise on their given angles and field of view."""
    rng = torch.Generator().manual_seed(noise.seed)
    centre = source.joints[frame].mean(0)
    azimuth = camera_angles(source.cameras.T_camera_world[frame], centre)[0]
    views = []
    for one in given:
        side, up = camera_angles(one.camera.T_camera_world[0], centre)
        fov = 2 * math.degrees(math.atan(max(one.camera.width, one.camera.height) / 2 / float(one.camera.K[0, 0, 0])))
        a, b, c = torch.randn(3, generator=rng).tolist()
        rgb, alpha = one.read()
        white = rgb * alpha[..., None] + 1 - alpha[..., None]
        views.append(View(
            one.image.stem, to_uint8(white), to_uint8(alpha), side - azimuth + noise.degrees * a,
            up + noise.degrees * b, fov * (1 + noise.scale * c),
        ))  # fmt: skip
    return views


def placed(body: Body, track: BodyTrack, source: CaptureClip, frame: int) -> Placement:
    """The transform between the two worlds, from the photo's camera and one scale over the limb joints."""
    assert track.cameras is not None
    joints = joint_transforms(body.rest(track.betas).joints, body.parents, body.complete(track.poses[0]))[:, :3, 3]
    T_true_camera, T_run_camera = source.cameras.T_camera_world[frame], track.cameras.T_camera_world[0]
    mine = transform(T_run_camera, joints[list(body.smpl_index)])[list(LIMBS)]
    true = transform(T_true_camera, source.joints[frame])[list(LIMBS)]
    return Placement(T_true_camera, T_run_camera, float((true * mine).sum() / (mine * mine).sum()))


@torch.no_grad()
def score(
    result: TrainResult, placement: Placement, scored: list[HeldOut], settings: Settings, out: Path
) -> dict[str, float]:
    """Means over the views that were not given, on white."""
    rows = []
    gaussians = result.avatar.pose(result.track.poses[0])
    for one in scored:
        rendered = render(gaussians, placement.camera(one.camera), settings.backend)
        rgb, alpha = one.read()
        truth = rgb * alpha[..., None] + 1 - alpha[..., None]
        mine = rendered.on_white()[0].clamp(0, 1)
        box = metrics.person_box(alpha)
        assert box is not None
        rows.append((metrics.psnr(mine, truth), metrics.psnr(mine[box], truth[box]),
                     metrics.alpha_iou(rendered.alpha[0], alpha)))  # fmt: skip
        write_image(out / f"{one.image.stem}.png", to_uint8(torch.cat([truth, mine], 1)))
    means = torch.tensor(rows).mean(0).tolist()
    return dict(zip(("psnr", "psnr_box", "alpha_iou"), (round(v, 3) for v in means), strict=True))


if __name__ == "__main__":
    tyro.cli(measure)
