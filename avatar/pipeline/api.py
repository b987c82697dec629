"""The verbs of the public API that the package `avatar` offers; each is one function over nouns.

Everything heavy is imported inside the verbs, so that `avatar.create` can be looked at without loading torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from avatar.errors import UsageError
from avatar.observation.options import ObserveOptions

if TYPE_CHECKING:
    from avatar.body import Body
    from avatar.model.avatar import Avatar
    from avatar.motion.motion import Motion
    from avatar.motion.retarget import Retargeting
    from avatar.pipeline.run_folder import RunFolder
    from avatar.training.config import TrainConfig
    from avatar.training.result import Preview, TrainResult
    from avatar.types import BodyTrack, LandmarkDetector, Observations


def create(
    source: str | Path,
    out: str | Path | None = None,
    preset: str = "balanced",
    *,
    overwrite: bool = False,
    resume: bool = False,
    preview: Preview | None = None,
    **options: Any,
) -> RunFolder:
    """Make an avatar from a video or a photo, as the command `avatar create` does.

    Args:
        source: the video or photo, or with `protocol=...` the folder of a public dataset.
        out: run folder to write; None: runs/NAME OF THE SOURCE.
        preset: "fast", "balanced", "quality", "large", or the path of a TOML file.
        overwrite: replace an older run in `out`; resume: finish one that was stopped.
        preview: is called after each training step, and may stop the training.
        options: entries of `avatar.pipeline.settings.Settings`, such as height=1.82 or train={"steps": 500}.

    Raises:
        UsageError: an option is wrong, or `out` holds another run.
        AvatarError: the source is broken or shows no person, or the disk is full.
    """
    from avatar.pipeline.create import create_run
    from avatar.pipeline.run_folder import RunFolder
    from avatar.pipeline.settings import settings_for

    run = RunFolder(Path(out) if out is not None else Path("runs") / Path(source).stem)
    create_run(run, settings_for(source, preset, options), overwrite, resume, preview)
    return run


def load(run_or_file: str | Path, body: str | Path | None = None, device: str = "cpu") -> Avatar:
    """The avatar of a run folder, or of an avatar file (.safetensors).

    Args:
        body: path of the body model's file, where it lies elsewhere than when the avatar was made.

    Raises:
        UsageError: the folder or file does not exist or holds no avatar.
        AvatarError: the file is damaged or was made with another body.
    """
    from avatar.body import load_body
    from avatar.model.avatar import Avatar
    from avatar.pipeline.finished_run import open_run

    path, body_file = Path(run_or_file), None if body is None else str(body)
    if path.is_dir():
        return open_run(path, body_file, device).avatar
    return Avatar.load(path, None if body_file is None else load_body(body_file)).to(device)


def observe(
    video: str | Path,
    out: str | Path | None = None,
    *,
    person: int | None = None,
    start: float | None = None,
    end: float | None = None,
    max_frames: int = ObserveOptions.max_frames,
    detector: str | LandmarkDetector = "auto",
    depth: str | Path | None = None,
    depth_scale: float | None = None,
    camera: str | Path | None = None,
) -> Observations:
    """Landmarks and masks of one person in the frames of a video.

    Args:
        out: folder for frames and masks; None: a temporary one, removed with the last reference to the images.
        person: which person, 1 being the largest and most persistent.
        start, end: only this part of the video, in seconds; max_frames: number of keyframes, at most.
        detector: a name as `avatar create --detector` takes it, or an object with the protocol `LandmarkDetector`.
        depth: depth images beside the video, as `avatar create --depth` takes them; depth_scale: metres per unit, None:
            whole numbers are millimetres; camera: a file with the camera of these images, which `track` takes too.

    Raises:
        UsageError: the file, the part or the person does not exist, or the depth does not go with it.
        AvatarError: it is not a readable video, too small, or shows no whole person long enough.
    """
    from avatar.io.recordings import check_depth_files
    from avatar.observation.detectors.registry import choose_detector
    from avatar.observation.options import check_depth_scale
    from avatar.observation.video import observe as observe_video
    from avatar.pipeline.camera import camera_file, depth_files
    from avatar.tracking.options import TrackOptions

    given = ObserveOptions(depth=None if depth is None else str(depth), depth_scale=depth_scale)
    camera_options = TrackOptions(camera="auto" if camera is None else str(camera))
    check_depth_scale(given)
    files = depth_files(given, camera_options)
    check_depth_files(Path(video), files, camera_file(camera_options))
    chosen = choose_detector(detector)[0] if isinstance(detector, str) else detector
    folder = None if out is None else Path(out)
    return observe_video(
        Path(video), folder, person=person, start=start, end=end, max_frames=max_frames, detector=chosen, depth=files
    )


def track(
    observations: Observations,
    body: str | Path | Body = "open",
    *,
    height: float | None = None,
    shape: str | None = None,
    focal: float | None = None,
    pitch: float | None = None,
    camera: str = "auto",
    keep_going: bool = False,
) -> BodyTrack:
    """The body's shape and its pose in every frame, and the cameras. Warnings go to the logger "avatar".

    Args:
        body: "open", the path of an SMPL, SMPL-H or SMPL-X file, or a loaded body.
        height: of the person, metres; shape: in words, such as "weight=0.6"; focal: of the camera, pixels.
        pitch: how far the camera looks down, degrees; negative: up.
        camera: how the camera moved: "auto", "still", "turning", "moving", or a file with the camera of each frame.
        keep_going: return the track even if the fit has clearly failed.

    Raises:
        UsageError: a value is out of range. AvatarError: there are too few frames, or the fit has clearly failed.
    """
    from avatar.pipeline.camera import camera_motion
    from avatar.pipeline.video_fit import fit_video
    from avatar.runtime.logging import logger
    from avatar.tracking.options import TrackOptions, check_camera

    options = TrackOptions(height, shape, focal, pitch, camera, keep_going)
    check_camera(camera)
    motion = camera_motion(observations, options)
    estimated, report = fit_video(observations, _body(body), options, motion)
    for warning in (*motion.notes, *report.warnings):
        logger.warning(warning)
    return estimated


def train(
    observations: Observations,
    track: BodyTrack,
    config: TrainConfig | None = None,
    *,
    body: str | Path | Body | None = None,
    device: str = "auto",
    backend: str = "auto",
    preview: Preview | None = None,
    **options: Any,
) -> TrainResult:
    """Train an avatar: `train(...).avatar`, and the track with its poses corrected: `train(...).track`.

    Args:
        config: how to train; None: the defaults. options: fields of `TrainConfig` that replace those of `config`.
        body: the body of the track; None: the one that the track names.
        device: "auto", "cpu" or "cuda"; backend: the renderer, see `avatar.render`.
        preview: is called after each step, and may stop the training.

    Raises:
        UsageError: the track has no cameras, or the device or the backend does not exist here.
    """
    from avatar.rendering.devices import resolve_device
    from avatar.tracking.occlusion import past_what_hides
    from avatar.training.config import TrainConfig
    from avatar.training.trainer import Trainer

    if track.cameras is None:
        raise UsageError("Training needs a track with cameras, such as avatar.track returns.")
    config = replace(config or TrainConfig(), **options)
    chosen = _body(track.body if body is None else body)
    observations = past_what_hides(observations, track, chosen)
    return Trainer(observations, track, chosen, config, resolve_device(device, backend), backend).run(preview)


def load_motion(
    name_or_file: str | Path,
    *,
    up: str | None = None,
    fps: float | None = None,
    format: str | None = None,
    clip: str | None = None,
    person: str | int | None = None,
) -> Motion:
    """A motion by the name of a built-in one ("walk", see `avatar motions`), or from a motion file, a run or a video.

    Args:
        up: axis that points up in the file, if it cannot be recognised: "y", "z", "-y" or "x".
        fps: frames per second, where the file does not say; format: name of the format, if it is not recognised.
        clip: name of the clip, of several; None for the first one that moves.
        person: which person of several, as the file names them; None for the one with the most frames.

    Raises:
        UsageError: there is no such motion, file, clip or person. AvatarError: the file is broken.
    """
    from avatar.motion.motion import ReadOptions
    from avatar.pipeline.motions import find_motion

    return find_motion(name_or_file, ReadOptions(up, fps, None if person is None else str(person), clip=clip), format)


def retarget(motion: Motion, person: Avatar, how: Retargeting | None = None) -> BodyTrack:
    """A motion fitted to an avatar's proportions and floor; it starts at the origin and faces +Z.

    Raises:
        UsageError: `how` leaves no frames, or its speed, rate or loop is not positive.
    """
    from avatar.motion.retarget import retarget as retarget_motion

    return retarget_motion(motion, person.rest, how)


def export_html(
    person: Avatar,
    path: str | Path,
    motions: Sequence[BodyTrack] | Mapping[str, BodyTrack] = (),
    title: str = "Avatar",
    credits: str | None = None,
    live: bool = False,
    springs: Literal["auto", "off"] = "auto",
) -> Path:
    """Write one HTML page with the avatar and its motions; it opens in any browser, without a network.

    Args:
        motions: tracks for this avatar (`avatar.retarget`), by the name that the page shows; the first plays at the
            start. Without any the page plays "walk".
        title: heading of the page; credits: line at its bottom, None: the usual one.
        live: the page also lets the avatar follow a camera; 11 MB more.
        springs: "auto" lets skirts, coats and long hair swing in the page, "off" leaves them to the limbs.

    Raises:
        UsageError: `springs` is something else. AvatarError: the file cannot be written.
    """
    from avatar.exporters.html import CREDITS, PageOptions, write_page
    from avatar.model.spring_rings import swinging

    if not motions:
        motions = {"walk": retarget(load_motion("walk"), person)}
    if not isinstance(motions, Mapping):
        motions = {f"motion {number}": motion for number, motion in enumerate(motions, start=1)}
    about = PageOptions(title, CREDITS if credits is None else credits)
    write_page(swinging(person, springs), motions, Path(path), about, live)
    return Path(path)


def _body(body: str | Path | Body) -> Body:
    from avatar.body import Body, load_body

    return body if isinstance(body, Body) else load_body(str(body))
