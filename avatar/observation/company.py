"""Other people close to the person: where they overlap, and where one track ends and another goes on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool

from avatar.observation.contact import box_overlap, landmark_distance
from avatar.observation.detectors.flip_test import SAME_PERSON, person_size
from avatar.observation.person_tracks import FARTHEST, SAME_TIME, PersonTrack

LEAST_OVERLAP = 0.03  # of two people's boxes, as a share of the person's
LEAST_OVERLAPPED = 0.03  # share of the frames from which it is reported
LEAST_COMPANY = 3  # frames in which somebody must be in view to count
MARGIN = 0.05  # of a box, as a share of its size: who vanishes this near to the person went behind or before them
RESUMED = 3.0  # seconds within which a lost person can come back under another name


def notes_on_company(person: PersonTrack, everyone: Sequence[PersonTrack], times: Sequence[float]) -> list[str]:
    """Sentences for the user on other people who were close, and on a track that broke off.

    Args:
        everyone: all tracks, `person` too; times: of the frames that their indices name, seconds.
    """
    others = [
        track for track in everyone
        if track is not person and track.shot == person.shot and len(track.frames) >= LEAST_COMPANY
    ]  # fmt: skip
    notes = []
    overlapped = overlaps(person, others, times)
    if overlapped.sum() >= max(2, LEAST_OVERLAPPED * len(overlapped)):
        first, last = np.array([times[frame] for frame in person.frames])[overlapped][[0, -1]]
        notes.append(
            f"Somebody else is before, behind or very near the person in {overlapped.mean():.0%} of the frames, from "
            f"{first:.1f} s to {last:.1f} s: these pixels are left out. If overlay.mp4 shows parts of both, choose "
            "another part with --start and --end, or film alone."
        )
    for track in others:
        if _goes_on(person, track, times) or _goes_on(track, person, times):
            earlier, later = sorted((person, track), key=lambda one: one.frames[0])
            notes.append(
                f"The person may have been lost: one track ends at {times[earlier.frames[-1]]:.1f} s, and another "
                f"goes on near by at {times[later.frames[0]]:.1f} s. Only the longer one is used; "
                "film alone, with nothing before the person, to use both."
            )
            break
    return notes


def overlaps(person: PersonTrack, others: Sequence[PersonTrack], times: Sequence[float]) -> Bool[np.ndarray, " frames"]:
    """For each frame of a person whether somebody else's box overlaps theirs, vanished beside it or comes out of it.

    Of two people who embrace or hide each other a detector finds one, so one who vanishes near by counts as there
    until they are found again, or for `RESUMED` seconds if they never are; and one who comes out near by was there
    for as long before.
    """
    overlapped = np.zeros(len(person.frames), bool)
    for other in others:
        place = {frame: index for index, frame in enumerate(other.frames)}
        if found_twice(person, other):
            continue
        for index, frame in enumerate(person.frames):
            if frame in place:
                theirs = other.keypoints[place[frame]]
                overlapped[index] |= box_overlap(person.keypoints[index], theirs) >= LEAST_OVERLAP
        begin = [None] if len(other.frames) >= LEAST_COMPANY else []  # a passing mistake of the detector hides nobody
        for before, after in pairwise([*begin, *other.frames, None]):
            gone = [
                index for index, frame in enumerate(person.frames)
                if (before is None or frame > before) and (after is None or frame < after)
            ]  # fmt: skip
            # Where they were last, or for who was hidden from the start, where they came out.
            near, seen = (gone[-1:], after) if before is None else (gone[:1], before)
            if (
                not near
                or seen is None
                or box_overlap(person.keypoints[near[0]], other.keypoints[place[seen]], MARGIN) <= 0
            ):
                continue
            longest = RESUMED + SAME_TIME if before is None or after is None else np.inf
            overlapped[[i for i in gone if abs(times[person.frames[i]] - times[seen]) < longest]] = True
    return overlapped


def found_twice(person: PersonTrack, other: PersonTrack) -> bool:
    """Whether two tracks are one person, whom the detector reports twice."""
    place = {frame: index for index, frame in enumerate(other.frames)}
    apart = [
        landmark_distance(keypoints, other.keypoints[place[frame]])
        for frame, keypoints in zip(person.frames, person.keypoints, strict=True)
        if frame in place
    ]
    return bool(apart) and bool(np.median(apart) < SAME_PERSON)


def _goes_on(first: PersonTrack, second: PersonTrack, times: Sequence[float]) -> bool:
    """Whether the second track begins soon after the end of the first, and near it."""
    pause = times[second.frames[0]] - times[first.frames[-1]]
    steps = np.linalg.norm((second.keypoints[0] - first.keypoints[-1])[:, :2], axis=1)
    return 0 < pause <= RESUMED and bool(np.nanmean(steps) < FARTHEST * person_size(first.keypoints[-1]))
