"""Splats as PLY with the fields of 3D Gaussian splatting (Kerbl et al. 2023), which every splat viewer reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from avatar import __version__
from avatar.geometry import rigid
from avatar.io.files import atomic_write, write_json
from avatar.io.splat_files import SH_C0, converted_splats
from avatar.types import Gaussians

FIELDS = (
    "x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity",
    "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3",
)  # fmt: skip
FRAME_NOTE = "Y up, metres, the person at rest faces +Z with the left hand at +X, floor near y = 0"
Up = Literal["y", "minus-y", "z"]
# Rows: where the axes of the file lie in ours. Each is a rotation, and turns the person to the viewer as far as the
# programs for which it is meant do the rest: those for "minus-y" turn what they read by 180 degrees about Z.
AXES: dict[Up, list[list[float]]] = {
    "y": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "minus-y": [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
    "z": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
}  # fmt: skip
FRAMES: dict[Up, str] = {
    "y": FRAME_NOTE,
    "minus-y": "Y down, metres, the person at rest faces +Z with the left hand at -X",
    "z": "Z up, metres, the person at rest faces -Y with the left hand at +X",
}
# Formats that the optional package gaussforge writes from a PLY.
PACKED_FORMATS = ("splat", "spz", "sog", "ksplat", "compressed.ply")


@dataclass(frozen=True)
class Orientation:
    """How splats lie in a file.

    Attributes:
        up: the axis that points up; flip: turned by 180 degrees about it, so that the person faces the other way.
    """

    up: Up = "y"
    flip: bool = False

    @property
    def rotation(self) -> Float[Tensor, "3 3"]:
        """From our frame to that of the file."""
        turn = torch.diag(torch.tensor([-1.0, 1.0, -1.0] if self.flip else [1.0, 1.0, 1.0]))
        return torch.tensor(AXES[self.up], dtype=torch.float32) @ turn

    @property
    def from_file(self) -> Float[Tensor, "4 4"]:
        """From the frame of a file to ours."""
        return rigid(self.rotation.T, torch.zeros(3))

    @property
    def note(self) -> str:
        """The frame in words, for the file."""
        return FRAMES[self.up] + (", then turned by 180 degrees about the vertical" if self.flip else "")

    def applied(self, gaussians: Gaussians) -> Gaussians:
        """The Gaussians in the frame of the file."""
        return gaussians.moved(rigid(self.rotation, torch.zeros(3)).to(gaussians.means))


OURS = Orientation()


def ply_bytes(gaussians: Gaussians, comments: Iterable[str] = (), orientation: Orientation = OURS) -> bytes:
    """A binary little-endian PLY: logit opacities, log scales, quaternions wxyz, colours as constant harmonics."""
    gaussians = orientation.applied(gaussians)
    opacities = gaussians.opacities.clamp(1e-6, 1 - 1e-6)
    columns = torch.cat(
        [
            gaussians.means,
            torch.zeros_like(gaussians.means),  # normals, which the format has but no program reads
            (gaussians.colors - 0.5) / SH_C0,
            torch.logit(opacities)[:, None],
            gaussians.scales.log(),
            torch.nn.functional.normalize(gaussians.quats, dim=-1),
        ],
        dim=1,
    )
    lines = ["ply", "format binary_little_endian 1.0"]
    lines += [f"comment {text}" for text in (f"avatar {__version__}", orientation.note, *comments)]
    lines += [f"element vertex {len(gaussians)}", *(f"property float {name}" for name in FIELDS), "end_header"]
    return ("\n".join(lines) + "\n").encode() + columns.detach().cpu().numpy().astype("<f4").tobytes()


def write_ply(gaussians: Gaussians, path: Path, comments: Iterable[str] = (), orientation: Orientation = OURS) -> None:
    """Write splats as `.ply`, replacing the file in one step."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(ply_bytes(gaussians, comments, orientation))


def write_ply_sequence(frames: Iterable[Gaussians], folder: Path, stem: str, orientation: Orientation = OURS) -> int:
    """Write `folder/stem_0000.ply` and so on, which SuperSplat and Blender add-ons play; returns how many."""
    count = 0
    for count, gaussians in enumerate(frames, start=1):
        write_ply(gaussians, folder / f"{stem}_{count - 1:04d}.ply", (), orientation)
    return count


def write_packed(gaussians: Gaussians, path: Path, orientation: Orientation = OURS) -> None:
    """Write splats in one of `PACKED_FORMATS`, by the suffix, and their coordinate frame as a JSON file beside it.

    Raises:
        AvatarError: gaussforge is not installed, or could not write the format.
    """
    name = path.name.lower()
    kind = next((kind for kind in PACKED_FORMATS if name.endswith(f".{kind}")), path.suffix[1:])
    data = converted_splats(ply_bytes(gaussians, (), orientation), "ply", kind, f"{path} cannot be written")
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)
    write_json(path.with_name(path.name + ".json"), {"frame": orientation.note, "splats": len(gaussians)})
