"""Light and deformation: neutral at the start, local, and constant beyond the training poses."""

import torch
from torch import Tensor

from avatar.body.skeleton import SMPL_PARENTS
from avatar.geometry import rotation_from_rotvec
from avatar.model.deformation import DeformMLP, joint_influence, positional_encoding
from avatar.model.lighting import Light, irradiance_gain, normal_polynomials

LEFT_KNEE, RIGHT_ELBOW = 4, 19


def random_normals(n: int) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(n, 3, generator=torch.Generator().manual_seed(0)), dim=1)


def test_new_light_changes_nothing() -> None:
    assert torch.equal(irradiance_gain(random_normals(10), Light().coefficients), torch.ones(10, 3))


def test_light_cannot_pass_for_colour() -> None:
    # No constant term: over all directions the polynomials average to zero.
    assert normal_polynomials(random_normals(200_000)).mean(0).abs().max() < 5e-3


def test_light_recovers_a_lamp() -> None:
    normals = random_normals(2000)
    truth = (0.5 * normals[:, :1]).exp().expand(-1, 3)
    light = Light()
    optimizer = torch.optim.Adam(light.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        (irradiance_gain(normals, light.coefficients) - truth).square().mean().backward()
        optimizer.step()
    assert torch.allclose(irradiance_gain(normals, light.coefficients), truth, atol=0.01)


def trained_deform() -> DeformMLP:
    deform = DeformMLP(24)
    torch.nn.init.normal_(deform.out.weight, generator=torch.Generator().manual_seed(2))
    bends = torch.zeros(3, 24, 3)
    bends[1, LEFT_KNEE, 0], bends[2, LEFT_KNEE, 0] = 0.5, 1.0
    deform.remember_poses(rotation_from_rotvec(bends))
    return deform


def bent(joint: int, angle: float) -> Tensor:
    v = torch.zeros(24, 3)
    v[joint, 0] = angle
    return rotation_from_rotvec(v)


def test_a_new_network_moves_nothing() -> None:
    moved, brightness = DeformMLP(24)(
        torch.eye(3).expand(24, 3, 3), positional_encoding(torch.rand(5, 3)), torch.eye(24)[:5]
    )
    assert (moved == 0).all() and (brightness == 0).all()


def test_only_joint_influence_are_heard() -> None:
    weights = torch.eye(24)[[LEFT_KNEE, RIGHT_ELBOW]]
    near = joint_influence(weights, SMPL_PARENTS)
    assert near[0, 1] > 0 and near[0, 7] > 0 and near[0, RIGHT_ELBOW] == 0
    deform, points = trained_deform(), positional_encoding(torch.rand(2, 3))
    change = deform(bent(LEFT_KNEE, 1.0), points, near)[0] - deform(bent(LEFT_KNEE, 0.0), points, near)[0]
    assert change[0].abs().max() > 1e-5 and change[1].abs().max() == 0


def test_the_deformation_is_constant_beyond_the_training_poses() -> None:
    deform, points = trained_deform(), positional_encoding(torch.rand(1, 3))
    near = joint_influence(torch.eye(24)[[LEFT_KNEE]], SMPL_PARENTS)
    inside, edge = (deform(bent(LEFT_KNEE, angle), points, near)[0] for angle in (0.5, 1.0))
    beyond = deform(bent(LEFT_KNEE, 1.5), points, near)[0]
    assert not torch.allclose(inside, edge)
    # The sine of the knee's angle may grow or shrink past the edge but every clamped feature lies in its range.
    assert torch.allclose(beyond, edge, atol=2e-3)


def test_joints_without_training_poses_do_not_matter() -> None:
    deform, points = trained_deform(), positional_encoding(torch.rand(1, 3))
    near = joint_influence(torch.eye(24)[[RIGHT_ELBOW]], SMPL_PARENTS)
    assert torch.equal(deform(bent(RIGHT_ELBOW, 1.0), points, near)[0], deform(bent(RIGHT_ELBOW, 0.0), points, near)[0])


def test_the_prior_of_the_light_is_light_from_above() -> None:
    light = Light()
    assert light.prior_loss() > 0
    light.initialize_prior()
    assert light.prior_loss() == 0
    up, aside, down = irradiance_gain(torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, -1, 0]]), light.coefficients)
    assert (up > aside).all() and (aside > down).all()
    torch.testing.assert_close(aside, torch.ones(3))


def test_the_prior_extrapolates_light_to_the_back() -> None:
    """Of two lights that look alike on the observed side, the likelier is the one whose back is dark."""
    front, back = torch.tensor([[0.0, 0, 1], [1, 0, 0]]), torch.tensor([[0.0, 0, -1]])
    linear, square = Light(), Light()
    with torch.no_grad():
        linear.coefficients[2] = 0.2
        square.coefficients[6] = -0.1
    fronts = [irradiance_gain(front, light.coefficients) for light in (linear, square)]
    assert torch.allclose(fronts[0][0] / fronts[0][1], fronts[1][0] / fronts[1][1])
    assert linear.prior_loss() < square.prior_loss()
    assert irradiance_gain(back, linear.coefficients).max() < 0.9 < 1 < irradiance_gain(back, square.coefficients).min()
