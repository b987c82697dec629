"""Observe a video with a landmark detector of your own, then fit the body and train an avatar, one verb at a time.

A detector has a `layout` and a method `detect(image) -> list[Detection]`. This one filters the people that
the detector of the program finds; put your model in its place.

python examples/own_detector.py me.mp4 --out me.safetensors --steps 1000
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import avatar
from avatar.observation.detectors.registry import choose_detector
from avatar.types import Detection, LandmarkDetector


class OwnDetector:
    """Keeps only people whose landmarks are certain enough."""

    def __init__(self, model: LandmarkDetector, least_confidence: float) -> None:
        self.model, self.least_confidence = model, least_confidence
        # The names and order of the landmarks: a key of avatar.landmark_layouts.LAYOUTS.
        self.layout = model.layout

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Everyone in an image of (height, width, 3) uint8."""
        people = self.model.detect(image)
        return [one for one in people if one.keypoints[:, 2].mean() >= self.least_confidence]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path, help="video of a person")
    parser.add_argument("--out", type=Path, default=Path("avatar.safetensors"), help="avatar file to write")
    parser.add_argument("--max-frames", type=int, default=60, help="maximum number of frames")
    parser.add_argument("--steps", type=int, default=1000, help="training steps")
    arguments = parser.parse_args()

    detector = OwnDetector(choose_detector("mediapipe")[0], least_confidence=0.3)
    observations = avatar.observe(arguments.video, max_frames=arguments.max_frames, detector=detector)
    track = avatar.track(observations)
    person = avatar.train(observations, track, steps=arguments.steps).avatar
    person.save(arguments.out)
    print(f"{len(observations)} frames, {len(person)} Gaussians in {arguments.out}")


if __name__ == "__main__":
    main()
