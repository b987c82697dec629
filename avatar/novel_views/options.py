"""Options of generated views."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ViewOptions:
    """Generated views for an avatar from one photo.

    Attributes:
        generator: source of the sides that a photo does not show: none (they are guessed), folder:PATH (images made by
            any tool), or orbit:MODEL and edit:MODEL (a generator with your weights: a folder, or a name on the Hugging
            Face hub); see docs/manual/photo.md.
        frames: number of views of an orbit. Fewer need less memory; most models are made for 21.
        offload: keep the weights of the view generator in main memory while they are not used.
    """

    generator: str = "none"
    frames: int = 21
    offload: bool = False
