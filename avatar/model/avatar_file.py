"""The avatar file: its header, and the checks of its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from avatar.errors import AvatarError, short_message
from avatar.io.tensor_files import read_tensors

FORMAT = "avatar-1"


@dataclass(frozen=True)
class AvatarHeader:
    """The file's header beside the tensors; all values are strings."""

    format: str
    written_by: str
    body: str
    body_digest: str
    deform: str


def read_avatar_file(path: Path) -> tuple[AvatarHeader, dict[str, Tensor]]:
    """Read header and tensors of an avatar file; no code in it is executed.

    Raises:
        UsageError: the file does not exist.
        AvatarError: it is damaged or not an avatar.
    """
    metadata, tensors = read_tensors(path, "avatar", FORMAT)
    try:
        header = AvatarHeader(**metadata)
    except TypeError as error:
        raise AvatarError(f"{path} has a broken header: {short_message(error)}.") from error
    return header, tensors


def check_gaussians(path: Path, tensors: dict[str, Tensor], faces: int) -> None:
    """Raise AvatarError unless the arrays agree in length, are finite and refer to existing triangles."""
    face = tensors.get("gaussians.face")
    shapes = {"bary": 3, "offset": 3, "log_scales": 3, "quats": 4, "raw_colors": 3}
    if face is None or face.dtype != torch.int64 or face.dim() != 1 or "betas" not in tensors:
        raise AvatarError(f"{path} is damaged: it holds no Gaussians.")
    for name, width in shapes.items():
        value = tensors.get(f"gaussians.{name}")
        if value is None or value.shape != (len(face), width):
            raise AvatarError(f"{path} is damaged: {name} is missing or of the wrong shape.")
    if any(not torch.isfinite(value).all() for value in tensors.values()):
        raise AvatarError(f"{path} is damaged: it holds values that are not finite.")
    if len(face) and (face.min() < 0 or face.max() >= faces):
        raise AvatarError(f"{path} is damaged: it refers to triangles that the body does not have.")
