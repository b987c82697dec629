"""`avatar track`: a video in, the motion of the body out."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import tyro

from avatar.cli.options import Switch
from avatar.errors import UsageError


def track_video(
    video: Annotated[
        Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="VIDEO", help_behavior_hint="(optional)")
    ] = None,
    /,
    keypoints: Path | None = None,
    out: Path | None = None,
    body: str = "open",
    focal: float | None = None,
    pitch: float | None = None,
    camera: str = "auto",
    height: float | None = None,
    shape: str | None = None,
    person: str | None = None,
    start: float | None = None,
    end: float | None = None,
    init: Path | None = None,
    detector: str = "auto",
    layout: str | None = None,
    source_fps: float | None = None,
    source_size: str | None = None,
    show_shape: Switch = False,
    keep_going: Switch = False,
    iuv: str | None = None,
    iuv_charts: str | None = None,
) -> None:
    """Estimate the motion of the person in VIDEO: a body with its shape and its pose in every frame.

    Args:
        video: the video. With --keypoints it may be left out; it then only gives the times of the
            frames and their size.
        keypoints: 2D key points of another program instead of the detector's: OpenPose, DWPose, MMPose, AlphaPose, COCO
            or MediaPipe; a file, or a folder with one file per image.
        out: folder for the track and the observations; by default tracks/NAME OF THE VIDEO.
        body: "open", or the path of a body file in SMPL's format.
        focal: focal length of the camera in pixels.
        pitch: how far the camera looks down, in degrees; negative where it looks up.
        camera: how the camera moved: auto (the background tells), still, turning, moving, or a file with the camera of
            each frame.
        height: height of the person in metres; without it every length is known only up to a scale.
        shape: shape of the person in words, such as height=1.82,weight=0.6; the body keeps to it. The words are height
            (metres, the same as --height), age (years), weight, gender (0 male to 1 female), muscle and proportions
            (0 to 1). Not available for SMPL files.
        person: which person, if there are several; 1 is the largest and most persistent, unless the key points come
            with names of their own.
        start: beginning of the part of the video that is used, seconds.
        end: end of that part, seconds; without it the end of the video.
        init: a track or a result of another body fitter for the same frames (GVHMR, WHAM, 4D-Humans, TRAM, PromptHMR,
            any SMPL npz) to start from instead of the detector's own 3D estimate.
        detector: landmark detector: mediapipe (ships with the program), auto (mediapipe, with hands and face refined
            where their models are installed), or onnx:FILE for an RTMPose, RTMW or DWPose model; see
            docs/manual/detectors.md.
        layout: order of the key points, if it is not recognised, such as body25 or coco17.
        source_fps: frames per second of the key points, if the file does not contain it.
        source_size: WIDTHxHEIGHT in pixels of the images that the key points lie in, if the file does not contain it.
        show_shape: print the whole estimated shape of the body, not only the height.
        keep_going: write the track even if the fit has clearly failed.
        iuv: folder with one IUV image (PNG) for each frame of the video, from a dense detector of your own; see
            docs/manual/detectors.md.
        iuv_charts: your copy of DensePose's UV_Processed.mat, for IUV images in DensePose's charts.
    """
    source = keypoints or video
    if source is None:
        raise UsageError("Pass a VIDEO, or the key points of one with --keypoints.")
    from avatar.body import load_body
    from avatar.body.shape_attributes import format_shape, load_shape_attributes, parse_shape, reported_attributes
    from avatar.io.track_file import save_track
    from avatar.motion import load_motion
    from avatar.motion.motion import ReadOptions
    from avatar.observation.detectors.registry import choose_detector
    from avatar.observation.keypoints import observe_keypoints
    from avatar.observation.video import observe
    from avatar.pipeline.animation import parse_size
    from avatar.pipeline.camera import camera_motion
    from avatar.pipeline.dense import check_iuv
    from avatar.pipeline.motions import keypoints_of
    from avatar.pipeline.starting_motion import starting_motion
    from avatar.pipeline.video_fit import fit_video
    from avatar.tracking.fit import resolve_shape
    from avatar.tracking.options import TrackOptions, check_camera
    from avatar.tracking.report import is_height_measured

    if keypoints is not None and (start, end) != (None, None):
        raise UsageError("--start and --end choose a part of a video, not of --keypoints.")
    initial = None if init is None else load_motion(init).track
    model = load_body(body)
    options = TrackOptions(height, shape, focal, pitch, camera, keep_going, iuv, iuv_charts)
    check_camera(camera)
    check_iuv(options, model)
    known_height, _ = resolve_shape(model, options)
    out = out or Path("tracks") / (video or source).stem
    if keypoints is not None:
        size = None if source_size is None else parse_size(source_size, "--source-size")
        reading = ReadOptions(fps=source_fps, layout=layout, size=size)
        observations = observe_keypoints(keypoints_of(keypoints, reading, video), person)
    else:
        chosen, sentence = choose_detector(detector)
        print(sentence)
        observations = observe(
            source, out / "observations", person=_number(person), start=start, end=end, detector=chosen
        )
    if init is not None and video is not None:
        initial = starting_motion(init, observations, video, start, end)
    motion = camera_motion(observations, options)
    print(motion.sentence())
    result, report = fit_video(observations, model, options, motion, initial)
    save_track(result, out / "track.npz")
    for warning in (*observations.notes, *motion.notes, *report.warnings):
        print(f"warning: {warning}")
    if model.name == "open":
        attributes = load_shape_attributes().describe(
            result.betas, known_height is not None or is_height_measured(observations, report.warnings)
        )
        attributes = reported_attributes(attributes, parse_shape(shape))
        print(f"shape: {format_shape(attributes if show_shape else {'height': attributes['height']})}")
    place = out / "track.npz"
    print(f"track: {place}")
    print(f"next:  avatar animate RUN --motion {quote(str(place))}")


def _number(person: str | None) -> int | None:
    """The number of a person in a video.

    Raises:
        UsageError: it is no number.
    """
    if person is None or person.isdigit():
        return None if person is None else int(person)
    raise UsageError(f"--person is a number, such as 1 for the largest person, not {person!r}.")
