"""Clothes by words: the user's image-editing pipeline repaints views, and the garment takes their colours."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import UsageError
from avatar.io.images import to_uint8
from avatar.model.garments import BOTTOM, GARMENTS, HAIR, SHOES, TOP
from avatar.model.wardrobe import Labelled
from avatar.motion.text.parse import parse_pose
from avatar.novel_views.diffusers_weights import loading
from avatar.novel_views.image_edit import load_pipeline
from avatar.rendering.camera_paths import orbit
from avatar.rendering.renderer import render
from avatar.runtime.progress import progress
from avatar.training.color_refit import ColorTarget, refit_colors
from avatar.types import BodyPose

VIEWS, SIZE = 8, (768, 1024)  # and the size of each, which such pipelines are made for
STANDING = "standing, both arms sideways 35"
PROMPT = (
    "Change only {piece} of this person into {text}. Keep the person, the face, the pose, the camera and everything "
    "else exactly as they are, on a plain white background."
)
COLORS_ALONE = (
    "clothes by words change colours alone, not shapes, and each of 8 views was repainted by itself, so that patterns "
    "may not meet between them"
)
WORDS = {
    TOP: "top shirt t-shirt tshirt tee jacket coat sweater hoodie blouse pullover jumper vest cardigan polo blazer "
    "sweatshirt tunic waistcoat",
    BOTTOM: "bottom trousers pants jeans skirt shorts leggings chinos kilt sweatpants",
    SHOES: "shoes shoe boots sneakers trainers sandals slippers heels",
    HAIR: "hair hairstyle hat cap",
}
DRESSES = {"dress", "suit", "overall", "overalls", "jumpsuit", "costume", "robe", "uniform", "tracksuit", "pyjamas"}


def pieces_of(text: str) -> tuple[tuple[int, ...], str]:
    """The labels that a description such as "a leather jacket" is about, and the description.

    "bottom=red corduroy" names the label where the words do not.

    Raises:
        UsageError: no garment is recognised.
    """
    name, equals, rest = text.partition("=")
    if equals and name.strip() in GARMENTS and rest.strip():
        return (GARMENTS.index(name.strip()),), rest.strip()
    words = re.findall(r"[a-z-]+", text.lower())
    if DRESSES & set(words):
        return (TOP, BOTTOM), text
    # The last garment of "a jacket over a shirt" is not the one that shows; the first is what it is about.
    for word in words:
        for label, nouns in WORDS.items():
            if word in nouns.split():
                return (label,), text
    raise UsageError(f'--text does not say which garment {text!r} is: write for example --text "top={text}".')


def repaint(person: Labelled, text: str, model: str, backend: str = "auto") -> None:
    """Give a garment the colours that the pipeline paints for `text`.

    Raises:
        UsageError: the person shows no such garment, the text names none, or the model or packages are missing.
        AvatarError: the weights do not load or fail.
    """
    labels, words = pieces_of(text)
    chosen = person.has(*labels)
    piece = " and ".join(GARMENTS[label] for label in labels)
    if not chosen.any():
        raise UsageError(f"This avatar shows no {piece}: it cannot be repainted.")
    pose = _standing(person)
    targets = _targets(person, pose, labels, PROMPT.format(piece=f"the {piece}", text=words), model, backend)
    refit_colors(person.avatar, chosen, targets, pose, backend)


def _standing(person: Labelled) -> BodyPose:
    return BodyPose(person.avatar.rest.joints[0].cpu(), parse_pose(STANDING))


@torch.no_grad()
def _targets(
    person: Labelled, pose: BodyPose, labels: tuple[int, ...], prompt: str, model: str, backend: str
) -> list[ColorTarget]:
    from PIL import Image

    avatar = person.avatar
    posed = avatar.own_pose(pose.to(avatar.device), lit=False)
    membership = person.has(*labels).to(posed.colors)[:, None].expand(-1, 3)
    low, high = posed.means.amin(0).cpu(), posed.means.amax(0).cpu()
    cameras = orbit(low, high, VIEWS, *SIZE)
    device = avatar.device.type
    targets = []
    with loading(model):
        pipeline = load_pipeline(model, device)
        for index in progress(range(VIEWS), "views"):
            camera = cameras[index]
            image = Image.fromarray(to_uint8(render(posed, camera.to(avatar.device), backend).on_white()[0].cpu()))
            edited = pipeline(image=image, prompt=prompt).images[0].convert("RGB").resize(image.size)
            share = render(replace(posed, colors=membership), camera.to(avatar.device), backend).rgb[0, ..., 0].cpu()
            targets.append(ColorTarget(_float(edited), _inside(share), camera))
    return targets


def _float(image: object) -> Float[Tensor, "h w 3"]:
    return torch.from_numpy(np.array(image)).float() / 255


def _inside(share: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """The inside of the garment: at its border an edited image shows what lies beside it."""
    return (share > 0.95).float()
