// A pose fitted to a drawn figure by least squares, with the residuals of avatar/tracking/single_pose.py: the points in
// the image, the usual angles of the joints and their limits, balance, and how people lean.
//
// World: x to the right of the image, y up, z towards the viewer, with the camera at the origin.

import { CAMERA_PITCH, UPWARDS, figureBones } from "./figure_starts.js";
import { framesOfPlaces, localTurns } from "./foreign.js";
import { SIDE_NAMES } from "./joint_names.js";
import {
  add, cross, dot, normalize, quatAboutAxis, quatMultiply, quatNormalize, rotate, scaled, subtract,
} from "./rotations.js";

const FIGURE_FOCAL = 0.92; // of the longer side of the image: a phone's main camera
const FIGURE_PIXEL = 0.01; // standard deviation of a point, relative to the height of the figure
const FIGURE_DIRECTION = 0.3; // of a bone from where the start has it, radians
const FIGURE_OVERSHOOT = 0.035; // of a joint beyond its range, radians
const FIGURE_STEP = 1e-4; // for slopes by differences
const FIGURE_BONES = [...figureBones(), ["pelvis", "neck"]];

export class FigureFit {
  // figure: {points: {name: [x, y]}, width, height}.
  constructor(figure, skeleton) {
    this.skeleton = skeleton;
    this.words = skeleton.figure;
    this.joints = skeleton.joints.map(({ name }) => name).filter((name) => this.words.joints.includes(name));
    // Joints without a range, such as ankles, stay at rest.
    this.free = this.joints.flatMap((name, i) => (this.words.ranges[name] ? [3 * i, 3 * i + 1, 3 * i + 2] : []));
    this.parents = this.joints.map((name) => {
      let parent = skeleton.joints[skeleton.index[name]].parent;
      while (parent >= 0 && !this.joints.includes(skeleton.joints[parent].name)) parent = skeleton.joints[parent].parent;
      return parent < 0 ? -1 : this.joints.indexOf(skeleton.joints[parent].name);
    });
    const place = (name) => skeleton.joints[skeleton.index[name]].position;
    this.offsets = this.joints.map((name, i) =>
      this.parents[i] < 0 ? place(name) : subtract(place(name), place(this.joints[this.parents[i]])));
    this.at = Object.fromEntries(this.joints.map((name, i) => [name, i]));
    this.move(figure);
  }

  // Take other points of the same image.
  move({ points, width, height }) {
    const middle = [width / 2, height / 2], rows = Object.values(points).map(([, y]) => y);
    this.focal = FIGURE_FOCAL * Math.max(width, height);
    this.deviation = FIGURE_PIXEL * Math.max(Math.max(...rows) - Math.min(...rows), 1);
    this.points = this.words.points.map((name) => {
      const [joint, offset] = this.words.places[name];
      return { joint: this.at[joint], offset, x: points[name][0] - middle[0], y: middle[1] - points[name][1] };
    });
  }

  // The start of a fit from places of the joints, see `figurePoses`.
  start(places, pixelsPerMetre, own) {
    const local = localTurns(framesOfPlaces(places, own), this.skeleton);
    const hips = scaled(add(this.skeleton.joints[this.skeleton.index.left_hip].position,
      this.skeleton.joints[this.skeleton.index.right_hip].position), 0.5);
    const toPelvis = subtract(this.skeleton.joints[this.skeleton.index.pelvis].position, hips);
    const middle = [0, 1].map((axis) => SIDE_NAMES.reduce((sum, side) =>
      sum + this.points[this.words.points.indexOf(`${side}_hip`)]["xy"[axis]] / 2, 0));
    const state = {
      root: add([middle[0] / pixelsPerMetre, middle[1] / pixelsPerMetre, -this.focal / pixelsPerMetre], toPelvis),
      turn: local.pelvis,
      rotvecs: this.joints.flatMap((name) => (this.words.ranges[name] ? rotvecOfQuat(local[name]) : [0, 0, 0])),
    };
    state.directions = this.directions(this.place(state));
    return state;
  }

  place({ root, turn, rotvecs }) {
    const places = [root], turns = [turn];
    for (let i = 1; i < this.joints.length; i++) {
      const parent = this.parents[i];
      turns.push(quatMultiply(turns[parent], quatOfRotvec(rotvecs, 3 * i)));
      places.push(add(places[parent], rotate(turns[parent], this.offsets[i])));
    }
    return { places, turns };
  }

  directions({ places }) {
    return FIGURE_BONES.map(([a, b]) => normalize(subtract(places[this.at[b]], places[this.at[a]])));
  }

  residuals(state) {
    const placed = this.place(state), { places, turns } = placed;
    const out = [];
    for (const { joint, offset, x, y } of this.points) {
      const [a, b, c] = add(places[joint], rotate(turns[joint], offset));
      out.push((-this.focal * a / c - x) / this.deviation, (-this.focal * b / c - y) / this.deviation);
    }
    this.directions(placed).forEach((direction, i) => {
      out.push(...robust(scaled(subtract(direction, state.directions[i]), 1 / FIGURE_DIRECTION), 2));
    });
    for (const index of this.free) {
      const [low, usual, high, spread] = this.words.ranges[this.joints[Math.floor(index / 3)]][index % 3];
      const angle = state.rotvecs[index];
      out.push((angle - usual) / spread, (angle - Math.min(Math.max(angle, low), high)) / FIGURE_OVERSHOOT);
    }
    out.push(...this.posture(places));
    return out;
  }

