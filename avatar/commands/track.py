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
        init: a track or a result of another body fitter for the same frames (GVHMR, WHAM, 4D-Humans, TRAM, PromptHMR,
            any SMPL npz) to start from instead of the detector's own 3D guess.
        detector: what finds the landmarks: mediapipe, the model that ships; auto, the same with hands and face refined
            where their bundles are there; or onnx:FILE, an RTMPose, RTMW or DWPose model of yours (docs/tracking.md).
    """
    from avatar.body import load_body
    from avatar.observe.choose import choose_detector
    from avatar.observe.observe import observe
    from avatar.track import TrackOptions, save_track
    from avatar.track import track as fit

    start = None
    if init is not None:
        from avatar.motion.read import load_motion

        start = load_motion(init).track
    out = out or Path("tracks") / video.stem
    chosen, sentence = choose_detector(detector)
    print(sentence)
    observations = observe(video, out / "observations", detector=chosen)
    result, report = fit(observations, load_body(body), TrackOptions(focal, height, start))
    save_track(result, out / "track.npz")
    for warning in report.warnings:
        print(f"warning: {warning}")
    print(f"The track is in {out / 'track.npz'}; give it to `avatar create {video} --track` or view it.")
