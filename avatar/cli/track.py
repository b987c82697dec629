"""`avatar track`: a video in, the motion of the body out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import tyro

from avatar.cli.options import Switch, option_group
from avatar.errors import UsageError
from avatar.tracking.options import TrackOptions, check_camera

if TYPE_CHECKING:
    from avatar.body import Body
    from avatar.observation.options import ObserveOptions
    from avatar.tracking.report import TrackReport
    from avatar.types import BodyTrack, KeypointClip, Observations


@option_group
@dataclass(frozen=True)
class KeypointOptions:
    """Key points of another program.

    Attributes:
        keypoints: 2D key points of another program instead of the detector's: OpenPose, DWPose, MMPose, AlphaPose, COCO
            or MediaPipe; a file, or a folder with one file per image.
        layout: order of the key points, if it is not recognised, such as body25 or coco17.
        source_fps: frames per second of the key points, if the file does not contain it.
        source_size: WIDTHxHEIGHT in pixels of the images that the key points lie in, if the file does not contain it.
    """

    keypoints: Path | None = None
    layout: str | None = None
    source_fps: float | None = None
    source_size: str | None = None

    def read(self, video: Path | None) -> KeypointClip:
        """The key points; a video gives the times of the frames and their size.

        Raises:
            UsageError: there is no such file, or it leaves open what no option says. AvatarError: it is broken.
        """
        from avatar.motion.motion import ReadOptions
        from avatar.pipeline.animation import parse_size
        from avatar.pipeline.motions import keypoints_of

        assert self.keypoints is not None
        size = None if self.source_size is None else parse_size(self.source_size, "--source-size")
        return keypoints_of(self.keypoints, ReadOptions(fps=self.source_fps, layout=self.layout, size=size), video)


@option_group
@dataclass(frozen=True)
class PriorOptions(TrackOptions):
    """What you know of the person and the camera."""


def track_video(
    video: Annotated[
        Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="VIDEO", help_behavior_hint="(optional)")
    ] = None,
    /,
    out: Path | None = None,
    body: str = "open",
    person: str | None = None,
    start: float | None = None,
    end: float | None = None,
    init: Path | None = None,
    detector: str = "auto",
    depth: str | None = None,
    depth_scale: float | None = None,
    show_shape: Switch = False,
    points: Annotated[KeypointOptions, tyro.conf.arg(name="key point")] = KeypointOptions(),
    priors: Annotated[PriorOptions, tyro.conf.arg(name="person and camera")] = PriorOptions(),
) -> None:
    """Estimate the motion of the person in VIDEO: a body with its shape and its pose in every frame.

    Args:
        video: the video. With --keypoints it may be left out; it then only gives the times of the
            frames and their size.
        out: folder for the track and the observations; by default tracks/NAME OF THE VIDEO.
        body: "open", or the path of a body file in SMPL's format.
        person: which person, if there are several; 1 is the largest and most persistent, unless the key points come
            with names of their own.
        start: beginning of the part of the video that is used, seconds.
        end: end of that part, seconds; without it the end of the video.
        init: a track or a result of another body fitter for the same frames (GVHMR, WHAM, 4D-Humans, TRAM, PromptHMR,
            any SMPL npz) to start from instead of the detector's own 3D estimate.
        detector: landmark detector: mediapipe (ships with the program), auto (mediapipe, with hands and face refined
            where their models are installed), or onnx:FILE for an RTMPose, RTMW or DWPose model; see
            docs/manual/detectors.md.
        depth: depth images of a depth camera for each frame of the video, registered to it: a folder of 16-bit PNGs, an
            .npy or .npz array, or a 16-bit video (FFV1); see docs/manual/create.md.
        depth_scale: metres per unit of these images; by default whole numbers are millimetres, others metres.
        show_shape: print the whole estimated shape of the body, not only the height.
    """
    source = points.keypoints or video
    if source is None:
        raise UsageError("Pass a VIDEO, or the key points of one with --keypoints.")
    from avatar.body import load_body
    from avatar.io.track_file import save_track
    from avatar.motion import load_motion
    from avatar.observation.keypoints import observe_keypoints
    from avatar.observation.options import ObserveOptions
    from avatar.pipeline.camera import camera_motion
    from avatar.pipeline.starting_motion import starting_motion
    from avatar.pipeline.video_fit import fit_video

    initial = None if init is None else load_motion(init).track
    model = load_body(body)
    _check_priors(priors, model)
    out = out or Path("tracks") / (video or source).stem
    if points.keypoints is None:
        part = ObserveOptions(_number(person), start, end, detector=detector, depth=depth, depth_scale=depth_scale)
        observations = _observed(source, out / "observations", part, priors)
    elif (start, end, depth, depth_scale) == (None, None, None, None):
        observations = observe_keypoints(points.read(video), person)
    else:
        raise UsageError("--start, --end and --depth go with a video, not with --keypoints: leave them out.")
    if init is not None and video is not None:
        initial = starting_motion(init, observations, video, start, end)
    motion = camera_motion(observations, priors)
    print(motion.sentence())
    result, report = fit_video(observations, model, priors, motion, initial)
    save_track(result, out / "track.npz")
    for warning in (*observations.notes, *motion.notes, *report.warnings):
        print(f"warning: {warning}")
    if model.name == "open":
        print(f"shape: {_shape(model, result, report, observations, priors, show_shape)}")
    print(f"track: {out / 'track.npz'}")
    print(f"next:  avatar animate RUN --motion {quote(str(out / 'track.npz'))}")


def _check_priors(priors: TrackOptions, body: Body) -> None:
    """Refuse wrong knowledge of the person and the camera before any work."""
    from avatar.pipeline.dense import check_iuv
    from avatar.tracking.prior_knowledge import resolve_shape

    check_camera(priors.camera)
    check_iuv(priors, body)
    resolve_shape(body, priors)


def _observed(video: Path, folder: Path, options: ObserveOptions, priors: TrackOptions) -> Observations:
    """The observations of every frame of a video."""
    from avatar.io.recordings import check_depth_files
    from avatar.observation.detectors.registry import choose_detector
    from avatar.observation.options import check_depth_scale
    from avatar.observation.video import observe
    from avatar.pipeline.camera import camera_file, depth_files

    check_depth_scale(options)
    depth = depth_files(options, priors)
    check_depth_files(video, depth, camera_file(priors))
    detector, sentence = choose_detector(options.detector)
    print(sentence)
    return observe(
        video, folder, person=options.person, start=options.start, end=options.end, detector=detector, depth=depth
    )


def _shape(
    body: Body, result: BodyTrack, report: TrackReport, observations: Observations, priors: TrackOptions, whole: bool
) -> str:
    """The estimated shape in words, or its height alone."""
    from avatar.body.shape_attributes import format_shape, parse_shape
    from avatar.tracking.prior_knowledge import resolve_shape
    from avatar.tracking.report import is_height_measured, shape_in_words

    height_given = resolve_shape(body, priors)[0] is not None
    measured = is_height_measured(observations, report.warnings)
    attributes = shape_in_words(result.betas, parse_shape(priors.shape), height_given, measured)
    return format_shape(attributes if whole else {"height": attributes["height"]})


def _number(person: str | None) -> int | None:
    """The number of a person in a video.

    Raises:
        UsageError: it is no number.
    """
    if person is None or person.isdigit():
        return None if person is None else int(person)
    raise UsageError(f"--person is a number, such as 1 for the largest person, not {person!r}.")
