"""Levenberg-Marquardt over a whole clip: unknowns per instant, coupled to few neighbours, and shared ones.

The normal matrix is banded in time with an arrow of shared unknowns (Triggs et al., "Bundle Adjustment: A Modern
Synthesis", 2000, section 6): the band is factored block by block, the shared part by its Schur complement, so the
time grows with the length of the clip and not with its cube.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

REACH = 2  # number of instants ahead that a residual may depend on


@dataclass(frozen=True)
class LinearizedResidual:
    """Residuals with their derivatives: at each of t instants g groups of m numbers.

    Attributes:
        value: the residuals.
        jac_frame: derivative by the step of an instant, for each number of instants that this one lies ahead.
        jac_shared: derivative by the shared step; None for zero.
    """

    value: Float[Tensor, "t g m"]
    jac_frame: dict[int, Float[Tensor, "t g m d"]]
    jac_shared: Float[Tensor, "t g m k"] | None

    def stencil(self, coefficients: Float[Tensor, "t2 c"]) -> LinearizedResidual:
        """The linear combination sum_c coefficients[t, c] * residual[t + c]."""
        rows, reach = coefficients.shape
        value = self.value.new_zeros(rows, *self.value.shape[1:])
        shared = None
        local: dict[int, Tensor] = {}
        for ahead in range(reach):
            factor = coefficients[:, ahead, None, None]
            value = value + factor * self.value[ahead : ahead + rows]
            if self.jac_shared is not None:
                part = factor[..., None] * self.jac_shared[ahead : ahead + rows]
                shared = part if shared is None else shared + part
            for shift, slope in self.jac_frame.items():
                part = factor[..., None] * slope[ahead : ahead + rows]
                local[ahead + shift] = local[ahead + shift] + part if ahead + shift in local else part
        return LinearizedResidual(value, local, shared)

    def scaled(self, factor: float) -> LinearizedResidual:
        """The residuals times a factor."""
        local = {shift: slope * factor for shift, slope in self.jac_frame.items()}
        shared = None if self.jac_shared is None else self.jac_shared * factor
        return LinearizedResidual(self.value * factor, local, shared)


@dataclass(frozen=True)
class Term:
    """Weighted robust residuals: the cost is half the sum of `weight * rho(|residual of a group|^2)`.

    Attributes:
        name: for the report.
        residual: in units of its standard deviation.
        weight: confidence in each group.
        robust_scale: Geman-McClure scale in standard deviations, beyond which residuals lose weight; inf: quadratic.
    """

    name: str
    residual: LinearizedResidual
    weight: Float[Tensor, "t g"]
    robust_scale: float = math.inf

    @property
    def costs(self) -> Float[Tensor, "t g"]:
        """The cost of each group."""
        square = self.residual.value.square().sum(-1)
        return 0.5 * self.weight * self._share(square) * square

    def robust(self) -> tuple[Float[Tensor, ""], Float[Tensor, "t g"]]:
        """The cost, and the weight of each group in the normal equations (Geman and McClure 1987)."""
        share = self._share(self.residual.value.square().sum(-1))
        return self.costs.sum(), self.weight * share**2

    def _share(self, square: Float[Tensor, "t g"]) -> Float[Tensor, "t g"]:
        """rho(square) / square; infinite scale: 1."""
        return 1 / (1 + square / self.robust_scale**2)


class NormalEquations:
    """Blocks of the band, the arrow, the shared corner, and the two gradients."""

    def __init__(self, instants: int, local: int, shared: int) -> None:
        kind = torch.float64
        self.band = [torch.zeros(max(instants - k, 0), local, local, dtype=kind) for k in range(REACH + 1)]
        self.arrow = torch.zeros(instants, local, shared, dtype=kind)
        self.corner = torch.zeros(shared, shared, dtype=kind)
        self.frame_gradient = torch.zeros(instants, local, dtype=kind)
        self.shared_gradient = torch.zeros(shared, dtype=kind)

    def add(self, term: Term, weight: Float[Tensor, "t g"]) -> None:
        """Add the Gauss-Newton part of one term."""
        root = weight.sqrt()[..., None]
        residual = (root * term.residual.value).flatten(1)
        shared = None
        if term.residual.jac_shared is not None:
            shared = (root[..., None] * term.residual.jac_shared).flatten(1, 2)
            flat = shared.flatten(0, 1)
            self.corner += flat.T @ flat
            self.shared_gradient += flat.T @ residual.flatten()
        local = {k: (root[..., None] * J).flatten(1, 2) for k, J in term.residual.jac_frame.items()}
        rows = len(residual)
        for a, left in local.items():
            self.frame_gradient[a : a + rows] += (left.mT @ residual[..., None]).squeeze(-1)
            if shared is not None:
                self.arrow[a : a + rows] += left.mT @ shared
            for b, right in local.items():
                if b >= a:
                    # block (t + a, t + b), stored at row t + a of band b - a
                    self.band[b - a][a : a + rows] += left.mT @ right

    def step(self, damping: float) -> tuple[Float[Tensor, "n d"], Float[Tensor, " k"]]:
        """The steps per instant and of the shared unknowns, with Levenberg's and Marquardt's damping together."""
        k = len(self.shared_gradient)
        right = torch.cat([self.frame_gradient[..., None], self.arrow], -1)
        solved = self._solve_band(damping, right)
        own, through = solved[..., 0], solved[..., 1:]
        corner = self.corner + torch.diag(damping * self.corner.diagonal() + 1e-9 + damping * 1e-3)
        schur = corner - torch.einsum("ndk,ndl->kl", self.arrow, through)
        gradient = self.shared_gradient - torch.einsum("ndk,nd->k", self.arrow, own)
        shared = -torch.linalg.solve(schur + 1e-9 * torch.eye(k, dtype=schur.dtype), gradient)
        return -own - through @ shared, shared

    def _solve_band(self, damping: float, right: Float[Tensor, "n d c"]) -> Float[Tensor, "n d c"]:
        """Block Cholesky of the band: two instants make one block of a block-tridiagonal matrix."""
        n, d, columns = right.shape
        pairs = math.ceil(n / 2)
        main = torch.zeros(pairs, 2, d, 2, d, dtype=right.dtype)
        above = torch.zeros(max(pairs - 1, 0), 2, d, 2, d, dtype=right.dtype)
        diagonal = self.band[0] + torch.diag_embed(
            damping * self.band[0].diagonal(dim1=-2, dim2=-1) + 1e-6 + damping * 1e-2
        )
        padded = torch.eye(d, dtype=right.dtype).repeat(2 * pairs, 1, 1)
        padded[:n] = diagonal
        main[:, 0, :, 0], main[:, 1, :, 1] = padded[0::2], padded[1::2]
        even, odd, two = self.band[1][0::2], self.band[1][1::2], self.band[2]
        main[: len(even), 0, :, 1] = even
        main[: len(even), 1, :, 0] = even.mT
        above[: len(odd), 1, :, 0] = odd
        above[: len(two[0::2]), 0, :, 0] = two[0::2]
        above[: len(two[1::2]), 1, :, 1] = two[1::2]
        rhs = torch.zeros(2 * pairs, d, columns, dtype=right.dtype)
        rhs[:n] = right
        solved = _block_tridiagonal(
            main.reshape(pairs, 2 * d, 2 * d), above.reshape(-1, 2 * d, 2 * d), rhs.reshape(pairs, 2 * d, columns)
        )
        return solved.reshape(2 * pairs, d, columns)[:n]


def _block_tridiagonal(
    main: Float[Tensor, "b d d"], above: Float[Tensor, "b1 d d"], right: Float[Tensor, "b d c"]
) -> Float[Tensor, "b d c"]:
    """Solve a symmetric positive definite block-tridiagonal system by block elimination."""
    factors: list[Tensor] = []
    carried: list[Tensor] = []
    for i in range(len(main)):
        block, side = main[i], right[i]
        if i > 0:
            link = torch.cholesky_solve(above[i - 1], factors[-1])
            block = block - above[i - 1].T @ link
            side = side - link.T @ carried[-1]
        factors.append(torch.linalg.cholesky(block))
        carried.append(side)
    solution = [torch.cholesky_solve(carried[-1], factors[-1])]
    for i in range(len(main) - 2, -1, -1):
        solution.append(torch.cholesky_solve(carried[i] - above[i] @ solution[-1], factors[i]))
    return torch.stack(solution[::-1])


Unknowns = TypeVar("Unknowns")
Unknowns_co = TypeVar("Unknowns_co", covariant=True)


@runtime_checkable
class Linearization(Protocol[Unknowns_co]):
    """A least-squares problem linearized at one state."""

    @property
    def cost(self) -> float:
        """Half the weighted sum of squares at the state."""
        ...

    def step(self, damping: float) -> Unknowns_co:
        """The state after one damped Newton step."""
        ...


@runtime_checkable
class ClipState(Protocol):
    """Unknowns of a whole clip, of each instant and shared, which a step moves; see `kinematics.State`."""

    def __len__(self) -> int: ...

    @property
    def frame_size(self) -> int:
        """Unknowns of one instant."""
        ...

    @property
    def shared_size(self) -> int:
        """Unknowns of the whole clip."""
        ...

    def moved(self, local: Float[Tensor, "n d"], shared: Float[Tensor, " k"]) -> Any: ...


AnyClipState = TypeVar("AnyClipState", bound=ClipState)


class ClipLinearization(Generic[AnyClipState]):
    """The terms of a whole clip at one state; the normal equations are built for the first step."""

    def __init__(self, terms_of: Callable[[AnyClipState], Sequence[Term]], state: AnyClipState) -> None:
        self._terms, self._state = terms_of(state), state
        self._robust = [term.robust() for term in self._terms]
        self.cost = float(sum(cost for cost, _ in self._robust))

    @cached_property
    def _normal(self) -> NormalEquations:
        normal = NormalEquations(len(self._state), self._state.frame_size, self._state.shared_size)
        for term, (_, weight) in zip(self._terms, self._robust, strict=True):
            normal.add(term, weight)
        return normal

    def step(self, damping: float) -> AnyClipState:
        """See `Linearization`."""
        moved: AnyClipState = self._state.moved(*self._normal.step(damping))
        return moved


def levenberg_marquardt(
    state: Unknowns, linearize: Callable[[Unknowns], Linearization[Unknowns]], steps: int, tolerance: float = 1e-4
) -> tuple[Unknowns, Linearization[Unknowns]]:
    """Lower the cost by at most `steps` damped Newton steps (Levenberg 1944, Marquardt 1963).

    Stops early when an accepted step lowers the cost by less than the fraction `tolerance` of it.

    Returns:
        The best state, and the problem linearized there.
    """
    damping = 1e-3
    current = linearize(state)
    for _ in range(steps):
        candidate = current.step(damping)
        attempt = linearize(candidate)
        if not attempt.cost < current.cost:
            damping = min(damping * 10, 1e6)
            continue
        gain = (current.cost - attempt.cost) / current.cost
        state, current = candidate, attempt
        damping = max(damping / 5, 1e-6)
        if gain < tolerance:
            break
    return state, current
