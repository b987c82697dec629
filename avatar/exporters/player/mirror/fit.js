// The pose of one frame from the landmarks, by a few damped Newton steps from the frame before.
//
// World: y up, the camera at the origin, looking along -z and down by its pitch; metres, radians, seconds. The camera's
// own axes are x to the right, y up and z backwards.

import { solveDamped } from "../figure_fit.js";
import { middleOf, ownLimbs } from "../foreign.js";
import { add, cross, normalize, quatBetween, rotate, scaled, subtract } from "../rotations.js";
import { MirrorChain, NormalEquations } from "./chain.js";
import { turnsOfLandmarks } from "./retarget.js";
import { addBones, addFloor, addJoints, addLandmarks, addMotion, addPosePrior, addPosture } from "./terms.js";
import { tilted } from "./tilt.js";

const MIRROR_FOCAL = 0.92; // of the longer side of the image, as avatar/tracking/fit.py assumes
const LEAST_CONFIDENCE = 0.02;
const LIMB_ENDS = /knee|ankle|elbow|wrist/;

export class MirrorFit {
  // words: see `mirror_table` in avatar/exporters/page_tables.py.
  constructor(skeleton, words) {
    this.words = words;
    this.chain = new MirrorChain(skeleton, ["pelvis", ...Object.keys(words.ranges)]);
    const point = (name, offset) => this.chain.point(name, offset);
    this.landmarks = words.landmarks.map(([joint, offset, weight, bias], i) =>
      ({ name: words.names[i], ...point(joint, offset), weight, bias }));
    this.bones = words.bones.map(([a, b, camera, body, share]) =>
      ({ a, b, start: point(a), end: point(b), camera, body, share }));
    this.soles = words.soles.map(([joint, [x, , z]]) => point(joint, [x, skeleton.sole - this.chain.restOf(joint)[1], z]));
    // The landmark nearest to each sole point: heel and toes take turns.
    this.soleMarks = words.soles.map(([joint], i) => words.names.indexOf(joint.replace("ankle", i % 2 ? "foot_index" : "heel")));
    this.segments = words.prior.segments.map(([start, end]) => ({ start: point(start), end: point(end) }));
    this.masses = Object.entries(words.masses).map(([name, mass]) => ({ ...point(name), mass }));
    this.feet = this.masses.slice(-4);
    this.hips = ["left_hip", "right_hip"].map((name) => point(name));
    this.trunk = { start: point("pelvis"), end: point("neck") };
    // From the soles to the crown, which is about so far above the joint of the head.
    this.stature = this.chain.restOf("head")[1] + 0.2 - skeleton.sole;
    this.own = ownLimbs(skeleton);
  }

  // What a frame shows: pixels from the middle of the image with y up, and directions of the bones in the camera's axes
  // without the bias that avatar/tracking/detector_bias.py measured.
  observe({ world, image, size: [width, height] }) {
    const focal = MIRROR_FOCAL * Math.max(width, height);
    const marks = this.landmarks.map(({ name }) => {
      const { x, y, confidence } = image[name];
      return { x: x - width / 2, y: height / 2 - y, confidence: Math.min(Math.max(confidence, LEAST_CONFIDENCE), 1) };
    });
    const centre = ["x", "y"].map((axis) => marks.reduce((sum, mark) => sum + mark[axis] / marks.length, 0));
    // The guess in 3D assumes a person in the middle of the image.
    const ray = quatBetween([0, 0, -1], [...centre, -focal]);
    const turned = Object.fromEntries(Object.entries(world).map(([name, place]) => [name, rotate(ray, place)]));
    const facing = facingOf(turned);
    const confidence = Object.fromEntries(this.landmarks.map(({ name }, i) => [name, marks[i].confidence]));
    const bones = this.bones.map(({ a, b, camera, body }) => ({
      direction: tilted(normalize(subtract(turned[b], turned[a])), ((camera + facing * body) * Math.PI) / 180),
      confidence: Math.min(confidence[a], confidence[b]),
    }));
    const rows = marks.map(({ y }) => y);
    return { world: this.aligned(turned, bones), marks, bones, focal, tall: Math.max(Math.max(...rows) - Math.min(...rows), 1) };
  }

