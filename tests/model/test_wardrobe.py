"""Recoloured clothes keep their print, and clothes and heads change hands without holes or seams."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from skimage.color import deltaE_ciede2000

from avatar.errors import UsageError
from avatar.io.colors import lab_of_rgb, parse_color, rgb_of_lab
from avatar.model.avatar import Avatar
from avatar.model.garments import BOTTOM, FACE, HAIR, SHOES, SKIN, TOP
from avatar.model.gaussians import PARAMETERS
from avatar.model.recoloring import garment_color, recolor
from avatar.model.wardrobe import Labelled, dressed, with_head
from avatar.types import BodyPose
from tests.model.painted_people import Look, painted

RED = Look()
GREEN = Look(
    skin=(0.45, 0.30, 0.22), hair=(0.5, 0.4, 0.2), top=(0.1, 0.5, 0.2), bottom=(0.6, 0.5, 0.35), sleeves=0.6,
    legs=0.55, shoes=(0.8, 0.8, 0.8), beta=1.5, print=None,
)  # fmt: skip


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """CIEDE2000 of two sRGB colours."""
    return float(deltaE_ciede2000(*(lab_of_rgb(color[None])[0].numpy() for color in (a, b))))


@pytest.fixture
def red() -> Labelled:
    return painted(RED)


@pytest.fixture
def green() -> Labelled:
    return painted(GREEN, seed=1)


def test_lab_is_that_of_scikit_image() -> None:
    from skimage.color import rgb2lab

    rgb = torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    assert np.allclose(lab_of_rgb(rgb).numpy(), rgb2lab(rgb.numpy()), atol=0.3)
    assert torch.allclose(rgb_of_lab(lab_of_rgb(rgb)), rgb, atol=5e-3)


@pytest.mark.parametrize("text", ["#2050b0", "khaki", "black", "white", "rgb(200, 30, 30)"])
def test_a_garment_takes_the_colour_and_nothing_else_changes(red: Labelled, text: str) -> None:
    chosen, before = red.has(TOP), red.avatar.gaussians.colors.detach().clone()
    recolor(red.avatar, chosen, parse_color(text))
    assert difference(garment_color(red.avatar, chosen), parse_color(text)) < 2
    assert torch.equal(red.avatar.gaussians.colors[~chosen], before[~chosen])


def test_a_print_stays_a_print(red: Labelled) -> None:
    chosen = red.has(TOP)
    before = lab_of_rgb(red.avatar.gaussians.colors[chosen])
    recolor(red.avatar, chosen, parse_color("#2050b0"))
    after = lab_of_rgb(red.avatar.gaussians.colors[chosen])
    dots = before[:, 0] > 70
    assert dots.float().mean() > 0.05
    # White dots stay white, lighter than the cloth by as much as before.
    assert after[dots][:, 1:].norm(dim=1).median() < 15 and after[dots, 0].median() > after[~dots, 0].median() + 25
    assert np.corrcoef(before[:, 0], after[:, 0])[0, 1] > 0.95


def test_blends_along_a_hem_change_by_the_share_of_the_cloth() -> None:
    person = painted(Look(top=(0.1, 0.2, 0.7), print=None))
    chosen, colors = person.has(TOP), person.avatar.gaussians.colors.detach()
    points = person.avatar.surface.anchors
    away = torch.from_numpy(cKDTree(points[person.has(SKIN)].numpy()).query(points.numpy())[0])
    hem = chosen & (away < 0.02)
    skin, cloth = colors[person.has(SKIN)].median(0).values, colors[chosen].median(0).values
    with torch.no_grad():
        person.avatar.gaussians.raw_colors[hem] = torch.logit(0.7 * skin + 0.3 * cloth)
    recolor(person.avatar, chosen, parse_color("#c02020"))
    after = person.avatar.gaussians.colors[hem].detach()
    expected = 0.7 * skin + 0.3 * garment_color(person.avatar, chosen)
    assert (after - expected).abs().max(1).values.median() < 0.06


def test_the_noise_of_black_cloth_does_not_become_a_print() -> None:
    person = painted(Look(top=(0.05, 0.05, 0.06), print=None))
    chosen = person.has(TOP)
    recolor(person.avatar, chosen, parse_color("gold"))
    lightness = lab_of_rgb(person.avatar.gaussians.colors[chosen])[:, 0]
    assert lightness.std() < 5


def test_what_is_no_colour_is_refused() -> None:
    with pytest.raises(UsageError, match="not a colour"):
        parse_color("blurple-ish")


def bare(avatar: Avatar, of: Avatar) -> float:
    """Largest distance from the points of the body under one avatar's Gaussians to those under another's, metres."""
    places = [person.gaussians.anchors(of.frames).detach().numpy() for person in (avatar, of)]
    return float(cKDTree(places[0]).query(places[1])[0].max())


@pytest.mark.parametrize("worn", [(TOP,), (BOTTOM,), (TOP, BOTTOM, SHOES)])
@pytest.mark.parametrize("swapped", [False, True])
def test_clothes_change_hands(red: Labelled, green: Labelled, worn: tuple[int, ...], swapped: bool) -> None:
    wearer, other = (green, red) if swapped else (red, green)
    result = dressed(wearer, other, worn)
    assert len(result.labels) == len(result.avatar)
    assert torch.equal(result.avatar.betas, wearer.avatar.betas)
    assert bare(result.avatar, wearer.avatar) < 0.03
    for label in worn:
        assert (
            difference(garment_color(result.avatar, result.has(label)), garment_color(other.avatar, other.has(label)))
            < 2
        )
    for label in {SKIN, HAIR, TOP, BOTTOM, SHOES} - set(worn):
        mine = garment_color(wearer.avatar, wearer.has(label))
        assert difference(garment_color(result.avatar, result.has(label)), mine) < 3
    # Legs and arms that shorter clothes bare have the wearer's skin.
    limit = max((GREEN if other is green else RED).legs, 0.2)
    if BOTTOM in worn and other is green:
        below = result.has(SKIN) & (result.avatar.surface.anchors[:, 1] < limit)
        assert below.sum() > 50
        assert difference(garment_color(result.avatar, below), garment_color(wearer.avatar, wearer.has(SKIN))) < 5
    posed = result.avatar.pose(BodyPose(torch.zeros(3), torch.eye(3).repeat(24, 1, 1)))
    assert torch.isfinite(posed.means).all()


def test_gaussians_grow_with_the_wearer(red: Labelled, green: Labelled) -> None:
    result = dressed(red, green, (TOP,))
    ratio = (red.avatar.frames.area / green.avatar.frames.area).sqrt()
    before = green.avatar.gaussians.scales[green.has(TOP)].median()
    after = result.avatar.gaussians.scales[result.has(TOP)].median()
    assert float(after / before) == pytest.approx(float(ratio.median()), rel=0.1)


def test_another_head_has_no_seam(red: Labelled, green: Labelled) -> None:
    result = with_head(red, green)
    assert bare(result.avatar, red.avatar) < 0.03
    hair = garment_color(green.avatar, green.has(HAIR))
    assert difference(garment_color(result.avatar, result.has(HAIR)), hair) < 1
    height, skin = result.avatar.surface.anchors[:, 1], result.has(SKIN)
    joints = dict(zip(red.avatar.body.joint_names, red.avatar.rest.joints, strict=True))
    cut = float((joints["neck"][1] + joints["head"][1]) / 2)
    neck = result.avatar.surface.anchors[:, 0].abs() < 0.07
    above, below = (skin & neck & (height > a) & (height < b) for a, b in ((cut, cut + 0.03), (cut - 0.03, cut)))
    assert above.sum() > 10 and below.sum() > 10
    assert difference(garment_color(result.avatar, above), garment_color(result.avatar, below)) < 8
    # The hands have the tone of the new face.
    hands = skin & (result.avatar.surface.anchors[:, 0].abs() > 0.7)
    assert difference(garment_color(result.avatar, hands), torch.tensor(GREEN.skin)) < 8


def in_light(person: Labelled, *gains: float) -> Labelled:
    """The person with a light baked in: gains of the colours on the right, in front, and on the left and behind."""
    avatar = copy.deepcopy(person.avatar)
    side = avatar.surface.normals @ torch.tensor([0.8, 0.0, 0.6])
    gain = torch.lerp(torch.tensor(gains[0]), torch.tensor(gains[1]), (side[:, None] + 1) / 2)
    avatar.gaussians.raw_colors.data = torch.logit((avatar.gaussians.colors * gain).clamp(0.01, 0.99))
    return Labelled(avatar, person.labels)


def steps(person: Labelled, first: torch.Tensor) -> np.ndarray:
    """CIEDE2000 between the medians of the nearest skin of both sides, at the skin along their border."""
    skin, places = person.has(SKIN, FACE), person.avatar.rest_means().detach().numpy()
    lab = lab_of_rgb(person.avatar.gaussians.colors).numpy()
    sides = [np.flatnonzero(skin & side) for side in (first, ~first)]
    both = [cKDTree(places[side]).query(places[np.concatenate(sides)], k=16) for side in sides]
    near = (both[0][0][:, 0] < 0.02) & (both[1][0][:, 0] < 0.02)
    assert near.sum() > 20
    medians = [np.median(lab[side[at]], axis=1) for side, (_, at) in zip(sides, both, strict=True)]
    return np.asarray(deltaE_ciede2000(medians[0][near], medians[1][near]))


def marked(person: Labelled, value: float) -> Labelled:
    avatar = copy.deepcopy(person.avatar)
    avatar.gaussians.observed.fill_(value)
    return Labelled(avatar, person.labels)


@pytest.mark.parametrize("what", ["head", "top"])
def test_skin_meets_without_a_step_in_whatever_light_it_was_filmed(what: str, red: Labelled, green: Labelled) -> None:
    wearer, other = marked(in_light(red, 0.6, 1.1), 1.0), marked(in_light(green, 1.4, 0.8), 0.5)
    # Short sleeves for long ones bare the forearms, which meet the wearer's hands.
    result = with_head(wearer, other) if what == "head" else dressed(other, wearer, (TOP,))
    apart = steps(result, result.avatar.observed == 1)
    assert np.quantile(apart, 0.95) < 8


def test_a_head_comes_with_the_back_of_its_hair(red: Labelled, green: Labelled) -> None:
    result = with_head(marked(red, 1.0), marked(green, 0.5))
    place = result.avatar.surface.anchors
    behind = (place[:, 1] > 1.56) & (place[:, 2] < 0)
    assert behind.sum() > 100 and (result.avatar.observed[behind] == 0.5).all()


def test_what_fills_a_gap_lies_below(red: Labelled, green: Labelled) -> None:
    places = green.avatar.gaussians.anchors(red.avatar.frames)
    centre = places[(places - torch.tensor([0.0, 1.2, 0.5])).norm(dim=1).argmin()]
    keep = (places - centre).norm(dim=1) > 0.06
    holed, own = copy.deepcopy(green.avatar), green.avatar.gaussians
    for name in ("face", "bary", "observed", *PARAMETERS):
        value = getattr(own, name).detach()[keep]
        setattr(holed.gaussians, name, torch.nn.Parameter(value) if name in PARAMETERS else value)
    holed.refresh()
    result = dressed(red, Labelled(holed, green.labels[keep]), (TOP,))
    place = result.avatar.surface.anchors
    filled = (place - centre).norm(dim=1) < 0.04
    assert filled.sum() > 5 and (result.labels[filled] == TOP).all()
    assert (result.avatar.gaussians.offset[filled, 2] < 0).all()
    assert bare(result.avatar, red.avatar) < 0.03


def test_who_wears_no_shoes_lends_none(red: Labelled) -> None:
    barefoot = painted(RED)
    barefoot = Labelled(barefoot.avatar, torch.where(barefoot.labels == SHOES, SKIN, barefoot.labels))
    with pytest.raises(UsageError, match="no shoes"):
        dressed(red, barefoot, (SHOES,))


def test_a_rim_that_counts_as_skin_does_not_stand_off_another_body(red: Labelled, green: Labelled) -> None:
    legs = green.has(SKIN) & (green.avatar.surface.anchors[:, 1] < 0.5)
    rim = legs & (torch.arange(len(legs)) % 4 == 0)
    with torch.no_grad():
        green.avatar.gaussians.offset[rim, 2] = 0.06
    before = green.avatar.gaussians.offset.detach().clone()
    result = dressed(red, green, (BOTTOM,))
    offset = result.avatar.gaussians.offset.detach()[result.has(SKIN)]
    assert rim.sum() > 20 and float(offset.norm(dim=1).max()) < 0.02
    assert torch.equal(green.avatar.gaussians.offset, before)  # the other avatar stays as it is
