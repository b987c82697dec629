// The learned deformation, as a few directions in which all splats move and brighten together.

import { quatToMatrix } from "./rotations.js";

export class Correctives {
  // basis: int8, (components x own splats x 4): three of displacement and one of log brightness, in header's units.
  constructor(header, arrays, centers) {
    this.count = header.components;
    this.basis = arrays.basis;
    this.units = header.units;
    this.low = header.low;
    this.high = header.high;
    this.regression = arrays.regression;
    this.centers = centers;
  }

  // Coefficients for a pose outside the clips: linear in the joints' rotation matrices, clamped to the clips' range.
  predict(quats) {
    const features = [];
    for (let j = 1; j < quats.length / 4; j++) {
      const m = quatToMatrix(quats.subarray(4 * j, 4 * j + 4));
      for (let k = 0; k < 9; k++) features.push(m[k] - (k % 4 === 0 ? 1 : 0));
    }
    const width = features.length + 1;
    return Array.from({ length: this.count }, (_, c) => {
      let value = this.regression[c * width + features.length];
      for (let i = 0; i < features.length; i++) value += this.regression[c * width + i] * features[i];
      return Math.min(Math.max(value, this.low[c]), this.high[c]);
    });
  }

  // Centres at rest with log brightness, four numbers per splat, for the shader and for sorting.
  apply(pose, rest) {
    const { centers, basis } = this;
    for (let i = 0; i < centers.length / 3; i++) {
      rest[4 * i] = centers[3 * i];
      rest[4 * i + 1] = centers[3 * i + 1];
      rest[4 * i + 2] = centers[3 * i + 2];
      rest[4 * i + 3] = 0;
    }
    if (!this.count) return;
    const coefficients = pose.coefficients || this.predict(pose.quats);
    const length = basis.length / this.count; // the avatar's own splats; props and scene stand behind them
    for (let c = 0; c < this.count; c++) {
      const start = c * length;
      const [move, brightness] = [coefficients[c] * this.units[c][0], coefficients[c] * this.units[c][1]];
      for (let i = 0; i < length; i += 4) {
        rest[i] += move * basis[start + i];
        rest[i + 1] += move * basis[start + i + 1];
        rest[i + 2] += move * basis[start + i + 2];
        rest[i + 3] += brightness * basis[start + i + 3];
      }
    }
  }
}