  // The places with the limbs along these directions; hands and feet keep theirs from wrist and ankle.
  aligned(world, bones) {
    const places = { ...world };
    this.bones.forEach(({ a, b }, i) => {
      if (!LIMB_ENDS.test(b)) return;
      places[b] = add(places[a], scaled(bones[i].direction, Math.hypot(...subtract(world[b], world[a]))));
    });
    for (const [name, place] of Object.entries(world)) {
      const [, side, part] = /^(left|right)_(heel|foot_index|thumb|index|pinky)$/.exec(name) ?? [];
      if (!part) continue;
      const joint = `${side}_${/heel|foot/.test(part) ? "ankle" : "wrist"}`;
      places[name] = add(place, subtract(places[joint], world[joint]));
    }
    return places;
  }

  // A start from the bones alone.
  start(observed, { pitch }) {
    const level = Object.fromEntries(Object.entries(observed.world).map(([name, place]) => [name, tilted(place, pitch)]));
    const local = turnsOfLandmarks(level, this.chain.skeleton, this.own);
    const state = { root: [0, 0, 0], turns: this.chain.joints.map((name) => local[name]) };
    return this.stoodBefore(state, observed, pitch);
  }

  // The state moved to where its landmarks project onto the observed ones: focal (x + t) = u (z + t), least squares.
  stoodBefore(state, { marks, focal }, pitch) {
    const placed = this.chain.place(state);
    const equations = new NormalEquations(3);
    this.landmarks.forEach((landmark, i) => {
      const [x, y, z] = tilted(this.chain.locate(placed, landmark), -pitch), u = marks[i].x / focal, v = marks[i].y / focal;
      equations.add([x + u * z, y + v * z], [[1, 0, u], [0, 1, v]], marks[i].confidence);
    });
    const shift = tilted(solveDamped(equations.H, equations.g, 0), pitch);
    return { ...state, root: add(state.root, shift) };
  }

  // At most `steps` damped Newton steps (Levenberg and Marquardt). `view` is {pitch, floor: height or null}, `before`
  // the frame before as {state, seconds: since then} or null.
  solve(state, observed, view, before, steps) {
    let now = this.linearize(state, observed, view, before), damping = 1e-3;
    for (let step = 0; step < steps; step++) {
      const next = this.chain.moved(state, solveDamped(now.H, now.g, damping));
      const there = this.linearize(next, observed, view, before);
      const better = there.cost < now.cost;
      if (better) [state, now] = [next, there];
      damping *= better ? 0.3 : 10;
    }
    return { state, cost: now.cost };
  }

  linearize(state, observed, view, before) {
    const equations = new NormalEquations(this.chain.unknowns);
    const placed = this.chain.place(state);
    const frame = { fit: this, chain: this.chain, state, placed, equations, observed, view };
    addLandmarks(frame);
    addBones(frame);
    addJoints(frame);
    addPosture(frame);
    addPosePrior(frame);
    if (view.floor !== null) addFloor(frame);
    if (before) addMotion(frame, before);
    return equations;
  }

  // All joints of the skeleton for a state, as the player takes them; those that the mirror does not move stay at rest.
  poseOf({ root, turns }) {
    const { skeleton, at } = this.chain;
    const quats = new Float32Array(4 * skeleton.size);
    skeleton.joints.forEach(({ name }, i) => quats.set(at[name] === undefined ? [1, 0, 0, 0] : turns[at[name]], 4 * i));
    return { root: [...root], quats, coefficients: null };
  }
}

// Cosine between the direction in which the person faces and that to the camera.
export function facingOf(at) {
  const across = (part) => subtract(at[`left_${part}`], at[`right_${part}`]);
  const forward = cross(add(across("shoulder"), across("hip")), subtract(middleOf(at, "shoulder"), middleOf(at, "hip")));
  return forward[2] / (Math.hypot(...forward) || 1);
}
