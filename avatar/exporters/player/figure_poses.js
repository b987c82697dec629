// The poses that fit a drawn figure: starts of all depths, each fitted, and a pose that follows a dragged point.

import { FigureFit } from "./figure_fit.js";
import { distinctPoses, figureStarts } from "./figure_starts.js";
import { ownLimbs } from "./foreign.js";

const STEPS = 10, STEPS_OF_A_DRAG = 3;

// The likeliest poses that fit a figure, the likeliest first: [{cost, state, at: {joint: place}}], to go on from.
// figure: {points: {name: [x, y]}, width, height}, pixels with y down.
export function poseHypotheses(figure, skeleton, count) {
  const fit = new FigureFit(figure, skeleton), own = ownLimbs(skeleton);
  const poses = figureStarts(figure.points, skeleton).map(({ at, scale }) => fit.solve(fit.start(at, scale, own), STEPS));
  for (const pose of poses) pose.at = fit.placesOf(pose.state);
  return distinctPoses(poses.sort((a, b) => a.cost - b.cost), count);
}

// A pose that follows a figure whose points have moved a little.
export function followedPose(figure, skeleton, { state }) {
  const fit = new FigureFit(figure, skeleton);
  const followed = fit.solve({ ...state, directions: fit.directions(fit.place(state)) }, STEPS_OF_A_DRAG);
  return { ...followed, at: fit.placesOf(followed.state) };
}
