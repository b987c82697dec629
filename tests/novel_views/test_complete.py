"""Unobserved Gaussians take their most likely colours; observed ones keep theirs."""

import pytest
import torch

from avatar.body import load_body
from avatar.body.parts import PARTS
from avatar.model.avatar import Avatar, part_of_gaussians
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.training.inpainting import CROWN, FACE, HEAD, inpaint_unobserved

SKIN, HAIR = torch.tensor([0.8, 0.6, 0.5]), torch.tensor([0.1, 0.1, 0.1])


@pytest.fixture
def avatar() -> Avatar:
    body = load_body("open")
    frames = triangle_frames(body.rest(torch.zeros(body.shape_dirs.shape[-1])).vertices, body.faces)
    gaussians = sample_on_surface(frames, torch.ones(len(frames.area)), 4000, torch.Generator().manual_seed(0))
    return Avatar(body, torch.zeros(body.shape_dirs.shape[-1]), gaussians, deform=False)


def paint(avatar: Avatar, colors: torch.Tensor, observed: torch.Tensor) -> None:
    with torch.no_grad():
        avatar.gaussians.raw_colors.copy_(torch.logit(colors.clamp(0.02, 0.98)))
        avatar.gaussians.observed = observed.float()


def test_a_symmetrical_body_takes_its_colours_from_the_other_side(avatar: Avatar) -> None:
    places = avatar.rest_means().detach()
    # Bands that change with the height and the depth: neither the neighbourhood nor the front of a part is enough.
    truth = torch.stack([(60 * places[:, 1]).sin(), (60 * places[:, 2]).cos(), 0 * places[:, 0]], -1) * 0.2 + 0.5
    arms = part_of_gaussians(avatar) == PARTS.index("arms")
    hidden = arms & (places[:, 0] < 0)
    paint(avatar, torch.where(hidden[:, None], torch.tensor(0.9), truth), ~hidden)
    inpaint_unobserved(avatar)
    # Far from observed points on their own side, only the mirrored point has the colour.
    far = hidden & (places[:, 0] < places[arms & (places[:, 0] > 0), 0].quantile(0.3) * -1)
    guessed, flat = avatar.gaussians.colors.detach()[far], truth[arms].mean(0)
    assert (guessed - truth[far]).abs().mean() < 0.75 * (flat - truth[far]).abs().mean()


def test_a_back_takes_the_broad_colour_of_the_front_and_not_its_pattern(avatar: Avatar) -> None:
    places, normals = avatar.rest_means().detach(), avatar.surface.normals
    torso = part_of_gaussians(avatar) == PARTS.index("torso")
    back = torso & (normals[:, 2] < 0)
    upper = places[:, 1] > places[torso, 1].median()
    stripes = 0.15 * (200 * places[:, 0]).sin().sign()
    front = torch.where(upper, 0.7, 0.3) + stripes
    paint(avatar, torch.where(back, 0.95, front)[:, None].expand(-1, 3), ~back)
    inpaint_unobserved(avatar)
    deep = back & (normals[:, 2] < -0.7)
    colors = avatar.gaussians.colors.detach()[:, 0]
    height = places[torso, 1]
    high, low = deep & (places[:, 1] > height.quantile(0.7)), deep & (places[:, 1] < height.quantile(0.3))
    assert abs(colors[high].mean() - 0.7) < 0.06 and abs(colors[low].mean() - 0.3) < 0.06
    assert colors[high].std() < 0.5 * 0.15 and colors[low].std() < 0.5 * 0.15


def test_the_back_of_a_head_takes_hair_and_not_the_face(avatar: Avatar) -> None:
    places, parts = avatar.rest_means().detach(), part_of_gaussians(avatar)
    head = (parts == HEAD) | (parts == FACE)
    low, high = places[parts == HEAD, 1].amin(), places[parts == HEAD, 1].amax()
    crown = places[:, 1] > high - CROWN * (high - low)
    behind = (parts == HEAD) & (avatar.surface.normals[:, 2] < -0.6) & ~crown
    paint(avatar, torch.where((crown & head)[:, None], HAIR, SKIN), ~(head & (avatar.surface.normals[:, 2] < 0)))
    inpaint_unobserved(avatar)
    middle = behind & (places[:, 1] > (low + high) / 2)
    colors = avatar.gaussians.colors.detach()[middle].mean(0)
    assert (colors - HAIR).norm() < (colors - SKIN).norm()


def test_what_was_seen_keeps_its_colour_and_every_score_stays(avatar: Avatar) -> None:
    torch.manual_seed(0)
    scores = torch.rand(len(avatar))
    paint(avatar, torch.rand(len(avatar), 3), scores)
    before = avatar.gaussians.colors.detach().clone()
    inpaint_unobserved(avatar)
    observed = scores >= 0.5
    assert torch.equal(avatar.gaussians.colors[observed], before[observed])
    assert not torch.allclose(avatar.gaussians.colors[~observed], before[~observed], atol=0.05)
    assert torch.equal(avatar.observed, scores)


def test_without_anything_seen_nothing_is_invented(avatar: Avatar) -> None:
    paint(avatar, torch.rand(len(avatar), 3), torch.zeros(len(avatar)))
    before = avatar.gaussians.colors.detach().clone()
    inpaint_unobserved(avatar)
    assert torch.equal(avatar.gaussians.colors, before)


def test_the_background_at_the_outline_is_not_passed_on(avatar: Avatar) -> None:
    """A person filmed from the front: where the surface faces sideways the mask holds some of a green wall."""
    places, normals = avatar.rest_means().detach(), avatar.surface.normals
    wall, shirt = torch.tensor([0.1, 0.8, 0.1]), torch.tensor([0.7, 0.2, 0.2])
    observed, sideways = normals[:, 2] > 0, normals[:, 2].abs() < 0.3
    paint(avatar, torch.where(sideways[:, None], wall, shirt).expand(len(places), 3), observed)
    inside = (observed & ~sideways).float()
    inpaint_unobserved(avatar, inside)
    colors = avatar.gaussians.colors.detach()
    nearer_wall = (colors - wall).norm(dim=1) < (colors - shirt).norm(dim=1)
    assert nearer_wall[~observed].float().mean() < 0.01
    assert nearer_wall[observed & sideways].float().mean() < 0.2, "nor does it stay beside what was never seen"
    in_view = observed & ~sideways
    assert torch.allclose(colors[in_view], shirt.expand(int(in_view.sum()), 3), atol=0.02)


def test_a_print_on_the_front_is_not_on_the_back(avatar: Avatar) -> None:
    places, normals = avatar.rest_means().detach(), avatar.surface.normals
    torso = part_of_gaussians(avatar) == PARTS.index("torso")
    middle = places[torso, 1].median()
    printed = torso & (places[:, 0].abs() < 0.045) & ((places[:, 1] - middle).abs() < 0.035)
    back = normals[:, 2] < 0
    paint(avatar, torch.where(printed, 0.9, 0.2)[:, None].expand(-1, 3), ~back)
    inpaint_unobserved(avatar)
    behind = back & printed & (normals[:, 2] < -0.7)
    assert behind.sum() > 5 and (avatar.gaussians.colors.detach()[behind] < 0.35).float().mean() > 0.95
