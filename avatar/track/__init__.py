"""Observations -> BodyTrack: one staged fit over the whole clip."""

from avatar.track.file import load_track, save_track
from avatar.track.fit import TrackOptions, track
from avatar.track.report import TrackReport

__all__ = ["TrackOptions", "TrackReport", "load_track", "save_track", "track"]
