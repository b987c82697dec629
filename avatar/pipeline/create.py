"""The main job: a video or a photo in, an avatar out.

Each stage leaves a file, so that a stopped run goes on where it was.
"""

from __future__ import annotations

import hashlib
import platform
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from avatar import __version__
from avatar.body import load_body
from avatar.body.shape_attributes import in_words, load_shape_words
from avatar.errors import UsageError
from avatar.io.files import write_json
from avatar.io.observations_file import load_observations
from avatar.io.track_file import load_track, save_track
from avatar.metrics.images import alpha_iou, person_box, psnr
from avatar.model.avatar import Avatar
from avatar.observation import observe
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.photo import is_photo
from avatar.pipeline.dataset import from_dataset
from avatar.pipeline.photo import from_photo, photo_training
from avatar.pipeline.previews import WHITE, body_splats, write_contact_sheet, write_overlay, write_turntable
from avatar.pipeline.run_folder import Run, say
from avatar.pipeline.settings import Settings
from avatar.rendering import render
from avatar.tracking import track
from avatar.tracking.fit import known_shape
from avatar.training.trainer import Preview, Trainer, held_out_frames
from avatar.types import BodyTrack, Observations


def create(run: Run, settings: Settings, preview: Preview | None = None) -> dict[str, Any]:
    """Make an avatar from `settings.source` in the folder of `run`, which the caller holds for writing.

    The caller has written the configuration there.

    Stages whose files are there already are not done again.

    Returns:
        The content of the report.
    """
    # A body file that is none, and a wrong word, show before the minutes that detection takes.
    height, _ = known_shape(load_body(settings.body), settings.track_options())
    seconds: dict[str, float] = {}
    device = torch.device(settings.device)
    if device.type == "cpu":
        # One torch thread: its pool would spin against the rasterizer's own threads.
        torch.set_num_threads(1)
    if settings.protocol is not None:
        with _timed(seconds, "dataset"):
            observations, found, warnings = from_dataset(run, settings)
    elif is_photo(Path(settings.source)):
        with _timed(seconds, "photo"):
            observations, found, warnings = from_photo(run, settings)
        settings = replace(settings, train=photo_training(settings.train, len(observations)))
    else:
        with _timed(seconds, "observe"):
            observations = _observed(run, settings)
        with _timed(seconds, "track"):
            found, warnings = _tracked(run, settings, observations)
    for note in observations.notes:
        say(f"warning: {note}")
    with _timed(seconds, "train"):
        avatar, refined = _trained(run, settings, observations, found, preview)
    with _timed(seconds, "pictures"):
        fps = len(observations) / max(float(observations.times[-1] - observations.times[0]), 1e-3)
        write_turntable(run.turntable, avatar, refined, settings.backend)
        write_overlay(run.overlay, avatar, refined, observations, settings.backend, min(fps, 30.0))
        write_contact_sheet(run.contact, avatar, refined, observations, settings.backend)
    report = {
        "source": settings.source,
        "frames": len(observations),
        "size": [observations.width, observations.height],
        "splats": len(avatar),
        "shape": _shape(refined, height),
        "held_out": _held_out_scores(avatar, refined, observations, settings),
        "body_mask_iou": _body_iou(avatar, refined, observations, settings),
        "observed_share": float((avatar.observed > 0.5).float().mean()),
        "warnings": [*observations.notes, *warnings],
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "made_with": _provenance(settings),
    }
    write_json(run.report, report)
    return report


def _observed(run: Run, settings: Settings) -> Observations:
    if not (run.observations / "observations.npz").is_file():
        detector, sentence = choose_detector(settings.detector)
        say(sentence)
        observe(
            Path(settings.source),
            run.observations,
            person=settings.person,
            max_frames=settings.max_frames,
            detector=detector,
        )
    return load_observations(run.observations)


def _tracked(run: Run, settings: Settings, observations: Observations) -> tuple[BodyTrack, list[str]]:
    warnings_file = run.folder / "track_warnings.json"
    if run.found_track.is_file() and warnings_file.is_file():
        from avatar.io.files import read_json

        return load_track(run.found_track), read_json(warnings_file)
    body = load_body(settings.body)
    found, report = track(observations, body, settings.track_options())
    write_json(warnings_file, report.warnings)
    save_track(found, run.found_track)
    for warning in report.warnings:
        say(f"warning: {warning}")
    return found, report.warnings


