"""The background behind the person, and what training learns from it where masks are wrong."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from avatar.geometry import rigid, rotation_from_rotvec
from avatar.training.background import Backdrop
from avatar.training.losses import PhotometricLoss, photometric_loss, scene_loss
from avatar.training.views import TrainingViews
from avatar.types import Cameras, ImageList, Observations, RenderOutput

FRAMES, WIDTH, HEIGHT, FOCAL = 12, 160, 120, 150.0
PERSON = 24  # pixels wide
WHOLE = (slice(0, HEIGHT), slice(0, WIDTH))


def room(rays: np.ndarray) -> np.ndarray:
    """Colours that vary smoothly with the direction."""
    x, y = rays[..., 0] / rays[..., 2], rays[..., 1] / rays[..., 2]
    waves = np.stack([np.sin(9 * x + 2 * y), np.cos(7 * x - 5 * y), np.sin(11 * y + x)], -1)
    return 128 + 90 * waves


def clip(turn: float, step: int) -> tuple[Observations, Cameras, np.ndarray]:
    """A person who walks past by `step` pixels per frame, before a camera that turns; and the rooms without them."""
    K = torch.tensor([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    rotvecs = torch.zeros(FRAMES, 3)
    rotvecs[:, 1] = turn * torch.linspace(-1, 1, FRAMES)
    cameras = Cameras(
        K.repeat(FRAMES, 1, 1), rigid(rotation_from_rotvec(rotvecs), torch.zeros(FRAMES, 3)), WIDTH, HEIGHT
    )
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    rays = np.stack([(x - WIDTH / 2) / FOCAL, (y - HEIGHT / 2) / FOCAL, np.ones_like(x)], -1)
    rooms = np.stack([room(rays @ T[:3, :3].numpy()) for T in cameras.T_camera_world])
    images, masks = [], []
    for index, empty in enumerate(rooms):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        left = 6 + step * index
        mask[20:110, left : left + PERSON] = 255
        images.append(np.where(mask[..., None] > 0, [250, 20, 20], empty).round().astype(np.uint8))
        masks.append(mask)
    observations = Observations(
        images=ImageList.of(images), masks=ImageList.of(masks), keypoints=torch.zeros(FRAMES, 33, 3),
        keypoints_3d=torch.zeros(FRAMES, 33, 3), layout="blazepose33", instant=torch.arange(FRAMES),
        times=torch.arange(FRAMES) / 10, width=WIDTH, height=HEIGHT,
    )  # fmt: skip
    return observations, cameras, rooms


@pytest.mark.parametrize("turn", [0.0, 0.08], ids=["still", "turning"])
def test_other_frames_show_what_is_behind_the_person(turn: float) -> None:
    observations, cameras, rooms = clip(turn, 10)
    backdrop = Backdrop(observations, cameras)
    assert backdrop.stands is (turn == 0)
    for frame in (0, 6):
        behind = backdrop.behind(frame, WHOLE)
        known = behind[..., 3] == 255
        assert known[observations.masks[frame] > 0].mean() > 0.9
        assert np.abs(behind[..., :3].astype(float) - rooms[frame])[known].mean() < 3
        part = (slice(30, 90), slice(40, 100))
        np.testing.assert_allclose(backdrop.behind(frame, part).astype(int), behind[part].astype(int), atol=1)


def test_what_is_never_shown_is_not_known() -> None:
    observations, cameras, _ = clip(0.0, 0)
    assert not Backdrop(observations, cameras).behind(0, WHOLE)[observations.masks[0] > 0][:, 3].any()


def test_a_camera_that_moves_needs_depth() -> None:
    observations, cameras, _ = clip(0.0, 10)
    T = cameras.T_camera_world.clone()
    T[:, 0, 3] = torch.linspace(0, 1, FRAMES)
    with pytest.raises(ValueError, match="parallax"):
        Backdrop(observations, replace(cameras, T_camera_world=T))


def test_views_carry_the_background_and_the_colours_as_filmed() -> None:
    observations, cameras, _ = clip(0.0, 10)
    view = TrainingViews(observations, cameras, WIDTH, "cpu", Backdrop(observations, cameras)).get(6)
    assert view.behind is not None and view.behind.shape == (*view.mask.shape, 4)
    outside = view.mask == 0
    torch.testing.assert_close(view.image[outside], view.behind[..., :3][outside], atol=0.03, rtol=0)


def test_the_image_corrects_the_border_of_a_mask() -> None:
    """A mask that ends 2 pixels before the person: over the background the image asks for more coverage."""
    person, mask = torch.zeros(60, 100), torch.zeros(60, 100)
    person[10:50, 30:70], mask[10:50, 32:68] = 1, 1
    red, green = torch.tensor([0.9, 0.1, 0.1]), torch.tensor([0.1, 0.8, 0.1])
    image = torch.lerp(green, red, person[..., None])
    behind = torch.cat([green.expand(60, 100, 3), torch.ones(60, 100, 1)], -1)
    ring, far = (person > 0) & (mask == 0), torch.zeros(60, 100, dtype=torch.bool)
    far[:, 95:] = True

    def pull(learned: bool) -> torch.Tensor:
        alpha = torch.full((60, 100), 0.5, requires_grad=True)
        out = RenderOutput((alpha[..., None] * red)[None], alpha[None], torch.zeros(1, 60, 100))
        loss: PhotometricLoss
        if learned:
            loss = scene_loss(out, image, mask, torch.rand(3), behind)
        else:
            loss = photometric_loss(out, image, mask, torch.tensor([0.1, 0.1, 0.8]))
        return torch.autograd.grad(loss.l1 + 2 * loss.mask, alpha)[0]

    assert (pull(learned=True)[ring] < 0).all() and (pull(learned=False)[ring] > 0).all()
    assert (pull(learned=True)[far] > 0).all() and (pull(learned=True)[20:40, 45:55] < 0).all()


def test_what_hides_the_person_does_not_pull() -> None:
    alpha = torch.full((40, 60), 0.5, requires_grad=True)
    out = RenderOutput(alpha[None, ..., None].expand(1, 40, 60, 3), alpha[None], torch.zeros(1, 40, 60))
    trust = torch.ones(40, 60)
    trust[20:] = 0
    behind = torch.zeros(40, 60, 4)
    loss = scene_loss(out, torch.rand(40, 60, 3), torch.zeros(40, 60), torch.rand(3), behind, trust)
    gradient = torch.autograd.grad(loss.l1 + loss.mask + loss.rendered.square().mean(), alpha)[0]
    assert gradient[:20].all() and not gradient[20:].any()
