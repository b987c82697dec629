"""People who hide each other stay apart: made-up figures, and a detector that takes those who touch for one."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from avatar.io.images import read_mask
from avatar.io.videos import VideoWriter
from avatar.observation.appearance import appearance, difference, mean_appearance
from avatar.observation.contact import CloserLook, Expected, others_in
from avatar.observation.identities import untangled
from avatar.observation.person_tracks import PersonTrack
from avatar.observation.video import observe
from avatar.types import Detection
from tests.observation.crowd import BLUE, GREEN, LAYOUT, RED, TALL, WIDE, WIDTH, Crowd, Figure, image_of, write_crowd


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


class Nearsighted(Crowd):
    """Misses everybody in the whole image, or is unsure of them and puts them beside where they are."""

    def __init__(self, guesses: bool = False) -> None:
        super().__init__()
        self.guesses = guesses

    def detect(self, image: np.ndarray) -> list[Detection]:
        people = super().detect(image)
        if image.shape[1] < WIDTH:
            return people
        beside = np.array([20, 0, 0], np.float32), np.array([1, 1, 0.3], np.float32)
        guess = [Detection((one.keypoints + beside[0]) * beside[1], one.keypoints_3d, one.mask) for one in people]
        return guess if self.guesses else []


def test_who_is_missed_or_doubtful_is_looked_for_where_they_should_be() -> None:
    figure = Figure(60, RED, BLUE)
    image, known = image_of(figure), expected(figure)
    for detector in (Nearsighted(), Nearsighted(guesses=True)):
        found = detector.detect(image)
        assert len(found) == detector.guesses
        (one,) = CloserLook(detector).resolve(image, found, [known])
        assert iou(one.mask > 127, figure.truth()) > 0.95
        assert abs(one.keypoints[:, 0].mean() - 60) < 3 and one.keypoints[:, 2].mean() > 0.8


def test_nobody_is_taken_for_who_is_missed() -> None:
    detector, known = Nearsighted(), expected(Figure(60, RED, BLUE))
    look = CloserLook(detector)
    assert look.resolve(image_of(Figure(66, GREEN, RED)), [], [known]) == [], "somebody else stands there now"
    assert look.resolve(image_of(), [], [known]) == [], "nobody stands there"
    detector.calls = 0
    passer_by = replace(known, certainty=0.3)
    assert look.resolve(image_of(Figure(60, RED, BLUE)), [], [passer_by]) == [], "never seen for certain"
    assert detector.calls == 0


def test_frames_in_which_the_whole_image_shows_nobody_are_used(tmp_path: Path) -> None:
    class Blinking(Nearsighted):
        """Misses people in the whole image while the first pixel is lit."""

        def detect(self, image: np.ndarray) -> list[Detection]:
            return super().detect(image) if image[0, 0].max() > 90 else Crowd.detect(self, image)

    with VideoWriter(tmp_path / "a.mp4", fps=10) as writer:
        for index in range(30):
            image = image_of(Figure(60 + 2 * index, RED, BLUE))
            image[:8, :8] = 150 if index in (12, 13, 20) else 0
            writer.add(image)
    observations = observe(tmp_path / "a.mp4", tmp_path / "out", detector=Blinking())
    assert len(observations) == 30
    middle = observations.keypoints[..., 0].mean(1).numpy()
    assert np.abs(middle - (60 + 2 * np.arange(30))).max() < 3


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
