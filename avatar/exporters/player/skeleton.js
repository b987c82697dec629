// The skeleton: joints at rest, and forward kinematics.

import { add, dot, quatDot, quatMultiply, quatToMatrix, rotate, subtract } from "./rotations.js";

export class Skeleton {
  // joints: [{name, parent, position}] in an order in which parents come first.
  constructor(joints) {
    this.joints = joints;
    this.index = Object.fromEntries(joints.map((joint, i) => [joint.name, i]));
    this.offsets = joints.map((joint) =>
      joint.parent < 0 ? joint.position : subtract(joint.position, joints[joint.parent].position));
  }

  get size() {
    return this.joints.length;
  }

  // World places and turns of all joints for a pose {root, quats}.
  place({ root, quats }) {
    const places = [], turns = [];
    this.joints.forEach(({ parent }, i) => {
      const own = Array.from(quats.subarray(4 * i, 4 * i + 4));
      if (parent < 0) {
        places.push(root);
        turns.push(own);
        return;
      }
      let turn = quatMultiply(turns[parent], own);
      // A blend of neighbouring joints must not pass through zero, so their signs agree.
      if (quatDot(turn, turns[parent]) < 0) turn = turn.map((x) => -x);
      places.push(add(places[parent], rotate(turns[parent], this.offsets[i])));
      turns.push(turn);
    });
    return { places, turns };
  }

  // Sixteen numbers per joint: three rows of the skinning matrix, then the quaternion.
  skinning(placed, out) {
    for (let i = 0; i < this.size; i++) {
      const m = quatToMatrix(placed.turns[i]);
      const rest = this.joints[i].position;
      for (let row = 0; row < 3; row++) {
        const [a, b, c] = m.slice(3 * row, 3 * row + 3);
        out.set([a, b, c, placed.places[i][row] - dot([a, b, c], rest)], 16 * i + 4 * row);
      }
      out.set(placed.turns[i], 16 * i + 12);
    }
    return out;
  }

  restDistance(...names) {
    let length = 0;
    for (let i = 1; i < names.length; i++) {
      const [a, b] = [names[i - 1], names[i]].map((name) => this.joints[this.index[name]].position);
      length += Math.hypot(...subtract(a, b));
    }
    return length;
  }
}
