"""People who hide each other stay apart: made-up figures, and a detector that takes those who touch for one."""

from pathlib import Path

import numpy as np

from avatar.io.images import read_mask
from avatar.observation.appearance import appearance, difference, mean_appearance
from avatar.observation.contact import CloserLook, Expected, others_in
from avatar.observation.identities import untangled
from avatar.observation.person_tracks import PersonTrack
from avatar.observation.video import observe
from avatar.types import Detection
from tests.observation.crowd import BLUE, GREEN, LAYOUT, RED, TALL, WIDE, Crowd, Figure, image_of, write_crowd


def looks_of(figure: Figure) -> np.ndarray:
    image = image_of(figure)
    return appearance(image, Crowd().detect(image)[0], LAYOUT)


def expected(figure: Figure) -> Expected:
    return Expected(Crowd().detect(image_of(figure))[0].keypoints, looks_of(figure))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_looks_tell_people_apart_and_not_poses() -> None:
    red, green = looks_of(Figure(60, RED, BLUE)), looks_of(Figure(60, GREEN, BLUE))
    assert difference(red, looks_of(Figure(150, RED, BLUE))) < 0.05
    assert 0.4 < difference(red, green) < 0.7, "the trousers are the same"
    assert np.isnan(difference(red, np.full_like(red, np.nan)))
    assert difference(mean_appearance([red, np.full_like(red, np.nan)]), red) < 1e-3


def test_people_who_touch_are_found_one_by_one() -> None:
    back, front = Figure(100, RED, BLUE), Figure(124, GREEN, RED)
    image, detector = image_of(back, front), Crowd()
    (both,) = detector.detect(image)
    assert iou(both.mask > 0, back.truth() | front.truth()) > 0.99
    look = CloserLook(detector)
    people = look.resolve(image, [both], [expected(back), expected(front)])
    assert len(people) == 2
    visible = back.truth() & ~front.truth()
    assert iou(people[0].mask > 127, visible) > 0.6 and iou(people[1].mask > 127, front.truth()) > 0.6
    assert abs(people[1].keypoints[:, 0].mean() - 124) < 8


def test_people_apart_are_not_asked_for_again() -> None:
    figures = [Figure(60, RED, BLUE), Figure(160, GREEN, RED)]
    image, detector = image_of(*figures), Crowd()
    found = detector.detect(image)
    detector.calls = 0
    assert CloserLook(detector).resolve(image, found, [expected(figure) for figure in figures]) is found
    assert detector.calls == 0


def test_who_shows_only_without_the_others_is_found() -> None:
    class OneAtATime(Crowd):
        def detect(self, image: np.ndarray) -> list[Detection]:
            return super().detect(image)[:1]

    figures, detector = [Figure(60, RED, BLUE), Figure(160, GREEN, RED)], OneAtATime()
    image = image_of(*figures)
    first = detector.detect(image)
    (other,) = others_in(image, first, detector, most=4)
    assert iou(other.mask > 127, figures[1].truth()) > 0.95
    assert others_in(image, first, detector, most=1) == []


def passing(frames: int = 40) -> list[list[Figure]]:
    """Somebody in green walks past somebody in red, before them."""
    return [[Figure(120, RED, BLUE), Figure(30 + 180 * index / (frames - 1), GREEN, RED)] for index in range(frames)]


def test_one_who_is_passed_keeps_to_their_own_pixels(tmp_path: Path) -> None:
    frames = passing()
    observations = observe(write_crowd(tmp_path / "a.mp4", frames), tmp_path / "out", detector=Crowd())
    middle = observations.keypoints[..., 0].mean(1).numpy()
    red = np.abs(middle - 120).max() < 12
    times = np.rint(observations.times.numpy() * 10).astype(int)
    walker = np.array([frames[index][1].x for index in times])
    assert red or np.abs(middle - walker).max() < 12, "the person is one of the two throughout"
    assert observations.trust is not None
    wrong = []
    for position, index in enumerate(times):
        back, front = frames[index]
        other = front.truth() if red else back.truth() & ~front.truth()
        trusted = read_mask(tmp_path / "out" / "trust" / f"{position:05d}.png") > 0
        wrong.append(int(((observations.masks[position] > 127) & other & trusted).sum()))
    assert max(wrong) < 0.03 * WIDE * TALL


def test_identities_exchanged_in_contact_are_put_right() -> None:
    figures = [[Figure(60 + 3 * index, RED, BLUE), Figure(180 - 3 * index, GREEN, RED)] for index in range(40)]
    times = (np.arange(40) / 10).tolist()
    tracks = [PersonTrack(), PersonTrack()]
    for frame, pair in enumerate(figures):
        for who, figure in enumerate(pair):
            track = tracks[who if frame < 20 else 1 - who]  # a tracker that lost them where they met
            detection = Crowd().detect(image_of(figure))[0]
            track.frames.append(frame)
            track.keypoints.append(detection.keypoints)
            track.keypoints_3d.append(detection.keypoints_3d)
            track.sharpness.append(1.0)
            track.times.append(times[frame])
            track.numbers.append(2 * frame + who)
            track.looks.append(looks_of(figure))
    for track in untangled(tracks, times):
        numbers = {number % 2 for frame, number in zip(track.frames, track.numbers, strict=True)}
        assert len(track.frames) >= 30 and len(numbers) == 1
