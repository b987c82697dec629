"""All points of hands and face are kept, and observations made before, which have none, still load."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from avatar.io.assets import asset_path
from avatar.io.observations_file import load_observations, save_arrays
from avatar.io.videos import open_video
from avatar.landmark_layouts import LAYOUTS
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.hands_face import observe_hands_face
from avatar.observation.keypoints import NO_IMAGES
from avatar.types import ImageList, Observations


def test_the_hands_of_the_sample_clip_lie_at_its_wrists() -> None:
    detector, _ = choose_detector("mediapipe")
    frames = itertools.islice(open_video(asset_path("clips", "turn.mp4")).frames(), 2)
    images = [image for _, image in frames]
    keypoints = np.stack([detector.detect(image)[0].keypoints for image in images])
    hands, hands_3d, face, _ = observe_hands_face(ImageList.of(images), keypoints, detector.layout)
    assert face is None and hands is not None and hands_3d is not None  # no face network ships
    detected = hands[..., 0, 2] > 0
    assert hands.shape == (2, 2, 21, 3) and detected.any()
    names = LAYOUTS[detector.layout].names
    wrists = torch.from_numpy(keypoints[:, [names.index("left_wrist"), names.index("right_wrist")], :2])
    height = float(np.ptp(keypoints[0, :, 1]))
    assert (hands[..., 0, :2] - wrists).norm(dim=-1)[detected].max() < 0.06 * height
    assert torch.isnan(hands_3d[~detected]).all() and torch.isfinite(hands_3d[detected]).all()
    spans = (hands_3d[detected][:, 0] - hands_3d[detected][:, 12]).norm(dim=-1)  # wrist to the tip of the middle finger
    assert (spans > 0.06).all() and (spans < 0.25).all()


def test_a_layout_without_knuckles_has_no_hands() -> None:
    keypoints = np.ones((1, len(LAYOUTS["coco17"]), 3), np.float32)
    assert observe_hands_face(ImageList.of([np.zeros((64, 64, 3), np.uint8)]), keypoints, "coco17").hands is None


def test_hands_and_face_are_stored_and_files_without_them_load(tmp_path: Path) -> None:
    keypoints = torch.rand(3, 33, 3)
    plain = Observations(
        images=NO_IMAGES, masks=NO_IMAGES, keypoints=keypoints, keypoints_3d=keypoints, layout="blazepose33",
        instant=torch.arange(3), times=torch.arange(3) / 30, width=64, height=96,
    )  # fmt: skip
    save_arrays(plain, tmp_path)
    assert load_observations(tmp_path).hands is None
    points_3d = torch.rand(3, 2, 21, 3)
    points_3d[1] = torch.nan
    points, face, units = torch.rand(3, 2, 21, 3), torch.rand(3, 478, 3), torch.rand(3, 52)
    rich = replace(plain, hands=points, hands_3d=points_3d, face=face, face_units=units)
    save_arrays(rich, tmp_path)
    again = load_observations(tmp_path)
    for name in ("hands", "hands_3d", "face", "face_units"):
        torch.testing.assert_close(getattr(again, name), getattr(rich, name), equal_nan=True)
