"""Motions of several people in one world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from avatar.errors import UsageError
from avatar.motion.motion import Motion
from avatar.motion.retarget import Retargeting, at_times, retarget
from avatar.pipeline.finished_run import FinishedRun
from avatar.pipeline.motions import FILMED, FOR_PAGES, FPS, motion_title, motion_track
from avatar.types import BodyTrack

APART = 1.1  # metres between people whose motions know nothing of each other


def filmed_together(people: Sequence[FinishedRun], fps: float = FPS) -> list[BodyTrack]:
    """How everybody moved in the video, at common times from zero; who comes later or leaves stands still meanwhile.

    Raises:
        UsageError: a run has no track. AvatarError: a file is broken.
    """
    tracks = [person.track for person in people]
    start, end = min(float(one.times[0]) for one in tracks), max(float(one.times[-1]) for one in tracks)
    times = start + torch.arange(int((end - start) * fps + 1e-4) + 1, dtype=torch.float64) / fps
    sampled = []
    for track in tracks:
        poses, confidence = at_times(track, times)
        instant = torch.arange(len(times))
        even = replace(track, poses=poses, times=(times - start).float(), confidence=confidence, instant=instant)
        sampled.append(replace(even, cameras=None))
    return sampled


def side_by_side(tracks: Sequence[BodyTrack]) -> list[BodyTrack]:
    """Each motion moved sideways, so that everybody has a place of their own, the first on the left in the image."""
    middle = (len(tracks) - 1) / 2
    return [_shifted(track, APART * (place - middle)) for place, track in enumerate(tracks)]


def _shifted(track: BodyTrack, x: float) -> BodyTrack:
    roots = track.poses.root_position + torch.tensor([x, 0.0, 0.0])
    return replace(track, poses=replace(track.poses, root_position=roots))


def motions_together(people: Sequence[FinishedRun], names: Sequence[str] = ()) -> dict[str, list[BodyTrack]]:
    """Motions by the titles of a page, one track per person.

    Args:
        names: "filmed", built-in ones or files; none: those that a page has by default.

    Raises:
        UsageError: there is no such motion or file. AvatarError: a file is broken.
    """
    return {motion_title(name): _together(people, name) for name in names or (FILMED, *FOR_PAGES)}


def animated_together(people: Sequence[FinishedRun], motions: Sequence[Motion], how: Retargeting) -> list[BodyTrack]:
    """A motion for each person, or one for all, as `retarget` fits them.

    People stand side by side; with `facing` "keep" they are where the files put them, for motions of one scene.

    Raises:
        UsageError: there are neither one nor as many motions as people.
    """
    if len(motions) not in (1, len(people)):
        raise UsageError(f"{len(motions)} motions for {len(people)} people: give one for each, or one for all.")
    every = motions if len(motions) > 1 else [motions[0]] * len(people)
    tracks = [retarget(motion, person.avatar.rest, how) for motion, person in zip(every, people, strict=True)]
    return tracks if how.facing == "keep" or len(people) == 1 else side_by_side(tracks)


def _together(people: Sequence[FinishedRun], name: str) -> list[BodyTrack]:
    if name == FILMED:
        return filmed_together(people)
    return side_by_side([motion_track(person.run, person.avatar, name) for person in people])
