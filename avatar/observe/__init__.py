"""Video to Observations."""

from avatar.observe.file import load_observations, save_observations
from avatar.observe.observe import observe

__all__ = ["load_observations", "observe", "save_observations"]
