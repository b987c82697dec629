"""Lights of given surroundings: the analytic irradiance, directions, words, files, and skin in even light."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from avatar.errors import AvatarError, UsageError
from avatar.io.environment_file import read_environment
from avatar.model.environment import (
    LARGEST_GAIN,
    SRGB_POWER,
    environment_light,
    from_above,
    from_window,
    grid_directions,
)
from avatar.model.lighting import irradiance_gain
from avatar.model.skin_shading import skin_shading
from avatar.pipeline.lights import read_light

AXES = torch.eye(3)
SKIN, SHIRT = torch.tensor([0.75, 0.57, 0.45]), torch.tensor([0.2, 0.3, 0.6])


def gain(normal: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
    return irradiance_gain(normal[None], coefficients)[0]


def test_irradiance_of_a_linear_radiance_is_the_integral() -> None:
    # The radiance 1 + d.w, integrated with the cosine over the hemisphere around n: pi + 2 pi / 3 d.n.
    directions, areas = grid_directions(64, 128)
    assert torch.isclose(areas.sum(), torch.tensor(4 * math.pi))
    lamp = torch.tensor([0.0, 0.6, 0.8])
    coefficients = environment_light((1 + 0.5 * directions @ lamp)[:, None].expand(-1, 3).unflatten(0, (64, 128)))
    normals = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    truth = (1 + 0.5 * (2 / 3) * normals @ lamp) ** (1 / SRGB_POWER)
    ours = irradiance_gain(normals, coefficients)[:, 0]
    assert ((ours / ours.mean()) / (truth / truth.mean()) - 1).abs().max() < 0.01


def test_lights_come_from_where_they_are_said_to_come() -> None:
    right, up, front = AXES
    assert gain(up, from_above())[0] > 1.3 > 0.9 > gain(-up, from_above())[0]
    assert gain(right, from_window(90.0))[0] > 1.2 > 0.9 > gain(-right, from_window(90.0))[0]
    assert gain(front, from_window(0.0))[0] > 1.2 and gain(-front, from_window(180.0))[0] > 1.2
    red, green, blue = gain(right, from_window(90.0, 1.0))
    assert red > green > blue
    assert gain(right, from_window(90.0, -1.0)).argmax() == 2
    # The image's middle lies behind the person, its right half at the camera's right.
    radiance = torch.full((64, 128, 3), 0.1)
    radiance[:, 90:100] = 50.0
    coefficients = environment_light(radiance)
    assert gain(right, coefficients)[0] > 1.2 > gain(-right, coefficients)[0]
    assert gain(-front, environment_light(radiance, turn=-90.0))[0] > 1.2
    assert irradiance_gain(grid_directions(16, 32)[0], coefficients).max() < LARGEST_GAIN + 1e-3


def write_surroundings(folder: Path) -> dict[str, Path]:
    """The same light, a lamp at the right, in every format; ordinary images clip it."""
    radiance = np.full((32, 64, 3), 0.05, np.float32)
    radiance[10:14, 46:50] = (40.0, 30.0, 10.0)
    files = {suffix: folder / f"room.{suffix}" for suffix in ("hdr", "exr", "png")}
    cv2.imwrite(str(files["hdr"]), radiance[..., ::-1])
    cv2.imwrite(str(files["png"]), (255 * radiance.clip(0, 1) ** (1 / 2.2)).astype(np.uint8)[..., ::-1])
    OpenEXR = pytest.importorskip("OpenEXR")
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"RGB": radiance}).write(str(files["exr"]))
    return files


def test_hdr_exr_and_png_light_alike(tmp_path: Path) -> None:
    files = write_surroundings(tmp_path)
    lights = {suffix: read_light(str(path)).coefficients for suffix, path in files.items()}
    assert lights["hdr"] is not None and lights["exr"] is not None and lights["png"] is not None
    assert (lights["hdr"] - lights["exr"]).abs().max() < 0.01
    right = AXES[0]
    assert gain(right, lights["exr"])[0] > gain(right, lights["png"])[0] > 1
    turned = read_light(f"{files['hdr']}:-180").coefficients
    assert turned is not None and gain(-right, turned)[0] > 1.2


def test_what_is_no_light_is_said(tmp_path: Path) -> None:
    square = tmp_path / "square.png"
    cv2.imwrite(str(square), np.full((8, 8, 3), 99, np.uint8))
    black, cut, broken = (tmp_path / name for name in ("black.png", "cut.hdr", "broken.exr"))
    cv2.imwrite(str(black), np.zeros((8, 16, 3), np.uint8))
    files = write_surroundings(tmp_path)
    cut.write_bytes(files["hdr"].read_bytes()[:40])
    broken.write_bytes(files["exr"].read_bytes()[:100])
    unreadable = [(path, "not a readable") for path in (cut, broken)]
    for path, sentence in [(square, "twice as wide as high"), (black, "holds no light"), *unreadable]:
        with pytest.raises(AvatarError, match=sentence):
            read_environment(path)
    for text in ("moonlight", "window:up", "window:left:2", "window:1:0:3", "window:nan", str(tmp_path / "none.hdr")):
        with pytest.raises(UsageError, match="no light"):
            read_light(text)
    assert read_light("filmed").coefficients is None and read_light("window:left:0.5").name == "window"


def test_shading_is_taken_out_of_skin_and_of_nothing_else() -> None:
    generator = torch.Generator().manual_seed(0)
    count = 6000
    normals = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    names = ("pelvis", "head", "left_wrist")
    weights = torch.nn.functional.one_hot(torch.arange(count) % 3, 3).float()
    baked = 0.25 * normals[:, 1] - 0.1 * normals[:, 0] * normals[:, 2]
    noise = 0.05 * torch.randn(count, generator=generator)
    colors = torch.where(weights[:, :1] > 0, SHIRT, SKIN) * (baked + noise).exp()[:, None]
    colors[1::30] = torch.tensor([0.1, 0.08, 0.07])  # hair and brows
    shading = skin_shading(colors, normals, torch.ones(count), weights, names)
    skin = weights[:, 0] == 0
    skin[1::30] = False
    assert (shading[~skin] == 0).all()
    assert ((shading - baked)[skin].std() / baked[skin].std()) < 0.1
    # Without skin there is nothing to take out.
    assert (skin_shading(SHIRT.expand(count, 3), normals, torch.zeros(count), weights, names) == 0).all()
