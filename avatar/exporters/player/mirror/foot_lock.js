// Feet that stand stay where they are: the legs of a fitted pose bend, by as little as it takes.
//
// A sole is held while its landmark is slow in the image. It is held on a leash: a fit that jumps or trembles moves it
// only by what exceeds the leash, so a foot that walks although it was taken for standing follows. A foot that is let
// go returns to the fit by a share of the way that it moves, so that nobody sees it.

import { rotvecOfQuat, solveDamped } from "../figure_fit.js";
import { add, quatConjugate, quatMultiply, scaled, subtract } from "../rotations.js";
import { NormalEquations, rotvecSlopes } from "./chain.js";
import { jointRow } from "./terms.js";

const HELD_BELOW = 0.3, RELEASED_ABOVE = 0.8; // speeds in the image, metres per second
const HELD_CONFIDENCE = 0.3;
const LEASH = 0.04; // metres
const RETURN_LENGTH = 0.05; // of a foot's way in which it returns to the fit, metres
const DEVIATIONS = { sole: 0.004, root: 0.02 }; // metres
const STIFF = 1e-3; // radians, of the joints that are not in a leg
const SETTLING_STEPS = 3;
const AXES = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];

export class FootLock {
  // fit: a MirrorFit.
  constructor({ chain, soles, words }) {
    Object.assign(this, { chain, soles });
    this.deviations = chain.joints.map((name) =>
      (/hip|knee|ankle/.test(name) ? words.ranges[name].map(([, , , spread]) => spread) : [STIFF, STIFF, STIFF]));
    this.held = soles.map(() => false);
    this.shown = null; // places of the soles in the frame before
    this.shifts = soles.map(() => [0, 0, 0]); // of the soles from where the fit has them, along the floor
  }

  // The state whose held soles stay, for a fitted one `seconds` after that before. marks: {speed: metres per second in
  // the image, confidence} of each sole.
  settle(state, marks, seconds) {
    const placed = this.chain.place(state);
    const targets = this.soles.map((sole, i) => {
      const place = this.chain.locate(placed, sole), { speed, confidence } = marks[i];
      this.held[i] = confidence > HELD_CONFIDENCE && speed < (this.held[i] ? RELEASED_ABOVE : HELD_BELOW);
      this.shifts[i] = this.held[i] && this.shown
        ? onLeash(subtract(this.shown[i], place))
        : scaled(this.shifts[i], Math.exp((-seconds * speed) / RETURN_LENGTH));
      return add(place, this.shifts[i]);
    });
    this.shown = targets;
    let settled = state;
    for (let step = 0; step < SETTLING_STEPS; step++) settled = this.chain.moved(settled, this.step(settled, state, targets));
    return settled;
  }

  // A Newton step towards a state whose soles are at their targets and that is near the fitted one.
  step(state, fitted, targets) {
    const { chain } = this, placed = chain.place(state), equations = new NormalEquations(chain.unknowns);
    this.soles.forEach((sole, i) => {
      const place = chain.locate(placed, sole);
      const rows = AXES.map((axis) => {
        const row = equations.row();
        chain.addSlope(row, placed, sole.joint, place, scaled(axis, 1 / DEVIATIONS.sole));
        return row;
      });
      equations.add(scaled(subtract(place, targets[i]), 1 / DEVIATIONS.sole), rows);
    });
    const away = scaled(subtract(state.root, fitted.root), 1 / DEVIATIONS.root);
    equations.add(away, away.map((_, k) => {
      const row = equations.row();
      row[k] = 1 / DEVIATIONS.root;
      return row;
    }));
    this.deviations.forEach((deviations, joint) => {
      const angles = rotvecOfQuat(quatMultiply(quatConjugate(fitted.turns[joint]), state.turns[joint]));
      const rows = rotvecSlopes(angles).map((slopes, axis) => jointRow({ equations }, joint, slopes, 1 / deviations[axis]));
      equations.add(angles.map((angle, axis) => angle / deviations[axis]), rows);
    });
    return solveDamped(equations.H, equations.g, 0);
  }
}

// A shift along the floor, no longer than the leash.
function onLeash([x, , z]) {
  return scaled([x, 0, z], Math.min(1, LEASH / (Math.hypot(x, z) || 1)));
}
