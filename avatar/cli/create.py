"""`avatar create`: a video or a photo in, an avatar out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from avatar.errors import UsageError

ProtocolName = Literal["instantavatar", "gauhuman", "humannerf", "hugs", "exavatar"]
FOR_OWN_SOURCES = (
    "focal", "height", "shape", "max_frames", "person", "detector", "views", "view_frames", "view_offload",
)  # fmt: skip


def create(
    source: Annotated[Path, tyro.conf.Positional],
    out: Path | None = None,
    preset: str = "balanced",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    backend: Literal["auto", "gsplat", "cpu", "reference"] = "auto",
    body: str = "open",
    focal: float | None = None,
    height: float | None = None,
    shape: str | None = None,
    max_frames: int | None = None,
    person: int | None = None,
    detector: str | None = None,
    protocol: ProtocolName | None = None,
    views: str | None = None,
    view_frames: int | None = None,
    view_offload: bool | None = None,
    deform: Literal["mlp", "none"] | None = None,
    steps: int | None = None,
    seed: int | None = None,
    viewer: bool = False,
    overwrite: bool = False,
    resume: bool = False,
) -> None:
    """Make an avatar from a video, or from one photo, of a person.

    Args:
        source: the video (mp4, mov, webm, ...) or photo (png, jpg, webp), or with --protocol a dataset's folder.
        out: run folder to write; runs/NAME OF THE VIDEO if not given.
        preset: fast, balanced, quality, or the path of a TOML file with the same entries.
        device: where to train; auto takes CUDA where it works.
        backend: the renderer; auto takes gsplat on CUDA and cpu elsewhere.
        body: "open", the body that ships with the program, or the path of an SMPL, SMPL-H or SMPL-X file.
        focal: focal length of the camera in pixels, if you know it.
        height: height of the person in metres, if you know it; otherwise it is assumed, and said so.
        shape: what else you know of the person, in words: height=1.82,weight=0.6; the body keeps to it. The words are
            height (metres, as --height), age (years), weight, gender (0 male to 1 female), muscle and proportions
            (0 to 1). Bodies of SMPL files have no words.
        max_frames: use at most so many frames of the video, the most telling ones.
        person: which person, if there are several: 1 is the largest and most persistent.
        detector: what finds the landmarks: mediapipe, the model that ships; auto, the same with hands and face refined
            where their bundles are there; or onnx:FILE, an RTMPose, RTMW or DWPose model of yours (docs/tracking.md).
        protocol: train on a public dataset (PeopleSnapshot, ZJU-MoCap, NeuMan) with its own SMPL poses and the split
            of that publication; needs your SMPL file as --body. See docs/evaluation.md.
        views: for a photo, what shows the sides that it does not: none guesses them, folder:PATH takes pictures made
            by any tool, orbit:MODEL and edit:MODEL generate them with weights of yours (a folder, or a name on the
            Hugging Face hub); see docs/photo.md.
        view_frames: fewer views of an orbit need less memory; 21 is what such models are made for.
        view_offload: keep the weights of the view generator in main memory while they are not used.
        deform: mlp adds a small network for what skinning leaves out, none does without.
        steps: training steps, instead of the preset's.
        seed: seed of everything random.
        viewer: show the avatar in the browser while it trains.
        overwrite: replace an older run in the same folder.
        resume: finish a run that was stopped, with the configuration that it was begun with.
    """
    from avatar.pipeline.run_folder import RunFolder, locked_run
    from avatar.runtime.logging import logger

    run = RunFolder(out or Path("runs") / source.stem)
    if not resume and not source.exists():
        raise UsageError(f"There is no file {source}.")
    asked = {
        "device": device, "backend": backend, "body": body, "focal": focal, "height": height, "shape": shape,
        "max_frames": max_frames, "person": person, "detector": detector, "views": views, "view_frames": view_frames,
        "view_offload": view_offload, "protocol": protocol, "train": {"deform": deform, "steps": steps, "seed": seed,
        # A protocol says itself which frames are left out.
        "hold_out": None if protocol is None else 0},
    }  # fmt: skip
    if protocol is not None:
        useless = [name for name in FOR_OWN_SOURCES if asked[name] is not None]
        if useless:
            raise UsageError(f"With --protocol the dataset says all of that: leave out --{', --'.join(useless)}.")
    elif not resume and source.is_dir():
        raise UsageError(f"{source} is a folder: give a video or a photo, or --protocol for a public dataset.")
    with locked_run(run, overwrite, resume):
        from avatar.io.files import write_json
        from avatar.observation.photo import is_photo
        from avatar.pipeline.create import create as make

        settings = _resumed(run, source) if resume and run.config.is_file() else _settings(source, preset, asked)
        if settings.novel_views.generator != "none" and not is_photo(source):
            raise UsageError(f"--views is for photos, and {source} is none.")
        write_json(run.config, settings.as_dict())
        logger.info(f"{source} -> {run.folder}, on {settings.device} with the {settings.backend} renderer")
        report = make(run, settings, _preview(viewer))
    _tell(run, report)


def _settings(source: Path, preset: str, asked: dict):
    from avatar.pipeline.settings import settings_for

    given = {name: value for name, value in asked.items() if value is not None and name != "train"}
    given["train"] = {name: value for name, value in asked["train"].items() if value is not None}
    return settings_for(source, preset, given).resolved()


def _resumed(run, source: Path):
    from avatar.io.files import read_json
    from avatar.pipeline.settings import Settings, build

    settings = build(Settings, read_json(run.config), str(run.config))
    if Path(settings.source).resolve() != source.resolve():
        raise UsageError(f"{run.folder} was begun with {settings.source}, not with {source}.")
    return settings


def _preview(viewer: bool):
    if not viewer:
        return None
    from avatar.viewer.live import LivePreview

    return LivePreview()


def _tell(run, report: dict) -> None:
    held_out = report["held_out"]
    if held_out["frames"]:
        print(f"left-out frames: PSNR {held_out['psnr']:.1f} dB, in the person's box {held_out['psnr_box']:.1f} dB")
    print(f"the avatar:   {run.avatar}")
    print(f"look at it:   {run.turntable}  {run.overlay}  {run.contact}")
    print(f"the numbers:  {run.report}")
    print(f"next:         avatar view {run.folder}   |   avatar animate {run.folder} --motion walk")
