"""`avatar track`: a video in, the motion of the body out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro


def track(
    video: Annotated[Path, tyro.conf.Positional],
    /,
    out: Path | None = None,
    body: str = "open",
    focal: float | None = None,
    height: float | None = None,
    shape: str | None = None,
    person: int | None = None,
    init: Path | None = None,
    detector: str = "auto",
) -> None:
    """Find how the person in VIDEO moves: a body with its shape and its pose in every frame.

    Args:
        video: the video; one fixed camera.
        out: folder for the track and the observations; by default the video's name under `tracks/`.
        body: "open", or the path of a body file in SMPL's format.
        focal: focal length in pixels, if you know it.
        height: the person's height in metres; without it every length is known only up to scale.
        shape: what else you know of the person, in words: height=1.82,weight=0.6; the body keeps to it. The words are
            height (metres, as --height), age (years), weight, gender (0 male to 1 female), muscle and proportions
            (0 to 1). Bodies of SMPL files have no words.
        person: which person, if there are several: 1 is the largest and most persistent.
        init: a track or a result of another body fitter for the same frames (GVHMR, WHAM, 4D-Humans, TRAM, PromptHMR,
            any SMPL npz) to start from instead of the detector's own 3D guess.
        detector: what finds the landmarks: mediapipe, the model that ships; auto, the same with hands and face refined
            where their bundles are there; or onnx:FILE, an RTMPose, RTMW or DWPose model of yours (docs/tracking.md).
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
        print(f"The shape: {format_shape(load_shape_attributes().describe(result.betas, known_height is not None))}.")
    place = out / "track.npz"
    print(f"The track is in {place}; drive an avatar with it: avatar animate RUN --motion {place}")
