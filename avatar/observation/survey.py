"""The first look at a video: which shot is used, and everybody in its candidate frames."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from avatar.io.images import write_image
from avatar.io.observations_file import frame_path, image_path
from avatar.io.video_layout import video_layout, without_bars
from avatar.io.videos import Video
from avatar.landmark_layouts import LAYOUTS
from avatar.observation.appearance import appearance
from avatar.observation.contact import CloserLook, others_in
from avatar.observation.identities import untangled
from avatar.observation.keyframes import CANDIDATES, evenly_in_time, sharpest_per_segment, sharpness
from avatar.observation.person_tracks import PersonTracker
from avatar.runtime.progress import Progress
from avatar.runtime.thread_map import map_in_threads
from avatar.types import Detection, LandmarkDetector

Thinning = Literal["telling", "even"]
MOST_PEOPLE = 6  # in one image
NAMED_CUTS = 5  # times in the note on cuts


@dataclass(frozen=True)
class Survey:
    """Everybody in the candidate frames of a video.

    Attributes:
        source: the video as it was read: one shot, without black bars.
        people: who is where; times: of the candidate frames, seconds.
        frames: how many candidate frames count; thinned: whether the video has more frames than those.
        notes: what the user should know, one sentence each.
        shot: which shot of those in `people` counts.
    """

    source: Video
    people: PersonTracker
    times: list[float]
    frames: int
    thinned: bool
    notes: list[str]
    shot: int = 0


def survey_video(
    source: Video,
    detector: LandmarkDetector,
    work: Path,
    max_frames: int,
    thinning: Thinning,
    everybody: bool = False,
) -> Survey:
    """Detect everyone in the candidate frames, storing frames and coarse masks under `work` as it goes.

    Of a video with cuts only the shot that shows most of one person counts. Black bars are cut away.

    Args:
        everybody: look for those too whom the detector finds only when the others are painted over.
    """
    layout = video_layout(source)
    source = without_bars(source, layout)
    look = _Look(detector, work, everybody)
    whole = _survey(source, look, max_frames, thinning, layout.cuts)
    if not layout.cuts:
        return whole
    shot = whole.people.best_shot
    begin, end = list(itertools.pairwise([0.0, *layout.cuts, None]))[shot]
    assert begin is not None
    note = _note_on_cuts(source, layout.cuts, begin, end)
    if not whole.thinned:
        times = [time for time in whole.times if whole.people.shot_at(time) == shot]
        return replace(whole, shot=shot, frames=len(times), notes=[*whole.notes, note])
    # The shot deserves all the candidate frames.
    shutil.rmtree(work)
    alone = _survey(source.part(begin, end), look, max_frames, thinning, ())
    return replace(alone, notes=[*whole.notes, note])


def _note_on_cuts(source: Video, cuts: Sequence[float], begin: float, end: float | None) -> str:
    """Which shot is used and why, with times in the file."""
    named = ", ".join(f"{source.start + cut:.1f}" for cut in cuts[:NAMED_CUTS])
    more = ", …" if len(cuts) > NAMED_CUTS else ""
    first, last = f"{source.start + begin:.1f} s", "its end" if end is None else f"{source.start + end:.1f} s"
    return (
        f"The video is cut at {named}{more} s: only the part from {first} to {last} is used, which shows most of one "
        "person; --start and --end choose another part."
    )


@dataclass(frozen=True)
class _Frame:
    """A candidate frame: its index and time in seconds, and who was detected in it."""

    index: int
    time: float
    image: UInt8[np.ndarray, "h w 3"]
    detections: list[Detection]


class _Look:
    """Detects people in single frames, and stores what it finds under `work`."""

    def __init__(self, detector: LandmarkDetector, work: Path, everybody: bool) -> None:
        self.detector, self.work, self.everybody = detector, work, everybody
        self.closer, self.layout = CloserLook(detector), LAYOUTS[detector.layout]

    def detect(self, item: tuple[int, float, UInt8[np.ndarray, "h w 3"]]) -> _Frame:
        """Everybody in one frame, as the detector sees them."""
        index, time, image = item
        detections = self.detector.detect(image)
        if self.everybody:
            detections += others_in(image, detections, self.detector, MOST_PEOPLE)
        if detections:
            write_image(frame_path(self.work, index), image)
        return _Frame(index, time, image, detections)

    def follow(self, people: PersonTracker, frame: _Frame) -> None:
        """Add one frame's people to their tracks, those in contact or missed found anew."""
        expected = people.expected(frame.index, frame.time)
        detections = self.closer.resolve(frame.image, frame.detections, expected)
        if detections and not frame.detections:
            write_image(frame_path(self.work, frame.index), frame.image)
        sharp = [sharpness(frame.image, detection.mask) for detection in detections]
        looks = [appearance(frame.image, detection, self.layout) for detection in detections]
        first = people.count
        people.add(frame.index, frame.time, detections, sharp, looks)
        for number, detection in enumerate(detections, first):
            write_image(image_path(self.work / "people", number), detection.mask)


def _survey(source: Video, look: _Look, max_frames: int, thinning: Thinning, cuts: Sequence[float]) -> Survey:
    most = CANDIDATES * max_frames
    thinned = (source.expected_frames or most + 1) > most
    candidates, decoded = _candidates(source, most, thinning) if thinned else (None, 0)
    times: list[float] = []
    people = PersonTracker(cuts)

    def candidate_frames() -> Iterator[tuple[int, float, UInt8[np.ndarray, "h w 3"]]]:
        for time, image in itertools.islice(source.frames(candidates), most):
            times.append(time)
            yield len(times) - 1, time, image

    total = source.expected_frames if candidates is None else len(candidates)
    with Progress("finding the person", total) as bar:
        for frame in map_in_threads(look.detect, candidate_frames()):
            look.follow(people, frame)
            bar.step()
    people.tracks = untangled(people.tracks, times)
    damage = source.damage(decoded or len(times))
    notes = [*source.notes, *([damage] if damage else [])]
    return Survey(source, people, times, len(times), thinned, notes)


def _candidates(source: Video, most: int, thinning: Thinning) -> tuple[set[int], int]:
    """Indices of `most` frames of a long clip: evenly in time, or the sharpest frame of each stretch; and how many
    frames it has."""
    with Progress("looking for sharp frames", source.expected_frames) as bar:
        sharp, times = [], []
        for time, image in source.frames():
            sharp.append(0.0 if thinning == "even" else sharpness(image))
            times.append(time)
            bar.step()
    if thinning == "even":
        return set(evenly_in_time(np.array(times), most).tolist()), len(times)
    return set(sharpest_per_segment(np.array(sharp), most).tolist()), len(times)