  // People lean little, least of all backwards, and their weight is over their feet.
  posture(places) {
    const of = (name) => places[this.at[name]];
    const trunk = subtract(of("neck"), of("pelvis")), up = normalize(trunk);
    const forward = normalize(cross(subtract(of("left_hip"), of("right_hip")), UPWARDS));
    const level = (v) => [v[0], dot(v, TOWARDS)];
    let centre = [0, 0, 0], mass = 0, feet = [0, 0, 0], count = 0;
    for (const [name, share] of Object.entries(this.words.masses)) {
      if (this.at[name] === undefined) continue;
      centre = add(centre, scaled(of(name), share));
      mass += share;
      if (/ankle|foot/.test(name)) feet = add(feet, of(name)), count++;
    }
    const away = level(subtract(scaled(centre, 1 / mass), scaled(feet, 1 / count)));
    return [
      ...level(up), ...robust([Math.max(0, -dot(up, forward)) / 0.15], 2), ...robust(away.map((x) => x / 0.1), 2),
    ];
  }

  moved(state, step) {
    const rotvecs = [...state.rotvecs];
    this.free.forEach((index, k) => { rotvecs[index] += step[6 + k]; });
    return {
      root: add(state.root, step.slice(0, 3)), turn: quatNormalize(quatMultiply(quatOfRotvec(step, 3), state.turn)),
      rotvecs, directions: state.directions,
    };
  }

  // Levenberg and Marquardt: at most `steps` damped Newton steps.
  solve(state, steps) {
    const size = 6 + this.free.length;
    let residual = this.residuals(state), cost = squareSum(residual), damping = 1e-3;
    for (let step = 0; step < steps; step++) {
      const slopes = Array.from({ length: size }, (_, k) => {
        const nudge = new Array(size).fill(0);
        nudge[k] = FIGURE_STEP;
        return this.residuals(this.moved(state, nudge)).map((value, i) => (value - residual[i]) / FIGURE_STEP);
      });
      const { H, g } = normalEquations(slopes, residual);
      let better = false;
      for (let trial = 0; trial < 4 && !better; trial++) {
        const next = this.moved(state, solveDamped(H, g, damping));
        const nextResidual = this.residuals(next), nextCost = squareSum(nextResidual);
        better = nextCost < cost;
        if (better) [state, residual, cost] = [next, nextResidual, nextCost];
        damping *= better ? 0.2 : 10;
      }
      if (!better) break;
    }
    return { state, cost };
  }

  // Places of the joints from the middle of the hips, metres.
  placesOf(state) {
    const { places } = this.place(state);
    const middle = scaled(add(places[this.at.left_hip], places[this.at.right_hip]), 0.5);
    return Object.fromEntries(this.joints.map((name, i) => [name, subtract(places[i], middle)]));
  }
}

const TOWARDS = [0, -UPWARDS[2], UPWARDS[1]]; // the viewer, level

// The pose of a fitted state in the world of the page, where up is y.
export function poseOfFigure({ turn, rotvecs }, skeleton) {
  const joints = skeleton.joints.map(({ name }) => name).filter((name) => skeleton.figure.joints.includes(name));
  const turns = Object.fromEntries(joints.map((name, i) => [name, quatOfRotvec(rotvecs, 3 * i)]));
  turns.pelvis = quatMultiply(quatAboutAxis([1, 0, 0], -CAMERA_PITCH), turn);
  return { root: skeleton.joints[skeleton.index.pelvis].position, turns };
}

// Far residuals weigh less: their square r^2 becomes r^2 / (1 + r^2 / scale^2).
function robust(values, scale) {
  const factor = 1 / Math.sqrt(1 + squareSum(values) / scale ** 2);
  return values.map((value) => value * factor);
}

export function squareSum(values) {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}

export function quatOfRotvec(values, at) {
  const x = values[at], y = values[at + 1], z = values[at + 2], angle = Math.hypot(x, y, z);
  const factor = angle < 1e-9 ? 0.5 : Math.sin(angle / 2) / angle;
  return [Math.cos(angle / 2), x * factor, y * factor, z * factor];
}

export function rotvecOfQuat([w, x, y, z]) {
  const sine = Math.hypot(x, y, z), sign = w < 0 ? -1 : 1;
  const factor = sine < 1e-9 ? 2 * sign : (2 * sign * Math.atan2(sine, Math.abs(w))) / sine;
  return [x * factor, y * factor, z * factor];
}

function normalEquations(slopes, residual) {
  const used = slopes.map((slope) => slope.flatMap((value, i) => (value === 0 ? [] : [i])));
  const H = slopes.map((a, i) => slopes.slice(0, i + 1).map((b) => used[i].reduce((sum, k) => sum + a[k] * b[k], 0)));
  return { H, g: slopes.map((a, i) => used[i].reduce((sum, k) => sum - a[k] * residual[k], 0)) };
}

// (H + damping diag(H)) x = g by Cholesky's factors; H is the lower triangle.
export function solveDamped(H, g, damping) {
  const n = g.length, L = [], x = new Array(n).fill(0);
  for (let i = 0; i < n; i++) {
    const line = new Float64Array(n);
    L.push(line);
    for (let j = 0; j <= i; j++) {
      const other = L[j];
      let sum = H[i][j] + (i === j ? damping * H[i][i] + 1e-9 : 0);
      for (let k = 0; k < j; k++) sum -= line[k] * other[k];
      line[j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / other[j];
    }
    let value = g[i];
    for (let k = 0; k < i; k++) value -= L[i][k] * x[k];
    x[i] = value / L[i][i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i] -= L[k][i] * x[k];
    x[i] /= L[i][i];
  }
  return x;
}
