"""What reaches the browser: packed splats, exact in every frame, and images of the size that the machine affords."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import viser
from jaxtyping import UInt32

from avatar.errors import AvatarError
from avatar.geometry import quat_from_rotation, rotation_from_quat, rotation_from_rotvec
from avatar.io.images import write_image
from avatar.model.avatar import Avatar
from avatar.pipeline.report_images import heat
from avatar.types import Gaussians
from avatar.viewer.posing import t_pose
from avatar.viewer.server_images import MOVING_SECONDS, PixelBudget
from avatar.viewer.session import PosedState, Session
from avatar.viewer.splat_layer import THINNEST, SplatLayer, add_splats, packed
from avatar.viewer.state import LightChoice, ViewState

from .sample import sample_avatar, sample_track


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return sample_avatar(1500)


def unpacked(buffer: UInt32[np.ndarray, "n 8"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres, covariances and colours with opacities (bytes), read as the browser's shader reads them."""
    triangle = buffer[:, 4:7].copy().view(np.float16).astype(np.float32)
    covariances = np.zeros((len(buffer), 3, 3), np.float32)
    for value, (row, column) in zip(triangle.T, ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)), strict=True):
        covariances[:, row, column] = covariances[:, column, row] = value
    return buffer[:, :3].copy().view(np.float32), covariances, buffer[:, 7:].copy().view(np.uint8)


def test_the_browser_reads_centres_axes_and_colours() -> None:
    R = rotation_from_rotvec(torch.tensor([[0.2, -0.5, 1.0]]))
    scales = torch.tensor([[0.03, 0.01, 0.002]])
    colors = torch.tensor([[0.2, 0.4, 1.2]])
    splat = Gaussians(torch.tensor([[1.0, -2.0, 3.0]]), quat_from_rotation(R), scales, torch.tensor([0.8]), colors)
    centers, covariances, rgba = unpacked(packed(splat))
    values, vectors = np.linalg.eigh(covariances[0])
    assert np.allclose(np.sqrt(values[::-1]), scales[0].numpy(), rtol=2e-2)
    assert abs(vectors[:, 2] @ R[0, :, 0].numpy()) > 0.999
    assert centers.tolist() == [[1.0, -2.0, 3.0]] and rgba.tolist() == [[51, 102, 255, 204]]


def test_viser_packs_the_same(avatar: Avatar) -> None:
    """The layout is viser's own: what its slower setter makes of the same splats."""
    server = viser.ViserServer("127.0.0.1", port=8798, verbose=False)
    gaussians = avatar.pose(t_pose(torch.tensor([0.0, 0.9, 0.0]))).detach()
    spread = rotation_from_quat(gaussians.quats) * gaussians.scales.clamp_min(THINNEST)[:, None]
    handle = add_splats(server.scene, "/splats", gaussians)
    ours = handle.buffer.copy()
    handle.set_gaussians(
        gaussians.means.numpy(),
        (spread @ spread.mT).numpy(),
        gaussians.colors.numpy(),
        gaussians.opacities[:, None].numpy(),
    )
    for mine, theirs in zip(unpacked(ours), unpacked(handle.buffer), strict=True):
        assert np.abs(mine.astype(np.float32) - theirs.astype(np.float32)).max() <= 1.0  # a byte of colour
    assert np.array_equal(ours[:, :3], handle.buffer[:, :3])
    server.stop()


def test_a_motion_that_plays_is_exact_in_every_frame(avatar: Avatar) -> None:
    from avatar.viewer.clips import clip_of_track

    server = viser.ViserServer("127.0.0.1", port=8799, verbose=False)
    clip = clip_of_track("as filmed", sample_track(avatar, 5))
    session = Session(avatar, {clip.name: clip})
    layer = SplatLayer(server, session)
    for frame in range(5):
        state = ViewState(clip.name, (0.0,), frame=float(frame), playing=True)
        layer.show(state, session.posed_state(state))
        assert layer.handle is not None
        assert np.array_equal(layer.handle.buffer, packed(avatar.pose(clip.poses[frame]).detach()))
    server.stop()


def test_images_in_motion_are_as_large_as_the_machine_keeps_up_with() -> None:
    budget = PixelBudget()
    for _ in range(60):  # a machine that draws 10 million pixels per second
        side = budget.side(4 / 3, largest=2000)
        budget.learn(round(side * side * 3 / 4), side * side * 3 / 4 / 10e6)
    assert budget.side(4 / 3, 2000) == pytest.approx(math.sqrt(10e6 * MOVING_SECONDS * 4 / 3), rel=0.05)
    assert budget.side(4 / 3, 2000, tabs=2) == pytest.approx(budget.side(4 / 3, 2000) / math.sqrt(2), rel=0.01)
    assert budget.side(4 / 3, largest=500) == 500
    budget.learn(10_000, 10.0)
    assert budget.pixels > 0.9 * 10e6 * MOVING_SECONDS, "one image that was disturbed changes little"


def test_a_moment_is_the_same_object_until_something_changes(avatar: Avatar) -> None:
    from avatar.viewer.clips import clip_of_track

    clip = clip_of_track("as filmed", sample_track(avatar, 5))
    session = Session(avatar, {clip.name: clip})
    state = ViewState(clip.name, (0.0,))
    first = session.posed_state(state)
    assert session.posed_state(replace(state, playing=True, mesh=True)) is first
    assert session.posed_state(replace(state, frame=2.0)) is not first
    edited = replace(state, edited=clip.poses[3])
    assert session.posed_state(edited).pose is edited.edited
    assert session.gaussians(first) is session.gaussians(first)


def test_less_detail_keeps_the_silhouette(avatar: Avatar) -> None:
    session = Session(avatar, {})
    pose = t_pose(torch.tensor([0.0, 0.9, 0.0]))
    whole, less = (session.gaussians(PosedState(pose, "lit", detail)) for detail in (1.0, 0.25))
    assert len(less) == round(0.25 * len(whole))
    size = whole.means.amax(0) - whole.means.amin(0)
    assert torch.allclose(less.means.amax(0) - less.means.amin(0), size, atol=0.12)


def test_the_heat_map_rises_in_lightness() -> None:
    colors = heat(torch.linspace(0, 1, 50))
    lightness = colors @ torch.tensor([0.21, 0.72, 0.07])
    assert (lightness.diff() > 0).all()


def test_a_session_lights_the_avatar(avatar: Avatar, tmp_path: Path) -> None:
    session, pose = Session(avatar, {}), t_pose(torch.tensor([0.0, 0.9, 0.0]))
    surroundings = tmp_path / "x.png"
    write_image(surroundings, np.repeat(np.linspace(0, 255, 32).astype(np.uint8)[None, :, None], 16, 0).repeat(3, 2))
    name = session.add_surroundings("../room.png", surroundings.read_bytes())
    assert name == "room (image)"
    choices = [LightChoice(kind) for kind in ("filmed", "even", "above", "window", name)]
    choices += [LightChoice("window", 120.0), LightChoice("window", warmth=1.0), LightChoice(name, 90.0)]
    colors = [session.gaussians(PosedState(pose, "lit", light=light)).colors for light in choices]
    for i, one in enumerate(colors):
        assert not any(torch.equal(one, other) for other in colors[i + 1 :])
    with pytest.raises(AvatarError, match=r"broken\.hdr is not"):
        session.add_surroundings("broken.hdr", b"#?RADIANCE")
