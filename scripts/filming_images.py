"""Make the images of docs/filming-guide.md from the sample clips and two finished runs.

    python scripts/filming_images.py TURN_RUN BALANCE_RUN [--out docs/images]

What the guide warns of is imitated on one good frame, so that nothing but the fault differs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import imageio.v3 as iio
import numpy as np
import tyro
from PIL import Image, ImageEnhance, ImageFilter

CLIPS = Path(__file__).parents[1] / "assets" / "clips"
HEIGHT = 480  # px
GAP = 8  # px


def main(
    turn_run: Annotated[Path, tyro.conf.Positional],
    balance_run: Annotated[Path, tyro.conf.Positional],
    out: Path = Path("docs/images"),
) -> None:
    """Write the images.

    Args:
        turn_run: run folder made from `assets/clips/turn.mp4`, where the person turns round.
        balance_run: run folder made from `assets/clips/balance.mp4`, where the person does not.
        out: folder for the images.
    """
    turn = iio.imread(CLIPS / "turn.mp4", plugin="FFMPEG")
    good = Image.fromarray(turn[0])
    balance = Image.fromarray(iio.imread(CLIPS / "balance.mp4", plugin="FFMPEG", index=0))
    overlay = Image.fromarray(iio.imread(turn_run / "overlay.mp4", plugin="FFMPEG")[8])
    # The turntable shows the middle of the clip, where the person of `turn` stands with the back to the camera.
    sides = [*front_and_side(turn_run, start=0.5), *front_and_side(balance_run, start=0.0)]
    save(out / "filming-turn.webp", [Image.fromarray(turn[index]) for index in (0, 22, 45, 67)])
    save(out / "filming-faults.webp", [feet_cut_off(good), dark(good), blurred(good), balance])
    save(out / "filming-sides.webp", sides)
    overlay.save(out / "overlay.webp", quality=82, method=6)


def front_and_side(run: Path, start: float) -> list[Image.Image]:
    """Two frames of a run's turntable, a quarter of a turn apart, the first after the share `start` of the turn."""
    frames = iio.imread(run / "turntable.mp4", plugin="FFMPEG")
    first = round(start * len(frames))
    return [Image.fromarray(frames[(first + step) % len(frames)]) for step in (0, len(frames) // 4)]


def feet_cut_off(image: Image.Image) -> Image.Image:
    """The same scene from too near: the lower legs are outside the frame."""
    width, height = image.size
    return image.crop((round(0.14 * width), round(0.1 * height), round(0.86 * width), round(0.82 * height)))


def dark(image: Image.Image) -> Image.Image:
    """Too little light: dark and noisy."""
    pixels = np.asarray(ImageEnhance.Brightness(image).enhance(0.25), dtype=np.float32)
    noise = np.random.default_rng(0).normal(0, 9, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def blurred(image: Image.Image) -> Image.Image:
    """The person turns too fast: motion blur along x."""
    kernel = [0.0] * 25
    kernel[10:15] = [1.0] * 5  # the middle row
    for _ in range(6):
        image = image.filter(ImageFilter.Kernel((5, 5), kernel))
    return image


def save(path: Path, images: list[Image.Image]) -> None:
    """The images side by side, all of one height."""
    scaled = [image.resize((round(image.width * HEIGHT / image.height), HEIGHT)) for image in images]
    sheet = Image.new("RGB", (sum(image.width + GAP for image in scaled) - GAP, HEIGHT), "white")
    left = 0
    for image in scaled:
        sheet.paste(image, (left, 0))
        left += image.width + GAP
    sheet.save(path, quality=82, method=6)


if __name__ == "__main__":
    tyro.cli(main)
