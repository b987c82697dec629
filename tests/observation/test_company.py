"""Other people near the person are reported: tracks whose landmarks are known."""

import numpy as np

from avatar.observation.company import notes_on_company, overlaps
from avatar.observation.person_tracks import PersonTrack

TIMES = (np.arange(60) / 10).tolist()
BODY = np.stack([np.linspace(-40, 40, 33), np.linspace(-150, 150, 33) * (-1) ** np.arange(33), np.ones(33)], 1)


def walker(frames: range, x: float, speed: float = 0.0, shot: int = 0) -> PersonTrack:
    """Somebody at x pixels at the first instant, who moves by `speed` pixels per frame."""
    track = PersonTrack(shot)
    for frame in frames:
        track.frames.append(frame)
        track.keypoints.append((BODY + [x + speed * frame, 300, 0]).astype(np.float32))
    return track


def test_people_who_stand_apart_are_no_matter() -> None:
    person, other = walker(range(60), 200), walker(range(60), 400)
    assert notes_on_company(person, [person, other], TIMES) == []
    elsewhere = walker(range(60), 200 + 50, shot=1)
    assert notes_on_company(person, [person, elsewhere], TIMES) == []


def test_one_who_walks_past_is_reported_with_the_times() -> None:
    person, other = walker(range(60), 300), walker(range(60), 100, speed=8)
    overlapped = overlaps(person, [other], TIMES)
    assert 10 < overlapped.sum() < 30 and not overlapped[:14].any() and not overlapped[37:].any()
    (note,) = notes_on_company(person, [person, other], TIMES)
    assert "Somebody else is before, behind or very near the person" in note and "from 1.6 s to 3.4 s" in note


def test_one_who_vanishes_beside_the_person_counts_until_found_again() -> None:
    """The detector finds only one of two people who hide each other."""
    person, other = walker(range(60), 300), walker(range(60), 100, speed=8)
    visible = [index for index in range(60) if not 15 <= index < 36]
    hidden = PersonTrack(0, [other.frames[i] for i in visible], [other.keypoints[i] for i in visible])
    assert overlaps(person, [hidden], TIMES).sum() >= 20
    gone = PersonTrack(0, other.frames[:15], other.keypoints[:15])
    assert overlaps(person, [gone], TIMES).sum() == 30, "three seconds"


def test_one_who_comes_out_beside_the_person_was_there_before() -> None:
    """Two people embrace when the clip begins, and then one walks away."""
    person, other = walker(range(60), 300), walker(range(45, 60), 300 - 45 * 8 + 40, speed=8)
    hidden = overlaps(person, [other], TIMES)
    assert hidden[15:48].all() and not hidden[:15].any(), "three seconds before"
    (note,) = notes_on_company(person, [person, other], TIMES)
    assert "Somebody else is before, behind or very near the person" in note and "from 1.5 s" in note
    enters = walker(range(45, 60), 600 - 45 * 8, speed=8)
    assert not overlaps(person, [enters], TIMES).any(), "walks in elsewhere"


def test_one_found_twice_is_one() -> None:
    person = walker(range(60), 300)
    twin = walker(range(0, 60, 3), 302)
    assert notes_on_company(person, [person, twin], TIMES) == []


def test_a_track_that_another_one_goes_on_is_reported() -> None:
    person, rest = walker(range(40), 300), walker(range(45, 60), 420)
    (note,) = notes_on_company(person, [person, rest], TIMES)
    assert "one track ends at 3.9 s, and another goes on near by at 4.5 s" in note
    far = walker(range(45, 60), 1500)
    assert notes_on_company(person, [person, far], TIMES) == []
