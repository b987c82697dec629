"""Results of text-to-motion models: MDM (Tevet et al. 2023) and those that share its files.

`results.npy` holds joints of HumanML3D (samples, 22, 3, frames) at 20 frames per second, `sample*_smpl_params.npy` the
SMPL body that was fitted to them, as six numbers per rotation (Zhou et al. 2019: its first two rows).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.landmark_layouts import LAYOUTS
from avatar.motion.formats.clips import choose_clip
from avatar.motion.formats.container import Content
from avatar.motion.formats.joint_positions import motion_from_points
from avatar.motion.formats.smpl import motion_from_rotations
from avatar.motion.motion import Motion, ReadOptions, numbers

FPS = 20.0


class MdmFormat:
    """Reads results of MDM."""

    name = "mdm"
    description = "MDM results.npy and sample*_smpl_params.npy"

    def recognizes(self, content: Content) -> bool:
        if content.has("thetas", "root_translation"):
            return np.ndim(content.fields["thetas"]) == 3 and np.shape(content.fields["thetas"])[1] == 6
        motion = content.fields.get("motion")
        return content.has("text", "lengths") and isinstance(motion, np.ndarray) and motion.shape[2:3] == (3,)

    def read(self, content: Content, options: ReadOptions) -> Motion:
        """A sample: by its number or its text with --clip (or --person), else the first."""
        fields, path = content.fields, content.path
        fps = options.fps or FPS
        if "thetas" in fields:
            thetas = numbers(path, fields["thetas"], "thetas", None, 6, None)[:24]
            place = numbers(path, fields["root_translation"], "root_translation", 3, thetas.shape[2])
            rotations = rotation_from_rows(torch.from_numpy(thetas.transpose(2, 0, 1).copy()))
            return motion_from_rotations(content, options, rotations, place.T.copy(), fps, "y", "mdm")
        motion = numbers(path, fields["motion"], "motion", None, 22, 3, None)
        lengths = np.ravel(fields["lengths"]).astype(int)
        texts = [_label(number, fields["text"]) for number in range(len(motion))]
        wanted = options.clip or options.person
        if wanted is not None and wanted.isdigit() and int(wanted) < len(texts):
            wanted = texts[int(wanted)]
        chosen = choose_clip(path, texts, wanted, lambda _: True)
        frames = int(lengths[chosen]) if len(lengths) == len(motion) else motion.shape[3]
        points = motion[chosen].transpose(2, 0, 1)[: max(frames, 1)]
        return motion_from_points(content, options, points, fps, "mdm", up="y", names=LAYOUTS["smpl22"].names)


def rotation_from_rows(rows: Float[Tensor, "*b 6"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrices from their first two rows, made orthogonal (Zhou et al. 2019)."""
    one = F.normalize(rows[..., :3], dim=-1)
    two = rows[..., 3:] - (rows[..., 3:] * one).sum(-1, keepdim=True) * one
    two = F.normalize(two, dim=-1)
    return torch.stack([one, two, torch.linalg.cross(one, two)], dim=-2)


def _label(number: int, texts: Any) -> str:
    texts = np.ravel(np.asarray(texts, dtype=object))
    return f"{number}: {texts[number]}" if number < len(texts) else str(number)
