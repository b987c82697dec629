"""Video or photo -> Observations: landmarks, masks and confidences of one person."""

from avatar.io.observations_file import load_observations, save_observations
from avatar.observation.detectors.registry import choose_detector, register_detector
from avatar.observation.photo import observe_photo
from avatar.observation.video import observe

__all__ = [
    "choose_detector",
    "load_observations",
    "observe",
    "observe_photo",
    "register_detector",
    "save_observations",
]
