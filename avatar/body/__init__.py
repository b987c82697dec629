"""The articulated body: its file, its shape, its skeleton and the skinning that poses it."""

from avatar.body.files import load_body
from avatar.body.model import Body, RestBody, smpl_pose

__all__ = ["Body", "RestBody", "load_body", "smpl_pose"]
