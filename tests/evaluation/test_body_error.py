"""Errors gathered on the body: only where an image shows it, and where it is wrong."""

from __future__ import annotations

import torch

from avatar.evaluation.body_error import draw_on_body, errors_on_body, mean_errors
from avatar.evaluation.regions import LABELS, body_view, face_labels
from avatar.rendering.camera_paths import orbit

from .conftest import BOX, made_up_avatar, poses


def test_an_error_on_the_legs_is_an_error_of_the_legs_and_the_back_is_not_in_view() -> None:
    avatar = made_up_avatar()
    pose, cameras = poses(avatar, 2)[0], orbit(*BOX, 2, 360, 480)
    views = [body_view(avatar, pose, cameras[i], "auto") for i in range(2)]
    truth = torch.zeros(480, 360, 3)
    image = torch.where((views[0].labels == LABELS.index("legs"))[..., None], 0.4, truth)
    front = errors_on_body(image, truth, views[0])
    labels, shown = face_labels(avatar.body), front.isfinite()
    assert 0.2 < shown.float().mean() < 0.6
    assert front[shown & (labels == LABELS.index("legs"))].mean() > 0.35
    assert front[shown & (labels == LABELS.index("torso"))].mean() < 0.02
    back = errors_on_body(image, truth, views[1]).isfinite()
    torso = labels == LABELS.index("torso")
    assert (shown & back & torso).sum() < 0.1 * (shown & torso).sum()
    both = mean_errors([front, torch.full_like(front, torch.nan)])
    torch.testing.assert_close(both, front, equal_nan=True)


def test_the_drawing_shows_front_and_back() -> None:
    avatar = made_up_avatar()
    labels = face_labels(avatar.body)
    colors = torch.where(
        (labels == LABELS.index("face"))[:, None], torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 0, 1])
    )
    drawing = draw_on_body(avatar, colors, "auto").astype(int)
    red = (drawing[..., 0] > 200) & (drawing[..., 2] < 80)
    half = drawing.shape[1] // 2
    assert red[:, :half].sum() > 50 and red[:, half:].sum() < 10
    assert (drawing[..., 2] - drawing[..., 0] > 100).sum() > 5000
