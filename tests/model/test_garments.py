"""Which garment each Gaussian shows, on painted people."""

from __future__ import annotations

import pytest
import torch

from avatar.model.garments import BOTTOM, FACE, GARMENTS, HAIR, SHOES, SKIN, TOP, garment_labels
from tests.model.painted_people import Look, painted

LOOKS = {
    "printed shirt, trousers": Look(),
    "long sleeves, shorts": Look(top=(0.15, 0.4, 0.2), sleeves=0.62, legs=0.55, print=None),
    "white shirt, dark skin": Look(
        skin=(0.35, 0.22, 0.16), top=(0.9, 0.9, 0.92), bottom=(0.1, 0.1, 0.1), shoes=(0.5, 0.5, 0.5)
    ),
    "cuffs over the hands": Look(top=(0.08, 0.09, 0.14), sleeves=0.72, print=None),
    "long hair": Look(hair_end=1.46, hair=(0.35, 0.2, 0.1)),
}


@pytest.mark.parametrize("name", LOOKS)
def test_labels_agree_with_what_was_painted(name: str) -> None:
    person = painted(LOOKS[name])
    labels = garment_labels(person.avatar)
    flat = torch.where(labels == FACE, SKIN, labels)  # where the face ends is a matter of taste
    truth = torch.where(person.labels == FACE, SKIN, person.labels)
    assert (flat == truth).float().mean() >= 0.95
    for label in (HAIR, TOP, BOTTOM, SHOES):
        ours, theirs = flat == label, truth == label
        assert (ours & theirs).sum() / (ours | theirs).sum() > 0.75, GARMENTS[label]


def test_the_face_lies_in_front_of_the_head() -> None:
    person = painted(Look())
    face = garment_labels(person.avatar) == FACE
    place = person.avatar.rest_means()[face]
    assert face.sum() > 100 and (place[:, 1] > 1.42).all() and (place[:, 2] > 0.03).all()


def test_bare_feet_are_no_shoes_and_a_bald_head_is_no_hair() -> None:
    look = Look()
    labels = garment_labels(painted(Look(shoes=look.skin, hair=look.skin)).avatar)
    assert not (labels == SHOES).any() and not (labels == HAIR).any() and (labels == TOP).any()


def test_an_avatar_without_gaussians_on_its_feet_is_labelled_too() -> None:
    person = painted(Look(), count=300)
    assert garment_labels(person.avatar).shape == (300,)


def test_a_cuff_is_no_hand_and_a_dark_collar_no_hair() -> None:
    look = Look(top=(0.10, 0.08, 0.08), sleeves=0.71, print=None)
    person = painted(look)
    labels, place = garment_labels(person.avatar), person.avatar.surface.anchors
    cuff = person.labels == TOP
    cuff &= place[:, 0].abs() > 0.67
    assert cuff.sum() > 50 and (labels[cuff] == TOP).float().mean() > 0.8
    collar = (person.labels == TOP) & (place[:, 1] > 1.40) & (place[:, 2] > 0.02)
    assert collar.sum() > 30 and not (labels[collar] == HAIR).any()
