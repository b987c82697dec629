// The joints that the mirror moves, the slopes of points on them, and the normal equations of a step.

import { quatOfRotvec, squareSum } from "../figure_fit.js";
import { add, dot, quatMultiply, quatNormalize, quatToMatrix, rotate, subtract } from "../rotations.js";

export class MirrorChain {
  // names: of the joints that move, the pelvis among them.
  constructor(skeleton, moved) {
    this.skeleton = skeleton;
    this.joints = skeleton.joints.map(({ name }) => name).filter((name) => moved.includes(name));
    this.at = Object.fromEntries(this.joints.map((name, i) => [name, i]));
    const above = (i) => skeleton.joints[i].parent;
    this.parents = this.joints.map((name) => {
      let parent = above(skeleton.index[name]);
      while (parent >= 0 && !moved.includes(skeleton.joints[parent].name)) parent = above(parent);
      return parent < 0 ? -1 : this.at[skeleton.joints[parent].name];
    });
    this.offsets = this.joints.map((name, i) =>
      this.parents[i] < 0 ? this.restOf(name) : subtract(this.restOf(name), this.restOf(this.joints[this.parents[i]])));
    this.ancestors = this.joints.map((_, i) => {
      const chain = [];
      for (let joint = i; joint >= 0; joint = this.parents[joint]) chain.push(joint);
      return chain;
    });
    this.unknowns = 3 + 3 * this.joints.length;
  }

  restOf(name) {
    return this.skeleton.joints[this.skeleton.index[name]].position;
  }

  // A point fixed to the bone of a joint, which need not be one that moves.
  point(name, offset = [0, 0, 0]) {
    const place = add(this.restOf(name), offset);
    let joint = this.skeleton.index[name];
    while (this.at[this.skeleton.joints[joint].name] === undefined) joint = this.skeleton.joints[joint].parent;
    const carrier = this.skeleton.joints[joint].name;
    return { joint: this.at[carrier], offset: subtract(place, this.restOf(carrier)) };
  }

  // state: {root, turns: of each joint relative to its parent}.
  place({ root, turns }) {
    const places = [root], world = [turns[0]];
    for (let i = 1; i < this.joints.length; i++) {
      const parent = this.parents[i];
      world.push(quatMultiply(world[parent], turns[i]));
      places.push(add(places[parent], rotate(world[parent], this.offsets[i])));
    }
    return { places, axes: world.map(quatToMatrix) };
  }

  locate(placed, { joint, offset }) {
    const m = placed.axes[joint];
    return add(placed.places[joint], [0, 3, 6].map((row) => dot(m.slice(row, row + 3), offset)));
  }

  // Adds to a row of slopes those of a number that changes by `gradient` with the place of a point of `joint`.
  addSlope(row, placed, joint, [x, y, z], [a, b, c]) {
    row[0] += a;
    row[1] += b;
    row[2] += c;
    for (const ancestor of this.ancestors[joint]) {
      const pivot = placed.places[ancestor], m = placed.axes[ancestor], column = 3 + 3 * ancestor;
      const dx = x - pivot[0], dy = y - pivot[1], dz = z - pivot[2];
      const tx = dy * c - dz * b, ty = dz * a - dx * c, tz = dx * b - dy * a;
      row[column] += m[0] * tx + m[3] * ty + m[6] * tz;
      row[column + 1] += m[1] * tx + m[4] * ty + m[7] * tz;
      row[column + 2] += m[2] * tx + m[5] * ty + m[8] * tz;
    }
  }

  // The state after a step: the root moves, each joint turns about its own axes.
  moved({ root, turns }, step) {
    return {
      root: add(root, [step[0], step[1], step[2]]),
      turns: turns.map((turn, i) => quatNormalize(quatMultiply(turn, quatOfRotvec(step, 3 + 3 * i)))),
    };
  }
}

// Sums of the residuals' squares and of their products with the slopes.
export class NormalEquations {
  constructor(size) {
    this.size = size;
    this.H = Array.from({ length: size }, (_, i) => new Float64Array(i + 1));
    this.g = new Float64Array(size);
    this.cost = 0;
    this.rows = [];
    this.taken = 0;
    this.used = new Uint8Array(size);
  }

  // An empty row of slopes, good until the next `add`.
  row() {
    if (this.taken === this.rows.length) this.rows.push(new Float64Array(this.size));
    return this.rows[this.taken++].fill(0);
  }

  // A group of residuals with their rows of slopes. Beyond `scale` deviations they count as outliers: their square s
  // becomes s / (1 + s / scale^2) (Geman and McClure 1987).
  add(values, rows, weight = 1, scale = Infinity) {
    const square = squareSum(values), outlier = 1 + square / scale ** 2;
    this.cost += (0.5 * weight * square) / outlier;
    for (let r = 0; r < rows.length; r++) this.addRow(values[r], rows[r], weight / outlier ** 2);
    this.taken = 0;
  }

  addRow(value, row, weight) {
    const { used, H, g } = this;
    let count = 0;
    for (let i = 0; i < this.size; i++) if (row[i] !== 0) used[count++] = i;
    for (let a = 0; a < count; a++) {
      const i = used[a], slope = weight * row[i], line = H[i];
      g[i] -= slope * value;
      for (let b = 0; b <= a; b++) line[used[b]] += slope * row[used[b]];
    }
  }
}

// The derivative of log(R exp(d)) by d at d = 0, for v = log R: the inverse right Jacobian (Chirikjian 2011), by rows.
export function rotvecSlopes([x, y, z]) {
  const angle = Math.hypot(x, y, z), half = angle / 2;
  const f = angle < 1e-3 ? 1 / 12 : (1 - half / Math.tan(half)) / angle ** 2;
  const square = x * x + y * y + z * z;
  return [
    [1 + f * (x * x - square), -z / 2 + f * x * y, y / 2 + f * x * z],
    [z / 2 + f * x * y, 1 + f * (y * y - square), -x / 2 + f * y * z],
    [-y / 2 + f * x * z, x / 2 + f * y * z, 1 + f * (z * z - square)],
  ];
}
