"""What each pass of the fit reads from the images anew, at the places where the last state has the body."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from avatar.body import Body
from avatar.tracking.dense import DenseSampler, dense_sampler
from avatar.tracking.depth import DepthSampler
from avatar.tracking.kinematics import State
from avatar.tracking.objective import Stage
from avatar.tracking.optical_flow import Flow, FlowSampler
from avatar.tracking.options import TrackOptions
from avatar.tracking.other_cameras import OtherCamera, with_other_silhouettes
from avatar.tracking.problem import FitProblem
from avatar.tracking.silhouette import SilhouetteMatcher, SilhouetteMatches
from avatar.types import Observations


@dataclass(frozen=True)
class Samplers:
    """The images of a clip for the fit; without any of them it goes by the landmarks alone.

    Attributes:
        silhouette, flow: need masks.
        depth: of a depth camera; dense: of a dense detector.
        others: silhouettes of the cameras of `FitProblem.views`.
    """

    silhouette: SilhouetteMatcher | None = None
    flow: FlowSampler | None = None
    depth: DepthSampler | None = None
    dense: DenseSampler | None = None
    others: Sequence[SilhouetteMatcher] = ()

    def without_depth(self) -> Samplers:
        """The same without depth images."""
        return replace(self, depth=None)

    def read(
        self, problem: FitProblem, state: State, stage: Stage, turn: int
    ) -> tuple[FitProblem, SilhouetteMatches | None, Flow | None]:
        """The problem with what the images show at `state`, the matches of the silhouettes, and the optical flow.

        Args:
            turn: number of the pass; a dense detector's pixels are others in each.
        """
        matches = flow = None
        if self.depth is not None:
            problem = replace(problem, depth=self.depth.read(state))
        if self.dense is not None:
            problem = replace(problem, dense=self.dense.sample(turn))
        if math.isfinite(stage.silhouette):
            matches = None if self.silhouette is None else self.silhouette.match(state)
            flow = None if self.flow is None else self.flow.sample(state)
            problem = with_other_silhouettes(problem, self.others, state)
        return problem, matches, flow


def samplers_of(
    observations: Observations, body: Body, options: TrackOptions, tall: float, others: Sequence[OtherCamera] = ()
) -> Samplers:
    """The samplers of a clip.

    Args:
        tall: height of the person in the images, pixels.
    """
    dense, matchers = dense_sampler(observations, body, options), [other.matcher for other in others]
    if not len(observations.masks):
        return Samplers(dense=dense, others=matchers)
    size = observations.width, observations.height
    return Samplers(
        silhouette=SilhouetteMatcher(body, observations.masks, *size, tall, observations.trust),
        flow=FlowSampler(body, observations, tall),
        depth=None if observations.depth is None else DepthSampler(body, observations, tall),
        dense=dense,
        others=matchers,
    )
