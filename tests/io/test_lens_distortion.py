"""The distortion that files state: OpenCV's, RealSense's, Azure Kinect's and nerfstudio's ways to write it."""

import json
from pathlib import Path
from typing import Any

import pytest

from avatar.errors import AvatarError, UsageError
from avatar.io.camera_motion_file import load_camera_motion
from avatar.io.intrinsics_file import load_intrinsics
from avatar.io.lens_distortion import Distortion, read_distortion

PINHOLE = {"width": 640, "height": 480, "fx": 600.0, "fy": 600.0, "cx": 320.0, "cy": 240.0}
AZURE = {"k1": 0.51, "k2": -2.65, "p1": 6e-4, "p2": -3e-4, "k3": 1.53, "k4": 0.39, "k5": -2.47, "k6": 1.46}


def intrinsics_file(folder: Path, entries: dict[str, Any]) -> Path:
    path = folder / "intrinsics.json"
    path.write_text(json.dumps(PINHOLE | entries))
    return path


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({}, None),
        ({"k1": -0.1, "p2": 0.002}, (-0.1, 0, 0, 0.002)),
        (AZURE, (0.51, -2.65, 6e-4, -3e-4, 1.53, 0.39, -2.47, 1.46)),
        ({"model": "distortion.brown_conrady", "coeffs": [0.14, -0.5, 0, 0, 0.4]}, (0.14, -0.5, 0, 0, 0.4)),
        ({"model": "Inverse Brown Conrady", "coeffs": [0, 0, 0, 0, 0]}, None),
        ({"dist_coeffs": [[-0.2, 0.05, 0.001, 0, 0]]}, (-0.2, 0.05, 0.001, 0)),
        ({"model": "Orbbec Femto", "distortion": [0.1, 0, 0, 0]}, (0.1, 0, 0, 0)),
        ({"distortion_model": "rational_polynomial", "D": [0.1, 0, 0, 0, 0, 0.2, 0, 0]}, (0.1, 0, 0, 0, 0, 0.2, 0, 0)),
    ],
)
def test_coefficients_of_a_lens(tmp_path: Path, entries: dict[str, Any], expected: Distortion | None) -> None:
    read = load_intrinsics(intrinsics_file(tmp_path, entries))
    assert read is not None and read.distortion == expected


@pytest.mark.parametrize(
    "entries",
    [
        {"model": "distortion.inverse_brown_conrady", "coeffs": [-0.05, 0.06, 0, 0, -0.02]},
        {"distortion_model": "equidistant", "D": [0.1, 0.0, 0.0, 0.0]},
        {"camera_model": "OPENCV_FISHEYE", "k1": 0.1},
    ],
)
def test_other_models_are_refused_in_one_sentence(tmp_path: Path, entries: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="whose distortion cannot be taken out: rectify the video"):
        load_intrinsics(intrinsics_file(tmp_path, entries))


@pytest.mark.parametrize(
    "entries", [{"coeffs": ["a"]}, {"k1": None}, {"D": 0.1}, {"k1": 1e6}, {"D": [0.1] * 14}, {"k1": float("nan")}]
)
def test_broken_coefficients_are_refused(tmp_path: Path, entries: dict[str, Any]) -> None:
    with pytest.raises(AvatarError, match="is broken: its distortion"):
        load_intrinsics(intrinsics_file(tmp_path, entries))


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"camera_model": "OPENCV", "k1": 0.1, "k2": -0.02, "k3": 0.003}, (0.1, -0.02, 0, 0, 0.003)),
        ({"camera_model": "OPENCV_FISHEYE", "k1": 0.1}, UsageError),
        ({"camera_model": "OPENCV", "k1": 0.1, "k4": 0.01}, UsageError),
    ],
)
def test_nerfstudio(tmp_path: Path, entries: dict[str, Any], expected: Distortion | type[UsageError]) -> None:
    frame = {"file_path": "1.png", "transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}
    lens = {"w": 640, "h": 480, "fl_x": 600.0, "fl_y": 600.0, "cx": 320.0, "cy": 240.0, "frames": [frame]} | entries
    path = tmp_path / "transforms.json"
    path.write_text(json.dumps(lens))
    if isinstance(expected, tuple):
        assert load_camera_motion(path).distortion == expected
    else:
        with pytest.raises(expected, match="cannot be taken out"):
            load_camera_motion(path)


def test_the_error_names_the_file_and_the_model() -> None:
    with pytest.raises(UsageError, match=r"^k\.json has a lens of the model fisheye, "):
        read_distortion(Path("k.json"), {"distortion_model": "fisheye", "k1": 0.1})
