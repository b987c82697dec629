"""Images of what is being worked on before there are splats: frames, landmarks, the outline and the fitted body."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.body import Body
from avatar.geometry import project
from avatar.io.images import read_image
from avatar.types import BodyTrack, Observations

SIDE = 720  # pixels, longer side
OUTLINE, POINT, BODY = (64, 255, 128), (255, 90, 60), (90, 160, 255)
SURE = 0.5  # confidence from which a landmark is drawn


def frame_with_landmarks(observations: Observations, index: int) -> UInt8[np.ndarray, "h w 3"]:
    """A frame with the person's outline and landmarks."""
    import cv2

    image, scale = _scaled(observations.images[index])
    mask = cv2.resize(observations.masks[index], image.shape[1::-1], interpolation=cv2.INTER_AREA)
    outlines, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, outlines, -1, OUTLINE, 2, cv2.LINE_AA)
    for x, y, confidence in observations.keypoints[index].tolist():
        if confidence > SURE:
            cv2.circle(image, (round(x * scale), round(y * scale)), 4, POINT, -1, cv2.LINE_AA)
    return image


@torch.no_grad()
def frame_with_body(observations: Observations, track: BodyTrack, body: Body, index: int) -> UInt8[np.ndarray, "h w 3"]:
    """A frame with the points of the fitted body's surface over it."""
    assert track.cameras is not None
    image, scale = _scaled(observations.images[index])
    pose = track.poses[int(track.instant[index])]
    vertices: Float[Tensor, "v 3"] = body.vertices(body.rest(track.betas), body.complete(pose))
    pixels, depth = project(track.cameras.K[index], track.cameras.T_camera_world[index], vertices)
    at = (pixels[depth > 0] * scale).round().long().numpy()
    inside = (at >= 0).all(1) & (at[:, 0] < image.shape[1]) & (at[:, 1] < image.shape[0])
    image[at[inside, 1], at[inside, 0]] = BODY
    return image


def newest_frame(folder: Path) -> UInt8[np.ndarray, "h w 3"] | None:
    """The frame that was written last below a folder; None where there is none that can be read."""
    try:
        paths = [path for path in folder.rglob("frames/*") if path.suffix in (".png", ".jpg", ".webp")]
        return _scaled(read_image(max(paths, key=lambda path: path.stat().st_mtime))[..., :3])[0] if paths else None
    except Exception:  # half written, or moved meanwhile: the next one will do
        return None


def as_data(image: UInt8[np.ndarray, "h w 3"]) -> str:
    """An image as an address."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, format="JPEG", quality=92)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _scaled(image: UInt8[np.ndarray, "h w 3"]) -> tuple[UInt8[np.ndarray, "h2 w2 3"], float]:
    """A copy of at most `SIDE` pixels, and its scale."""
    import cv2

    scale = min(SIDE / max(image.shape[:2]), 1.0)
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    return np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)), scale
