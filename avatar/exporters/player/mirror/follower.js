// The pose of each frame of a camera, over time: the fit goes on from the frame before, and learns how the camera is
// tilted and where the floor is.

import { middleOf } from "../foreign.js";
import { normalize, quatAboutAxis, quatMultiply, subtract } from "../rotations.js";
import { MirrorFit, facingOf } from "./fit.js";
import { FootLock } from "./foot_lock.js";
import { LandmarkSmoother } from "./smoothing.js";
import { USUAL_LEAN } from "./terms.js";
import { tilted } from "./tilt.js";

const FIRST_STEPS = 20, STEPS_PER_FRAME = 3;
const FIRST_SECONDS = 0.1; // that the first frame stands for
const LOST_SECONDS = 0.7; // without a person: the next one starts anew
// The camera's pitch: usual value and deviation, and that of a trunk's lean, which lasts for about this long.
const PITCH = { usual: 0.07, deviation: 0.08, lean: 0.12, lasting: 0.5, memory: 20 };
const PITCH_SHARE = 0.27; // of the camera's pitch that the detector ignores in the trunk
const STANDING_SPEED = 0.25; // of a foot in the image, metres per second
const HELD_SPEED = 0.8; // likewise, up to which soles are held where they are: fits jump further than landmarks
const GIVEN_BACK_SECONDS = 0.5;
const FLOOR_FALLS = 0.15, FLOOR_RISES = 2; // seconds in which the floor follows lower and higher soles
const LEGS_VISIBLE = 0.4; // mean confidence of ankles, heels and toes below which the floor follows the pose at once

export class MirrorFollower {
  constructor(skeleton, words) {
    this.fit = new MirrorFit(skeleton, words);
    this.pitch = new RunningTilt();
    this.reset();
  }

  reset() {
    this.before = null;
    this.floor = null;
    this.slipped = [0, 0]; // metres along x and z by which standing soles would have slid
    this.moved = 0; // by which the place on the floor has shifted as the pitch became clear
    this.smoother = new LandmarkSmoother();
    this.feet = new FootLock(this.fit);
  }

  // The pose {root, quats} for the landmarks of a frame (see `namedLandmarks`) at a time in seconds, feet at height 0.
  follow(landmarks, time) {
    const since = this.before ? time - this.before.time : 0;
    if (!(since > 0 && since < LOST_SECONDS)) this.reset();
    const observed = this.fit.observe(this.smoother.next(landmarks, time));
    const seconds = this.before ? since : FIRST_SECONDS;
    this.tilt(this.pitch.update(leanOf(observed.world), seconds));
    const view = { pitch: this.pitch.value, floor: this.floor };
    const marks = this.before && this.soleMarks(observed, seconds);
    const before = this.before && { ...this.before, seconds, standing: standingShares(marks, STANDING_SPEED) };
    const starts = [this.fit.start(observed, view), ...(before ? [before.state] : [])];
    const ends = starts.map((start) =>
      this.fit.solve(start, observed, view, before, before ? STEPS_PER_FRAME : FIRST_STEPS));
    const { state } = ends.reduce((a, b) => (b.cost < a.cost ? b : a));
    this.before = { state, time, observed };
    this.followFloor(state, observed, seconds);
    if (before) this.holdBody(state, before.state, standingShares(marks, HELD_SPEED), seconds);
    const [x, z] = this.slipped;
    const held = { ...state, root: subtract(state.root, [x, this.floor, this.moved + z]) };
    return this.fit.poseOf(before ? this.feet.settle(held, marks, seconds) : held);
  }

  // The camera turns out to look down by `angle` more: what is known stays where it is in the camera's axes.
  tilt(angle) {
    if (!this.before) return;
    const { root, turns } = this.before.state;
    const level = quatAboutAxis([1, 0, 0], -angle);
    const [, floor, depth] = tilted([0, this.floor, root[2]], angle);
    this.floor = floor;
    this.moved += depth - root[2];
    this.before.state = { root: tilted(root, angle), turns: [quatMultiply(level, turns[0]), ...turns.slice(1)] };
  }

  // Standing soles stay where they are: by what they slide the whole body is moved back. It is given back when they move.
  holdBody(state, before, held, seconds) {
    const { chain, soles } = this.fit;
    const [now, then] = [chain.place(state), chain.place(before)];
    const steps = soles.map((sole) => subtract(chain.locate(now, sole), chain.locate(then, sole)));
    const shares = held.map((share) => share ** 4), whole = Math.max(shares.reduce((a, b) => a + b), 1e-9); // the surest ones
    const sure = Math.max(...held), kept = Math.exp((-seconds * (1 - sure)) / GIVEN_BACK_SECONDS);
    this.slipped = [0, 2].map((axis, k) => {
      const slip = steps.reduce((sum, step, i) => sum + shares[i] * step[axis], 0) / whole;
      return kept * (this.slipped[k] + sure * slip);
    });
  }

  // How fast the landmark of each sole moves in the image, metres per second, and its confidence.
  soleMarks(observed, seconds) {
    const metres = this.fit.stature / observed.tall;
    return this.fit.soleMarks.map((index) => {
      const [a, b] = [this.before.observed.marks[index], observed.marks[index]];
      return { speed: (Math.hypot(a.x - b.x, a.y - b.y) * metres) / seconds, confidence: b.confidence };
    });
  }

  followFloor(state, { marks }, seconds) {
    const { chain, soles, landmarks } = this.fit;
    const placed = chain.place(state);
    const lowest = Math.min(...soles.map((sole) => chain.locate(placed, sole)[1]));
    const feet = marks.filter((_, i) => /ankle|heel|foot/.test(landmarks[i].name));
    const visible = feet.reduce((sum, { confidence }) => sum + confidence / feet.length, 0) > LEGS_VISIBLE;
    const time = lowest < this.floor ? FLOOR_FALLS : FLOOR_RISES;
    const share = this.floor === null || !visible ? 1 : 1 - Math.exp(-seconds / time);
    this.floor = (this.floor ?? lowest) + share * (lowest - (this.floor ?? lowest));
  }
}

// How surely each sole stands: its landmark hardly moves.
function standingShares(marks, usual) {
  return marks.map(({ speed, confidence }) => confidence * Math.exp(-((speed / usual) ** 2)));
}

// The camera's pitch from how people stand: upright in the mean. A Bayesian mean that forgets, of robust weights.
export class RunningTilt {
  constructor() {
    this.precision = 1 / PITCH.deviation ** 2;
    this.value = PITCH.usual;
  }

  // lean: of the trunk towards the camera by the detector, radians; positive where the camera looks down. Returns by how
  // much the pitch has changed.
  update(lean, seconds) {
    const estimate = lean / (1 - PITCH_SHARE);
    const away = (estimate - this.value) / (2 * PITCH.lean), weight = 1 / (1 + away ** 2) ** 2;
    const information = (weight * Math.min(seconds / PITCH.lasting, 1)) / PITCH.lean ** 2;
    const remembered = 1 / PITCH.deviation ** 2 + (this.precision - 1 / PITCH.deviation ** 2) * Math.exp(-seconds / PITCH.memory);
    this.precision = remembered + information;
    const change = (information / this.precision) * (estimate - this.value);
    this.value += change;
    return change;
  }
}

// The angle between the trunk and the camera's upward axis, away from or towards the camera, beyond the usual lean.
export function leanOf(world) {
  const trunk = normalize(subtract(middleOf(world, "shoulder"), middleOf(world, "hip")));
  return Math.atan2(trunk[2], trunk[1]) - USUAL_LEAN * facingOf(world);
}
