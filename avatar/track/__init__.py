"""Observations -> BodyTrack: one staged fit over the whole clip."""
