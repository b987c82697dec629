"""Skinned Gaussians: the compiled kernels against tensors, in values and gradients."""

from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from avatar.body.skeleton import SMPL_PARENTS
from avatar.geometry import quat_from_rotation, rotation_from_quat, rotation_from_rotvec
from avatar.kernels.threads import set_threads, threads
from avatar.model.joint_transforms import joint_transforms_and_quats
from avatar.model.skinning import CanonicalSurface, GaussianAttributes, SkinnedGaussians, skin_gaussians
from avatar.types import BodyPose

COUNT, JOINTS = 2500, 6


def made_up(seed: int = 0) -> tuple[CanonicalSurface, dict[str, Tensor]]:
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int, size: float = 1.0) -> Tensor:
        return size * torch.randn(*shape, generator=g)

    quats = F.normalize(normal(COUNT, 4), dim=-1)
    weights = torch.rand(COUNT, JOINTS, generator=g) ** 4
    surface = CanonicalSurface(
        anchors=normal(COUNT, 3),
        frames=rotation_from_quat(quats),
        quats=quats,
        normals=F.normalize(normal(COUNT, 3), dim=-1),
        weights=weights / weights.sum(1, keepdim=True),
    )
    leaves = {
        "offset": normal(COUNT, 3, size=0.01),
        "quats": normal(COUNT, 4),
        "colors": torch.rand(COUNT, 3, generator=g),
        "displacement": normal(COUNT, 3, size=0.01),
        "brightness": normal(COUNT, size=0.2),
        "motions": torch.cat(
            [normal(JOINTS, 12), F.normalize(torch.tensor([2.0, 0, 0, 0]) + normal(JOINTS, 4), dim=-1)], dim=1
        ),
        "light": normal(8, 3, size=0.2),
    }
    return surface, {name: value.requires_grad_() for name, value in leaves.items()}


def skinned(
    function: Callable[..., SkinnedGaussians],
    surface: CanonicalSurface,
    leaves: dict[str, Tensor],
    without: Sequence[str] = (),
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """World values and the gradients of a weighted sum of them, by each leaf that is used."""
    used = {name: None if name in without else leaf for name, leaf in leaves.items()}
    own = GaussianAttributes(
        leaves["offset"], leaves["quats"], leaves["colors"], used["displacement"], used["brightness"]
    )
    out = function(surface, own, used["motions"], used["light"])
    values = [out.means, out.quats, out.colors]
    g = torch.Generator().manual_seed(1)
    weights = [torch.randn(value.shape, generator=g).to(value) for value in values]
    present = {name: leaf for name, leaf in used.items() if leaf is not None}
    gradients = torch.autograd.grad(values, list(present.values()), weights)
    return values, dict(zip(present, gradients, strict=True))


@pytest.mark.parametrize("without", [(), ("light",), ("displacement", "brightness")], ids=["all", "unlit", "stiff"])
def test_kernels_agree_with_tensors(without: tuple[str, ...]) -> None:
    surface, leaves = made_up()
    values, gradients = skinned(skin_gaussians, surface, leaves, without)
    truth, true_gradients = skinned(skin_gaussians.tensors, surface, leaves, without)
    assert (truth[2] == 1).any() and (truth[2] < 1).any()  # both sides of the clamp
    for value, true in zip(values, truth, strict=True):
        torch.testing.assert_close(value, true, rtol=1e-4, atol=1e-5)
    for name, gradient in gradients.items():
        size = true_gradients[name].abs().max()
        torch.testing.assert_close(gradient / size, true_gradients[name] / size, rtol=1e-3, atol=2e-5, msg=name)


def test_same_bits_whatever_the_number_of_threads() -> None:
    surface, leaves = made_up()
    before = threads()
    results = []
    try:
        for count in (1, 2, 3):
            set_threads(count)
            values, gradients = skinned(skin_gaussians, surface, leaves)
            results.append([*values, *gradients.values()])
    finally:
        set_threads(before)
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


def test_a_rigid_motion_moves_rigidly_and_keeps_colours() -> None:
    surface, leaves = made_up()
    R, t = rotation_from_rotvec(torch.tensor([0.3, 2.0, -0.5])), torch.tensor([1.0, 2.0, 3.0])
    motion = torch.cat([torch.cat([R, t[:, None]], 1).flatten(), quat_from_rotation(R)])
    stillness = torch.cat([torch.eye(4)[:3].flatten(), torch.eye(4)[0]])
    own = GaussianAttributes(leaves["offset"].detach(), leaves["quats"].detach(), leaves["colors"].detach())
    still = skin_gaussians(surface, own, stillness.repeat(JOINTS, 1), None)
    moved = skin_gaussians(surface, own, motion.repeat(JOINTS, 1), None)
    torch.testing.assert_close(moved.means, still.means @ R.T + t, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        rotation_from_quat(moved.quats), R @ rotation_from_quat(still.quats), rtol=1e-4, atol=1e-5
    )
    assert torch.equal(moved.colors, own.colors)


@pytest.mark.parametrize("size", [0.3, 3.0], ids=["small turns", "through half turns"])
def test_compiled_joint_transforms_agree_with_tensors(size: float) -> None:
    g = torch.Generator().manual_seed(3)
    turns = (size * torch.randn(20, len(SMPL_PARENTS), 3, generator=g)).requires_grad_()
    root = torch.randn(20, 3, generator=g).requires_grad_()
    rest = torch.randn(len(SMPL_PARENTS), 3, generator=g)
    weights = torch.randn(len(SMPL_PARENTS), 16, generator=g)
    for i in range(len(turns)):
        motions, gradients = zip(
            *(
                (out, torch.autograd.grad(out, (turns, root), weights))
                for function in (joint_transforms_and_quats, joint_transforms_and_quats.tensors)
                for out in [function(rest, SMPL_PARENTS, BodyPose(root[i], rotation_from_rotvec(turns[i])))]
            ),
            strict=True,
        )
        torch.testing.assert_close(*motions, rtol=1e-4, atol=2e-5)
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)