def _trained(
    run: Run, settings: Settings, observations: Observations, found: BodyTrack, preview: Preview | None
) -> tuple[Avatar, BodyTrack]:
    body = load_body(settings.body)
    if run.avatar.is_file() and run.track.is_file():
        run.checkpoint.unlink(missing_ok=True)
        return Avatar.load(run.avatar, body).on(settings.device), load_track(run.track)
    trainer = Trainer(
        observations, found, body, settings.train, settings.device, settings.backend, checkpoint=run.checkpoint
    )
    result = trainer.run(preview, resume=run.checkpoint.is_file())
    save_track(result.track, run.track)
    result.avatar.save(run.avatar)
    run.checkpoint.unlink(missing_ok=True)
    return result.avatar, result.track


@torch.no_grad()
def _held_out_scores(
    avatar: Avatar, refined: BodyTrack, observations: Observations, settings: Settings
) -> dict[str, float | int]:
    """Mean PSNR on white, full frame and person's box, and alpha IoU, of the frames training never saw."""
    assert refined.cameras is not None
    indices = held_out_frames(len(observations), settings.train.hold_out)
    full, box, iou = [], [], []
    for index in indices:
        mask = torch.from_numpy(observations.masks[index]).float() / 255
        image = torch.from_numpy(observations.images[index]).float() / 255
        truth = image * mask[..., None] + 1 - mask[..., None]
        pose = refined.poses[int(refined.instant[index])].to(avatar.device)
        out = render(avatar.pose(pose), refined.cameras[index].to(avatar.device), settings.backend)
        rgb = out.on(WHITE)[0].clamp(0, 1).cpu()
        full.append(psnr(rgb, truth))
        region = person_box(mask)
        if region is not None:
            box.append(psnr(rgb[region], truth[region]))
        iou.append(alpha_iou(out.alpha[0].cpu(), mask))
    if not indices:
        return {"frames": 0}
    scores = {"psnr": full, "psnr_box": box, "alpha_iou": iou}
    return {"frames": len(indices)} | {name: round(sum(v) / len(v), 3) for name, v in scores.items() if v}


def _shape(refined: BodyTrack, height: float | None) -> dict[str, dict[str, float]] | None:
    """The open body's fitted shape in words, each with its standard deviation."""
    if refined.body != "open":
        return None
    described = load_shape_words().describe(refined.betas, height is not None)
    say(f"the shape: {in_words(described)}")
    return {name: {"value": round(value, 3), "spread": round(spread, 3)} for name, (value, spread) in described.items()}


@torch.no_grad()
def _body_iou(avatar: Avatar, refined: BodyTrack, observations: Observations, settings: Settings) -> dict[str, float]:
    """Overlap of the fitted body's silhouette and the person's mask, over every fourth frame."""
    assert refined.cameras is not None
    values = []
    for index in range(0, len(observations), 4):
        pose = refined.poses[int(refined.instant[index])].to(avatar.device)
        camera = refined.cameras[index].to(avatar.device)
        alpha = render(body_splats(avatar, pose), camera, settings.backend).alpha[0].cpu()
        values.append(alpha_iou(alpha, torch.from_numpy(observations.masks[index]).float() / 255))
    ordered = sorted(values)
    return {"median": round(ordered[len(ordered) // 2], 3), "worst": round(ordered[0], 3)}


def _provenance(settings: Settings) -> dict[str, str]:
    """What made this run: versions, machine and the digest of the source."""
    digest = hashlib.sha256(Path(settings.source).read_bytes()).hexdigest() if Path(settings.source).is_file() else ""
    packages = ("torch", "numpy", "numba", "mediapipe")
    return {
        "avatar": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "source_sha256": digest,
        **{name: version(name) for name in packages},
    }


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - start
    say(f"{stage}: {seconds[stage]:.1f} s")


def chosen_device(asked: str) -> str:
    """ "cpu" or "cuda" for `auto`, `cpu` or `cuda`; only `auto` may choose, and it says so where CUDA is of no use.

    Raises:
        UsageError: CUDA was asked for and is not there.
    """
    if asked == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda was asked for, but torch finds no CUDA device: use --device cpu or auto.")
    if asked != "auto":
        return asked
    if not torch.cuda.is_available():
        return "cpu"
    from avatar.rendering.gsplat_backend import missing_kernels

    trouble = missing_kernels()
    if trouble is None:
        return "cuda"
    say(f"CUDA is there but gsplat cannot render on it, since {trouble}; the work is done on the CPU.")
    return "cpu"
