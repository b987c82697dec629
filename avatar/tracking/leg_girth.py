"""The girth of the legs, fitted last, with the pose fixed.

The main fit keeps clothes outside the body, so legs come out too thin inside their trousers. Legs that filled the
trousers in that fit would follow cloth that hangs to one side; here only the shape can change.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from avatar.tracking.kinematics import State, pose_chain
from avatar.tracking.objective import SCHEDULE, shape_terms, silhouette_term
from avatar.tracking.problem import FitProblem
from avatar.tracking.silhouette import SilhouetteMatcher

ROUNDS = 3
JOINT_SHIFT = 0.002  # m, deviation of each joint at rest from where the fit has it, against the pelvis


def fit_leg_girth(problem: FitProblem, matcher: SilhouetteMatcher, state: State) -> State:
    """The state with legs that fill the outlines of the masks: other shape coefficients, the same pose.

    Gauss-Newton on the outline and the user's shape constraint, with a unit prior on the change. Outline points are
    not treated as outliers: cloth that hangs far out belongs to the girth.
    """
    fitted = state.betas
    for _ in range(ROUNDS):
        chain = pose_chain(problem.body, state)
        matches = matcher.match(state, legs=1.0)
        joint_shift = ((chain.rest_jac_betas - chain.rest_jac_betas[:1]) / JOINT_SHIFT).flatten(0, 1)
        prior = torch.eye(len(fitted), dtype=fitted.dtype) + joint_shift.T @ joint_shift
        H, g = prior, prior @ (state.betas - fitted)
        for term in (silhouette_term(problem, state, SCHEDULE[-1], chain, matches), *shape_terms(problem, state)):
            slopes = term.residual.jac_shared
            assert slopes is not None
            J = slopes[..., : len(fitted)].flatten(0, 2)
            weighted = J.T * term.weight.repeat_interleave(slopes.shape[2], dim=1).flatten()
            H, g = H + weighted @ J, g + weighted @ term.residual.value.flatten()
        state = replace(state, betas=state.betas - torch.linalg.solve(H, g))
    return state
