"""A detector of one's own: one class, one registration (docs/extending/detector.md shows both)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import UInt8

from avatar.errors import UsageError
from avatar.observation.detectors.registry import _registrations, choose_detector, register_detector
from avatar.observation.video import observe
from avatar.types import Detection, LandmarkDetector

from .test_observe import bars


# --8<-- [start:example]
class BrightestPerson:
    """Takes whatever is bright for one person and spreads the landmarks along the middle of it."""

    layout = "coco17"

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Detection]:
        mask = np.where(image.max(-1) > 128, 255, 0).astype(np.uint8)
        y, x = np.nonzero(mask)
        if not y.size:
            return []
        keypoints = np.column_stack([np.full(17, x.mean()), np.linspace(y.min(), y.max(), 17), np.full(17, 0.9)])
        no_depth = np.full((17, 3), np.nan, np.float32)
        return [Detection(keypoints.astype(np.float32), no_depth, mask)]


# --8<-- [end:example]
@pytest.fixture(autouse=True)
def own_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registrations of a test end with it."""
    monkeypatch.setattr("avatar.observation.detectors.registry._registrations", dict(_registrations))


def test_a_registered_detector_observes_a_video(tmp_path: Path) -> None:
    # --8<-- [start:registration]
    register_detector("brightest", lambda argument, most_people: BrightestPerson())
    detector, sentence = choose_detector("brightest")
    # --8<-- [end:registration]
    assert isinstance(detector, LandmarkDetector) and sentence == "landmarks by brightest"
    observations = observe(str(bars(tmp_path / "video.mp4", 12)), str(tmp_path / "out"), detector=detector)
    assert observations.layout == "coco17" and len(observations) == 12
    assert observations.keypoints[0, 0, 1] == pytest.approx(20, abs=2)  # the top of the bar
    with pytest.raises(UsageError, match="auto, mediapipe, onnx:FILE or brightest, not 'brightest:x'"):
        choose_detector("brightest:x")


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="'auto' is registered already"):
        register_detector("auto", lambda argument, most_people: BrightestPerson())
