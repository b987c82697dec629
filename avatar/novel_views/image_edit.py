"""Views by any image-editing pipeline of diffusers, prompted to show the person from another side.

Such a model keeps the identity of a person well but follows angles only roughly; the alignment corrects them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import UInt8

from avatar.novel_views.background import person_mask
from avatar.novel_views.diffusers_weights import diffusers_package, licence_of, loading, located
from avatar.novel_views.generator import Photo, View
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.photo import on_white, scaled_down
from avatar.runtime.progress import Progress
from avatar.types import LandmarkDetector

SIDES = {
    45.0: "the front left", 90.0: "the left side", 135.0: "the back left", 180.0: "behind",
    -135.0: "the back right", -90.0: "the right side", -45.0: "the front right",
}  # fmt: skip
PROMPT = (
    "Show exactly the same person, in the same clothes and holding the same pose, photographed from {side} of the "
    "person at the same height and distance. Full body from head to feet, plain white background."
)
LONGEST_SIDE = 1024  # px, the size that such models are trained for
FOV = 40.0  # degrees across the longer side; unknown, and the fitted body fixes the distance
CONFIDENCE = 0.8

Pipeline = Callable[..., Any]


class EditedViews:
    """Prompts an editing pipeline for each of the other sides.

    Args:
        model: folder or hub name of the pipeline; device: "cpu" or "cuda", half precision on the latter; offload:
            keep each of its networks in main memory while another works.
        pipeline: a loaded pipeline, instead of the one of `model`.
    """

    def __init__(
        self,
        model: str,
        device: str,
        offload: bool = False,
        pipeline: Pipeline | None = None,
        detector: LandmarkDetector | None = None,
    ) -> None:
        self.model, self.device, self.offload, self.detector = model, device, offload, detector
        self.pipeline = pipeline

    def terms(self) -> str:
        """The licence of the weights."""
        return licence_of(self.model)

    def generate(self, photo: Photo) -> list[View]:
        """One view per side, each made from the photo."""
        from PIL import Image

        person = Image.fromarray(_on_white(photo))
        detector = self.detector or choose_detector(most_people=1)[0]
        views = []
        with loading(self.model):
            pipeline = self.pipeline or load_pipeline(self.model, self.device, self.offload)
            with Progress("generating views", len(SIDES)) as bar:
                for azimuth, side in SIDES.items():
                    edited = pipeline(image=person, prompt=PROMPT.format(side=side)).images[0]
                    image = np.array(edited.convert("RGB"))
                    mask = person_mask(image, f"the view from {side}", detector)
                    views.append(View(f"edit {azimuth:.0f}", image, mask, azimuth, photo.elevation, FOV, CONFIDENCE))
                    bar.step()
        return [view for view in views if view.mask.max() > 127]


def load_pipeline(model: str, device: str, offload: bool = False) -> Pipeline:
    """The user's editing pipeline; call it inside `loading`, which explains what is missing."""
    import torch

    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    load = diffusers_package().DiffusionPipeline.from_pretrained
    pipeline: Any = load(located(model), use_safetensors=True, torch_dtype=dtype)
    if offload and device == "cuda":
        pipeline.enable_model_cpu_offload()
    else:
        pipeline.to(device)
    callable_pipeline: Pipeline = pipeline
    return callable_pipeline


def _on_white(photo: Photo) -> UInt8[np.ndarray, "h w 3"]:
    """The person alone, at the size that the pipeline is trained for."""
    cut = np.concatenate([photo.image, photo.mask[..., None]], -1)
    return on_white(scaled_down(cut, LONGEST_SIDE))[0]
