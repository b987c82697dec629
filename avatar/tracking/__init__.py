"""Observations -> BodyTrack: one staged fit over the whole clip.

The function is `avatar.tracking.fit.track`; importing the room alone stays fast, so that `--help` can show its options.
"""
