"""Observations -> BodyTrack: one staged fit over the whole clip."""

from avatar.io.track_file import load_track, save_track
from avatar.tracking.fit import TrackOptions, track
from avatar.tracking.report import TrackReport

__all__ = ["TrackOptions", "TrackReport", "load_track", "save_track", "track"]
