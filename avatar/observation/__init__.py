"""Video -> Observations.

The function is `avatar.observation.video.observe`; importing the room alone stays fast, so that `--help` can show its
options.
"""
