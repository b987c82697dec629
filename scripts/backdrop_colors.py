"""How much of a green wall ends up on the sides of an avatar that were never filmed.

    python scripts/backdrop_colors.py clips        # one clip of 3 seconds, trained with the preset fast

The open body of `front_clips.py` with painted clothes faces the camera before a green wall. Counted are the splats that
no frame shows well and whose colour, in any light, is nearer to the wall than to every colour of the person.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Annotated

import front_clips
import numpy as np
import torch
import tyro
from front_clips import GREEN, Clip, make_clip, write_video
from jaxtyping import Float
from torch import Tensor

import avatar
from avatar.model.avatar import Avatar
from avatar.training.inpainting import OBSERVED

WALL = torch.tensor(GREEN)
SHADES = torch.linspace(0.5, 1.15, 14)  # of a colour in all lights
SHADE = 24  # steps of a colour channel that count as one
LEAST_OPACITY = 0.1


def person_colors(clip: Clip) -> Float[Tensor, "colors 3"]:
    """Every colour of the clip's person, without light."""
    random = np.random.default_rng(zlib.crc32(clip.name.encode()) + 1)
    rest = clip.body.rest(clip.betas)
    colors = front_clips.clothes(clip.body, rest.vertices, random)[clip.body.faces].mean(1)
    distinct: Tensor = (colors * SHADE).round().unique(dim=0) / SHADE
    return distinct


def wall_share(person: Avatar, clip: Clip) -> float:
    """Share of the splats never seen, and not transparent, that have the wall's colour."""
    gaussians = person.gaussians
    never_visible = (person.observed < OBSERVED) & (gaussians.opacities > LEAST_OPACITY)
    colors = gaussians.colors.detach()[never_visible]

    def distance(references: Float[Tensor, "k 3"]) -> Float[Tensor, " n"]:
        shaded = (SHADES[:, None, None] * references).reshape(-1, 3)
        return torch.cat([torch.cdist(some, shaded).amin(1) for some in colors.split(4000)])

    return float((distance(WALL[None]) < distance(person_colors(clip))).float().mean())


def main(folder: Annotated[Path, tyro.conf.Positional], motion: str = "dance", pitch: float = 0.0) -> None:
    """Make the clip, train an avatar of it, and print the share."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    clip = make_clip(motion, pitch, "green", 3.0)
    video = folder / f"{clip.name}.mp4"
    write_video(clip, video)
    run = folder / clip.name
    avatar.create(video, run, preset="fast", overwrite=True)
    print(f"{100 * wall_share(avatar.load(run), clip):.2f} % of the splats never seen have the wall's colour")


if __name__ == "__main__":
    tyro.cli(main)
