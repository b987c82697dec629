"""`avatar track`: a video in, the motion of the body out."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import tyro

from avatar.cli.options import Switch


def track_video(
    video: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="VIDEO")],
    /,
    out: Path | None = None,
    body: str = "open",
    focal: float | None = None,
    height: float | None = None,
    shape: str | None = None,
    person: int | None = None,
    init: Path | None = None,
    detector: str = "auto",
    show_shape: Switch = False,
) -> None:
    """Estimate the motion of the person in VIDEO: a body with its shape and its pose in every frame.

    Args:
        video: the video; one fixed camera.
        out: folder for the track and the observations; by default tracks/NAME OF THE VIDEO.
        body: "open", or the path of a body file in SMPL's format.
        focal: focal length of the camera in pixels.
        height: height of the person in metres; without it every length is known only up to a scale.
        shape: shape of the person in words, such as height=1.82,weight=0.6; the body keeps to it. The words are height
            (metres, the same as --height), age (years), weight, gender (0 male to 1 female), muscle and proportions
            (0 to 1). Not available for SMPL files.
        person: which person, if there are several; 1 is the largest and most persistent.
        init: a track or a result of another body fitter for the same frames (GVHMR, WHAM, 4D-Humans, TRAM, PromptHMR,
            any SMPL npz) to start from instead of the detector's own 3D estimate.
        detector: landmark detector: mediapipe (ships with the program), auto (mediapipe, with hands and face refined
            where their models are installed), or onnx:FILE for an RTMPose, RTMW or DWPose model; see
            docs/manual/detectors.md.
        show_shape: print the whole estimated shape of the body, not only the height.
    """
    from avatar.body import load_body
    from avatar.body.shape_attributes import format_shape, load_shape_attributes
    from avatar.io.track_file import save_track
    from avatar.observation.detectors.registry import choose_detector
    from avatar.observation.video import observe
    from avatar.tracking.fit import resolve_shape
    from avatar.tracking.fit import track as fit
    from avatar.tracking.options import TrackOptions

    start = None
    if init is not None:
        from avatar.motion import load_motion

        start = load_motion(init).track
    model, options = load_body(body), TrackOptions(height, shape, focal)
    known_height, _ = resolve_shape(model, options)
    out = out or Path("tracks") / video.stem
    chosen, sentence = choose_detector(detector)
    print(sentence)
    observations = observe(video, out / "observations", person=person, detector=chosen)
    result, report = fit(observations, model, options, start)
    save_track(result, out / "track.npz")
    for warning in (*observations.notes, *report.warnings):
        print(f"warning: {warning}")
    if model.name == "open":
        attributes = load_shape_attributes().describe(result.betas, known_height is not None)
        print(f"shape: {format_shape(attributes if show_shape else {'height': attributes['height']})}")
    place = out / "track.npz"
    print(f"track: {place}")
    print(f"next:  avatar animate RUN --motion {quote(str(place))}")
