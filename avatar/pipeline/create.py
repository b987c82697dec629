"""The main job: a video or a photo in, an avatar out.

Each stage leaves a file, so that a stopped run goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from avatar.body import load_body
from avatar.io.files import write_json
from avatar.io.observations_file import load_observations
from avatar.io.track_file import load_track, save_track
from avatar.model.avatar import Avatar
from avatar.observation import observe
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.photo import is_photo
from avatar.pipeline.dataset import from_dataset
from avatar.pipeline.photo import from_photo, photo_training
from avatar.pipeline.previews import TURNTABLE_SIZE, write_contact_sheet, write_overlay, write_turntable
from avatar.pipeline.report import _body_iou, _held_out_scores, _provenance, _shape
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.settings import Settings
from avatar.runtime.logging import logger
from avatar.runtime.memory import peak_memory_mb
from avatar.tracking import track
from avatar.tracking.fit import known_shape
from avatar.training.trainer import Preview, Trainer
from avatar.types import BodyTrack, Observations


def create(run: RunFolder, settings: Settings, preview: Preview | None = None) -> dict[str, Any]:
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
        logger.info(f"warning: {note}")
    with _timed(seconds, "train"):
        avatar, refined = _trained(run, settings, observations, found, preview)
    with _timed(seconds, "pictures"):
        fps = len(observations) / max(float(observations.times[-1] - observations.times[0]), 1e-3)
        middle = refined.poses[len(refined) // 2]
        write_turntable(avatar, middle, run.turntable, *TURNTABLE_SIZE, settings.backend)
        write_overlay(run.overlay, avatar, refined, observations, settings.backend, min(fps, 30.0))
        write_contact_sheet(run.contact, avatar, refined, observations, settings.backend)
    memory = peak_memory_mb()
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
        "peak_memory_mb": None if memory is None else int(memory),
        "made_with": _provenance(settings),
    }
    write_json(run.report, report)
    return report


def _observed(run: RunFolder, settings: Settings) -> Observations:
    if not (run.observations / "observations.npz").is_file():
        detector, sentence = choose_detector(settings.detector)
        logger.info(sentence)
        observe(
            Path(settings.source),
            run.observations,
            person=settings.person,
            max_frames=settings.max_frames,
            detector=detector,
        )
    return load_observations(run.observations)


def _tracked(run: RunFolder, settings: Settings, observations: Observations) -> tuple[BodyTrack, list[str]]:
    warnings_file = run.folder / "track_warnings.json"
    if run.found_track.is_file() and warnings_file.is_file():
        from avatar.io.files import read_json

        return load_track(run.found_track), read_json(warnings_file)
    body = load_body(settings.body)
    found, report = track(observations, body, settings.track_options())
    write_json(warnings_file, report.warnings)
    save_track(found, run.found_track)
    for warning in report.warnings:
        logger.info(f"warning: {warning}")
    return found, report.warnings


def _trained(
    run: RunFolder, settings: Settings, observations: Observations, found: BodyTrack, preview: Preview | None
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


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - start
    logger.info(f"{stage}: {seconds[stage]:.1f} s")
