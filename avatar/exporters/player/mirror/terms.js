// The residuals of a frame of the mirror, each in units of its own standard deviation: those of
// avatar/tracking/objective.py and posture.py that need no future, with the numbers that were measured there, but for those of the light network's landmarks and directions.

import { rotvecOfQuat, squareSum } from "../figure_fit.js";
import { add, cross, dot, normalize, quatConjugate, quatMultiply, scaled, subtract } from "../rotations.js";
import { rotvecSlopes } from "./chain.js";
import { tilted } from "./tilt.js";

const MIRROR_SPREADS = {
  pixel: 0.02, // of a landmark, relative to the person's height in the image
  direction: 0.45, // of a bone by the detector's own guess in 3D, radians
  limit: 0.035, // of a joint beyond its range, radians
  speed: 2.5, // of a joint, radians per second
  planted: 0.03, // of a standing sole, metres per second
  lean: 0.15, // of the trunk towards the camera, radians
  balance: 0.06, // of the centre of mass from the middle of the feet, towards the camera, metres
  knee: 0.26, // bend, radians
  floor: 0.03, // of a sole from the floor, metres
};
export const USUAL_LEAN = 0.05; // of the trunk, forwards, radians
const USUAL_KNEE = 0.14; // radians
const PRIOR_WEIGHT = 0.05;

// The landmarks in the image, as a detector sees them that ignores a part of the camera's pitch.
export function addLandmarks(frame) {
  const { fit, chain, placed, equations, observed, view } = frame;
  const toCamera = (landmark) => tilted(chain.locate(placed, landmark), -view.pitch);
  const centre = scaled(add(...fit.hips.map(toCamera)), 0.5);
  const deviation = MIRROR_SPREADS.pixel * observed.tall;
  fit.landmarks.forEach((landmark, i) => {
    const { x, y, confidence } = observed.marks[i], bias = landmark.bias * view.pitch;
    const place = chain.locate(placed, landmark);
    const [a, b, c] = add(centre, tilted(subtract(tilted(place, -view.pitch), centre), bias));
    const depth = Math.max(-c, 0.1), factor = observed.focal / depth / deviation;
    const gradients = [[factor, 0, (factor * a) / depth], [0, factor, (factor * b) / depth]];
    const rows = gradients.map((gradient) => {
      const row = frame.equations.row();
      chain.addSlope(row, placed, landmark.joint, place, tilted(gradient, view.pitch - bias));
      return row;
    });
    const values = [factor * a - x / deviation, factor * b - y / deviation];
    equations.add(values, rows, confidence * landmark.weight, 4);
  });
}

// The directions of the bones, compared with the detector's own.
export function addBones(frame) {
  const { fit, equations, observed, view } = frame;
  fit.bones.forEach((bone, i) => {
    const angle = bone.share * view.pitch - view.pitch;
    const { unit, slope } = segmentSlopes(frame, bone);
    const { direction, confidence } = observed.bones[i];
    const values = scaled(subtract(tilted(unit, angle), direction), 1 / MIRROR_SPREADS.direction);
    const rows = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map((axis) =>
      slope(scaled(tilted(axis, -angle), 1 / MIRROR_SPREADS.direction)));
    equations.add(values, rows, confidence);
  });
}

// The unit vector from one point to another, and the row of slopes of a number with this gradient by the vector.
export function segmentSlopes(frame, { start, end }) {
  const { chain, placed } = frame;
  const [from, to] = [chain.locate(placed, start), chain.locate(placed, end)];
  const line = subtract(to, from), length = Math.hypot(...line), unit = scaled(line, 1 / length);
  const slope = (gradient, row = frame.equations.row()) => {
    const across = scaled(subtract(gradient, scaled(unit, dot(gradient, unit))), 1 / length);
    chain.addSlope(row, placed, end.joint, to, across);
    chain.addSlope(row, placed, start.joint, from, scaled(across, -1));
    return row;
  };
  return { unit, slope };
}

// Joints near their usual angles and within their ranges, and knees nearly straight.
export function addJoints(frame) {
  const { fit, chain, state, equations } = frame;
  chain.joints.forEach((name, joint) => {
    if (!joint) return;
    const ranges = fit.words.ranges[name];
    const angles = rotvecOfQuat(state.turns[joint]), slopes = rotvecSlopes(angles);
    angles.forEach((angle, axis) => {
      const [low, usual, high, spread] = ranges[axis];
      const add = (value, factor, weight, scale) =>
        equations.add([value], [jointRow(frame, joint, slopes[axis], factor)], weight, scale);
      add((angle - usual) / spread, 1 / spread);
      const inside = Math.min(Math.max(angle, low), high);
      if (angle !== inside) add((angle - inside) / MIRROR_SPREADS.limit, 1 / MIRROR_SPREADS.limit);
      if (axis === 0 && /knee/.test(name)) add((angle - USUAL_KNEE) / MIRROR_SPREADS.knee, 1 / MIRROR_SPREADS.knee, 1, 2);
    });
  });
}

