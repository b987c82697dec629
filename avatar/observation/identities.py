"""Who is who after people were close to each other: their looks before and after decide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Bool

from avatar.observation.appearance import Appearance, difference, mean_appearance
from avatar.observation.company import RESUMED, found_twice, overlaps
from avatar.observation.contact import landmark_distance
from avatar.observation.person_tracks import FARTHEST, PersonTrack

CERTAIN = 0.08  # by how much another identity must fit the looks better, in Hellinger distances
ALIKE = 0.3  # how much one person's looks may differ before and after a gap
LEAST_LOOKS = 3  # frames apart from others that tell how somebody looks
LEAST_FRAMES = 3  # a shorter track is a mistake of the detector


def untangled(tracks: Sequence[PersonTrack], times: Sequence[float]) -> list[PersonTrack]:
    """The tracks with identities that were exchanged while people were close put right.

    Tracks that go on as another one are joined, frames that show somebody else are left out, and of a person whom the
    detector reports twice the longer track stays.

    Args:
        times: of the frames that the tracks' indices name, seconds.
    """
    people = [track for track in tracks if track.looks]
    without_images = [track for track in tracks if not track.looks]
    people = _joined(_once([track for track in people if len(track.frames) >= LEAST_FRAMES] or people))
    for a, b in combinations(range(len(people)), 2):
        if people[a].shot == people[b].shot:
            people[a], people[b] = _exchanged_back(people[a], people[b], times)
    return [*_without_others(_joined(people), times), *without_images]


def _once(tracks: list[PersonTrack]) -> list[PersonTrack]:
    """Without tracks of a person whom a longer one shows too."""
    kept: list[PersonTrack] = []
    for track in sorted(tracks, key=lambda one: -len(one.frames)):
        if not any(track.shot == other.shot and found_twice(other, track) for other in kept):
            kept.append(track)
    return sorted(kept, key=tracks.index)


def _joined(tracks: list[PersonTrack]) -> list[PersonTrack]:
    """Tracks that go on as another one, near by and with the same looks, in one."""
    people = sorted(tracks, key=lambda track: track.frames[0])
    index = 0
    while index < len(people):
        first = people[index]
        later = [
            (difference(_looks(first), _looks(second)), place)
            for place, second in enumerate(people)
            if second is not first and _may_go_on(first, second)
        ]
        unlike, place = min((one for one in later if np.isfinite(one[0])), default=(1.0, 0))
        if unlike < ALIKE:
            people[index] = _concatenated(first, people[place])
            del people[place]
        else:
            index += 1
    return people


def _may_go_on(first: PersonTrack, second: PersonTrack) -> bool:
    pause = second.times[0] - first.times[-1]
    near = landmark_distance(second.keypoints[0], first.keypoints[-1]) < FARTHEST
    return first.shot == second.shot and second.frames[0] > first.frames[-1] and pause <= RESUMED and near


def _exchanged_back(a: PersonTrack, b: PersonTrack, times: Sequence[float]) -> tuple[PersonTrack, PersonTrack]:
    """Two tracks, the later parts exchanged at each contact after which they look like each other."""
    for begin, end in _contacts(a, b, times):
        old_a, old_b = (_looks_of(track, times, (a, b), before=begin) for track in (a, b))
        new_a, new_b = (_looks_of(track, times, (a, b), after=end) for track in (a, b))
        same, crossed = _total((old_a, new_a), (old_b, new_b)), _total((old_a, new_b), (old_b, new_a))
        if np.isfinite(same) and np.isfinite(crossed) and crossed < same - CERTAIN:
            cut = (begin + end) // 2
            (early_a, late_a), (early_b, late_b) = _split(a, cut), _split(b, cut)
            a, b = _concatenated(early_a, late_b), _concatenated(early_b, late_a)
    return a, b


def _total(*pairs: tuple[Appearance | None, Appearance | None]) -> float:
    """Mean difference over the pairs of which both are known; NaN without any."""
    values = [difference(first, second) for first, second in pairs if first is not None and second is not None]
    values = [value for value in values if np.isfinite(value)]
    return float(np.mean(values)) if values else float("nan")


def _contacts(a: PersonTrack, b: PersonTrack, times: Sequence[float]) -> list[tuple[int, int]]:
    """First and last frames of the stretches in which two people are close."""
    close = sorted(
        {
            frame
            for track, other in ((a, b), (b, a))
            for frame, near in zip(track.frames, overlaps(track, [other], times), strict=True)
            if near
        }
    )
    stretches: list[tuple[int, int]] = []
    for frame in close:
        if stretches and not _apart_between(a, b, stretches[-1][1], frame):
            stretches[-1] = (stretches[-1][0], frame)
        else:
            stretches.append((frame, frame))
    return stretches


def _apart_between(a: PersonTrack, b: PersonTrack, last: int, frame: int) -> bool:
    """Whether both show for some frames between two frames of contact, which are then two contacts."""
    return all(sum(last < one < frame for one in track.frames) >= LEAST_LOOKS for track in (a, b))


def _looks_of(
    track: PersonTrack,
    times: Sequence[float],
    pair: Iterable[PersonTrack],
    before: int | None = None,
    after: int | None = None,
) -> Appearance | None:
    """How somebody looks in the frames before or after a contact; None where too few show it."""
    others = [other for other in pair if other is not track]
    alone = ~overlaps(track, others, times)
    chosen = [
        looks
        for frame, looks, clear in zip(track.frames, track.looks, alone, strict=True)
        if clear and (before is None or frame < before) and (after is None or frame > after)
    ]
    return mean_appearance(chosen) if len(chosen) >= LEAST_LOOKS else None


def _without_others(tracks: list[PersonTrack], times: Sequence[float]) -> list[PersonTrack]:
    """The tracks without frames of contact that look like somebody else."""
    usual = [_looks(track) for track in tracks]
    result = []
    for who, track in enumerate(tracks):
        others = [other for other in range(len(tracks)) if other != who and tracks[other].shot == track.shot]
        close = overlaps(track, [tracks[other] for other in others], times)
        right = [
            not (near and any(_is_like(looks, usual[other], rather_than=usual[who]) for other in others))
            for near, looks in zip(close, track.looks, strict=True)
        ]
        result.append(_chosen(track, np.array(right)) if any(right) else track)
    return result


def _is_like(looks: Appearance, one: Appearance, rather_than: Appearance) -> bool:
    return difference(looks, one) < difference(looks, rather_than) - CERTAIN  # False where one of them is unknown


def _looks(track: PersonTrack) -> Appearance:
    return mean_appearance(track.looks)


def _chosen(track: PersonTrack, which: Bool[np.ndarray, " frames"]) -> PersonTrack:
    return track.part(np.flatnonzero(which).tolist())


def _split(track: PersonTrack, frame: int) -> tuple[PersonTrack, PersonTrack]:
    """The frames up to one, and those after it."""
    early = np.array(track.frames) <= frame
    return _chosen(track, early), _chosen(track, ~early)


def _concatenated(first: PersonTrack, second: PersonTrack) -> PersonTrack:
    names = ("frames", "keypoints", "keypoints_3d", "sharpness", "times", "numbers", "looks")
    return PersonTrack(first.shot, *(getattr(first, name) + getattr(second, name) for name in names))
