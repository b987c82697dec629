"""A small colourful person and two motions for the exporters, none of it from a recording; their page, and a tab."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Page

from avatar.body import load_body
from avatar.body.parts import PARTS
from avatar.exporters.html import PageOptions, write_page
from avatar.geometry import rotation_from_rotvec
from avatar.model.avatar import Avatar, part_of_gaussians
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.types import BodyPose, BodyTrack

from .pages import HEIGHT, WIDTH

SPLATS = 4000


@pytest.fixture(scope="session")
def moves() -> dict[str, BodyTrack]:
    """Two short motions: one that waves on the spot and one that turns while it walks away."""
    frames = 24
    time = torch.arange(frames) / frames * 2 * math.pi
    wave, turn = torch.zeros(2, frames, 24, 3).unbind()
    wave[:, 16, 2] = -1.1 + 0.3 * time.sin()
    wave[:, 17, 2] = 1.2 - 0.2 * time.cos()
    wave[:, 18, 1] = -0.8 + 0.5 * time.sin()
    wave[:, 4, 0] = 0.9 * time.sin().clamp(min=0)
    turn[:, 0, 1] = time
    turn[:, 16, 2], turn[:, 17, 2] = -0.9, 0.9
    still = torch.tensor([0.0, 0.95, 0.0]).expand(frames, 3)
    away = still + torch.arange(frames)[:, None] * torch.tensor([0.0, 0.0, 0.05])
    return {"wave": _track(wave, still), "turn": _track(turn, away)}


def _track(rotvecs: torch.Tensor, roots: torch.Tensor) -> BodyTrack:
    frames = len(roots)
    return BodyTrack(
        body="open",
        betas=torch.zeros(10),
        poses=BodyPose(roots.clone(), rotation_from_rotvec(rotvecs)),
        times=torch.arange(frames) / 24,
        confidence=torch.ones(frames, 24),
        instant=torch.arange(frames),
    )


@pytest.fixture(scope="session")
def person(moves: dict[str, BodyTrack]) -> Avatar:
    """The open body covered with splats, coloured by place, with a light and a deformation that do something."""
    generator = torch.Generator().manual_seed(0)
    body = load_body("open")
    betas = torch.zeros(body.shape_dirs.shape[-1])
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    splats = sample_on_surface(frames, torch.ones(len(body.faces)), SPLATS, generator)
    avatar = Avatar(body, betas, splats, deform=True)
    means = avatar.rest_means()
    colors = 0.5 + 0.4 * (means * torch.tensor([6.0, 9.0, 12.0])).sin()
    # Skin on head and hands, with some of the light baked in.
    bare = torch.isin(
        part_of_gaussians(avatar), torch.tensor([PARTS.index(name) for name in ("head", "face", "hands")])
    )
    skin = torch.tensor([0.75, 0.57, 0.45]) * (0.2 * avatar.surface.normals[:, 1:2]).exp()
    colors = torch.where(bare[:, None], skin, colors)
    assert avatar.deform is not None
    with torch.no_grad():
        avatar.gaussians.raw_colors.copy_(torch.logit(colors))
        avatar.gaussians.logit_opacities.add_(torch.randn(SPLATS, generator=generator))
        avatar.light.coefficients.copy_(torch.randn(8, 3, generator=generator) * 0.15)
        avatar.deform.out.weight.copy_(torch.randn(avatar.deform.out.weight.shape, generator=generator) * 0.15)
    avatar.deform.remember_poses(torch.cat([track.poses.rotations for track in moves.values()]))
    return avatar


@pytest.fixture(scope="session")
def page_file(person: Avatar, moves: dict[str, BodyTrack], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "me.html"
    write_page(person, moves, path, PageOptions("A </script> & <b>person</b>", credits="Filmed by nobody"))
    return path


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A tab without network; the test fails if the page throws."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, offline=True)
    errors = []
    tab = context.new_page()
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield tab
    context.close()
    assert not errors