export function jointRow(frame, joint, slopes, factor) {
  const row = frame.equations.row();
  for (let k = 0; k < 3; k++) row[3 + 3 * joint + k] = factor * slopes[k];
  return row;
}

// Away from the camera the image says little: there the trunk is upright and the weight over the feet.
export function addPosture(frame) {
  const { fit, chain, placed, equations } = frame;
  const away = [0, 0, -1];
  const left = subtract(...fit.hips.map((hip) => chain.locate(placed, hip)));
  const forward = normalize(cross(left, [0, 1, 0]));
  const { unit, slope } = segmentSlopes(frame, fit.trunk);
  const lean = (dot(unit, away) - USUAL_LEAN * dot(forward, away)) / MIRROR_SPREADS.lean;
  equations.add([lean], [slope(scaled(away, 1 / MIRROR_SPREADS.lean))], 1, 2);
  const row = frame.equations.row(), whole = fit.masses.reduce((sum, { mass }) => sum + mass, 0);
  let overhang = 0;
  const weigh = (points, share) => points.forEach((point) => {
    const place = chain.locate(placed, point), weight = share(point) / MIRROR_SPREADS.balance;
    overhang += weight * dot(place, away);
    chain.addSlope(row, placed, point.joint, place, scaled(away, weight));
  });
  weigh(fit.masses, ({ mass }) => mass / whole);
  weigh(fit.feet, () => -1 / fit.feet.length);
  equations.add([overhang], [row], 1, 5);
}

// How people hold their limbs: the likeliest component of avatar/tracking/pose_prior.py, whose features are directions
// along the person's left, up and the heading. The heading stays as it is within a step.
export function addPosePrior(frame) {
  const { fit, chain, placed, equations } = frame;
  const { means, whitening, penalty } = fit.words.prior;
  const hips = subtract(...fit.hips.map((hip) => chain.locate(placed, hip)));
  const left = normalize([hips[0], 0, hips[2]]), axes = [left, [0, 1, 0], cross(left, [0, 1, 0])];
  const segments = fit.segments.map((segment) => segmentSlopes(frame, segment));
  const features = segments.flatMap(({ unit }) => axes.map((axis) => dot(axis, unit)));
  const whitened = (k) => whitening[k].map((row) => row.reduce((sum, w, i) => sum + w * (features[i] - means[k][i]), 0));
  const costs = means.map((_, k) => 0.5 * squareSum(whitened(k)) + penalty[k]);
  const chosen = costs.indexOf(Math.min(...costs));
  const slopes = segments.flatMap(({ slope }) => axes.map((axis) => slope(axis)));
  const rows = whitening[chosen].map((weights) => {
    const row = equations.row();
    weights.forEach((weight, i) => {
      if (weight) for (let k = 0; k < row.length; k++) row[k] += weight * slopes[i][k];
    });
    return row;
  });
  equations.add(whitened(chosen), rows, PRIOR_WEIGHT);
  equations.cost += PRIOR_WEIGHT * penalty[chosen];
}

// Soles are on the floor or, as outliers, far from it.
export function addFloor(frame) {
  const { fit, chain, placed, equations, view } = frame;
  for (const sole of fit.soles) {
    const place = chain.locate(placed, sole), row = frame.equations.row();
    chain.addSlope(row, placed, sole.joint, place, [0, 1 / MIRROR_SPREADS.floor, 0]);
    equations.add([(place[1] - view.floor) / MIRROR_SPREADS.floor], [row], 1, 2);
  }
}

// Joints turn slowly, and feet that stand do not slide.
export function addMotion(frame, before) {
  const { fit, chain, state, placed, equations } = frame;
  const speed = 1 / (MIRROR_SPREADS.speed * before.seconds), planted = 1 / (MIRROR_SPREADS.planted * before.seconds);
  state.turns.forEach((turn, joint) => {
    if (!joint) return; // the whole body turns as fast as it likes
    const angles = rotvecOfQuat(quatMultiply(quatConjugate(before.state.turns[joint]), turn));
    const rows = rotvecSlopes(angles).map((slopes) => jointRow(frame, joint, slopes, speed));
    equations.add(scaled(angles, speed), rows, 1, 3);
  });
  const placedBefore = chain.place(before.state);
  fit.soles.forEach((sole, i) => {
    if (!before.standing[i]) return;
    const place = chain.locate(placed, sole), step = subtract(place, chain.locate(placedBefore, sole));
    const rows = [0, 1, 2].map((axis) => {
      const row = equations.row();
      chain.addSlope(row, placed, sole.joint, place, [0, 1, 2].map((k) => (k === axis ? planted : 0)));
      return row;
    });
    equations.add(scaled(step, planted), rows, before.standing[i], 5);
  });
}
