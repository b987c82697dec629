"""The nouns that cross from one room to another.

Conventions, written once here and linked from everywhere:

- metres, radians, seconds; tensors are float32 unless said otherwise;
- world: right-handed, Y up, floor near y = 0, a person in the rest pose faces +Z with the left hand at +X;
- cameras: OpenCV (x right, y down, z forward); pixel centres at +0.5, the image spans 0..width x 0..height;
- `T_a_b` maps points given in frame b to frame a; `Ts_world_joint` is a stack of such transforms;
- quaternions are wxyz and of unit length;
- images are HWC float32 sRGB in [0, 1];
- the common skeleton is SMPL's 24 joints in SMPL's order;
- values are activated: scales in metres, opacities in [0, 1]. Raw logits and logs stay inside the model;
- a frame carries an index into the list of body poses, `instant`: a phone video has one frame per instant,
  a multi-camera capture many, one photo with K generated views K frames of one instant.
"""

from __future__ import annotations

from avatar.types.cameras import Cameras
from avatar.types.gaussians import Gaussians, RenderOutput
from avatar.types.images import ImageList, Images, Masks
from avatar.types.observations import Detection, KeypointClip, LandmarkDetector, Observations, PosedImage
from avatar.types.poses import BodyPose, BodyTrack

__all__ = [
    "BodyPose",
    "BodyTrack",
    "Cameras",
    "Detection",
    "Gaussians",
    "ImageList",
    "Images",
    "KeypointClip",
    "LandmarkDetector",
    "Masks",
    "Observations",
    "PosedImage",
    "RenderOutput",
]
