"""Video to Observations."""

from avatar.io.observations_file import load_observations, save_observations
from avatar.observation.video import observe

__all__ = ["load_observations", "observe", "save_observations"]
