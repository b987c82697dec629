// Poses of the skeleton from 17 points drawn over an image. A bone that looks short points towards the viewer or away
// (Taylor 2000), so one figure fits many poses: all choices are tried, and the likeliest that differ are returned.
//
// World: x to the right of the image, y up, z towards the viewer; an image without perspective.

import { distance, middleOf, quatFromColumns } from "./foreign.js";
import { SIDE_NAMES } from "./joint_names.js";
import { add, cross, dot, normalize, quatBetween, rotate, scaled, subtract } from "./rotations.js";
import { MOTION_WORDS } from "./words.js";

const FIGURE_SCALES = [0.75, 0.95]; // quantiles of apparent over true lengths that count as not foreshortened
const ALIKE = 0.15; // poses of which no joint differs by more are one, metres
const STARTS = 16, MOST_CANDIDATES = 400;
const HEAD_DEPTH = 0.11; // from the line between the ears to the nose, metres
const FIGURE_LIMBS = ["left_arm", "right_arm", "left_leg", "right_leg"];
const FIGURE_PARTS = { arm: ["shoulder", "elbow", "wrist"], leg: ["hip", "knee", "ankle"] };
const SIGNS = [-1, 1];
const LEAST_DEPTH = 0.3; // of a bone that does not look short, relative to its length: each choice starts on its own side
export const CAMERA_PITCH = 0.07; // cameras look down a little, radians
export const UPWARDS = [0, Math.cos(CAMERA_PITCH), Math.sin(CAMERA_PITCH)];

const towards = (place) => place[2] * UPWARDS[1] - place[1] * UPWARDS[2]; // the viewer, level
const beyond = (value, limit, deviation) => (Math.max(0, value - limit) / deviation) ** 2;

// Starts for a fit: places of the joints from the middle of the hips, and pixels per metre.
export function figureStarts(points, skeleton) {
  const rest = restOfFigure(skeleton);
  const candidates = [];
  for (const scale of figureScales(points, rest)) {
    const flat = flatFigure(points, scale);
    const [hips, shoulders] = ["hip", "shoulder"].map((part) => [middleOf(flat, part), middleOf(rest, part)]);
    for (const lean of depthChoices(hips[0], shoulders[0], hips[1], shoulders[1])) {
      for (const turn of SIGNS.keys()) {
        candidates.push(...posesOfTrunk(flat, rest, lean, turn).map((pose) => ({ ...pose, scale })));
      }
    }
  }
  candidates.sort((a, b) => a.cost - b.cost);
  return distinctPoses(candidates.slice(0, MOST_CANDIDATES).map((one) => ({ ...one, at: placesOf(one) })), STARTS);
}

// The first ones of a list that differ.
export function distinctPoses(poses, count) {
  const chosen = [];
  for (const pose of poses) {
    if (chosen.length === count) break;
    if (chosen.every((other) => figureDistance(pose.at, other.at) > ALIKE)) chosen.push(pose);
  }
  return chosen;
}

// The largest distance between the joints of two poses, metres.
function figureDistance(a, b) {
  return Math.max(...FIGURE_LIMBS.flatMap(limbJoints).map((joint) => distance(a[joint], b[joint])));
}

// The points at rest: joints of the skeleton, from the middle of the hips.
function restOfFigure(skeleton) {
  const place = (joint) => skeleton.joints[skeleton.index[joint]].position;
  const middle = scaled(add(place("left_hip"), place("right_hip")), 0.5);
  const rest = {};
  for (const side of SIDE_NAMES) {
    for (const part of Object.values(FIGURE_PARTS).flat()) {
      rest[`${side}_${part}`] = subtract(place(`${side}_${part}`), middle);
    }
  }
  return rest;
}

export function figureBones() {
  const limbs = FIGURE_LIMBS.map((limb) => limbJoints(limb));
  return [...limbs.flatMap(([a, b, c]) => [[a, b], [b, c]]), ["left_shoulder", "left_hip"], ["right_shoulder", "right_hip"]];
}

function limbJoints(limb) {
  const [side, kind] = limb.split("_");
  return FIGURE_PARTS[kind].map((part) => `${side}_${part}`);
}

// Pixels per metre, if few or many of the bones are foreshortened.
function figureScales(points, rest) {
  const ratios = figureBones().map(([a, b]) =>
    Math.hypot(points[a][0] - points[b][0], points[a][1] - points[b][1]) / distance(rest[a], rest[b]));
  ratios.sort((a, b) => a - b);
  return FIGURE_SCALES.map((level) => {
    const at = level * (ratios.length - 1), low = Math.floor(at), high = Math.min(low + 1, ratios.length - 1);
    return Math.max(ratios[low] * (1 - at + low) + ratios[high] * (at - low), 1e-6);
  });
}

// The points in metres in the plane of the image, from the middle of the hips.
function flatFigure(points, scale) {
  const middle = [0, 1].map((axis) => (points.left_hip[axis] + points.right_hip[axis]) / 2);
  return Object.fromEntries(Object.entries(points).map(([name, [x, y]]) =>
    [name, [(x - middle[0]) / scale, (middle[1] - y) / scale, 0]]));
}

// The two depths by which a bone may run on, and what its foreshortening costs.
function depthChoices(flatA, flatB, restA, restB) {
  const full = distance(restA, restB), apparent = distance(flatA, flatB);
  const depth = Math.sqrt(Math.max(full ** 2 - apparent ** 2, (LEAST_DEPTH * full) ** 2));
  const cost = beyond(apparent / full, 1, 0.1) + 0.3 * (depth / full) ** 2;
  return SIGNS.map((sign) => ({ depth: sign * depth, cost }));
}

// All poses with one choice for the trunk: how much nearer the shoulders are than the hips, and the left side than the
// right one.
function posesOfTrunk(flat, rest, lean, turn) {
  const at = {};
  let cost = lean.cost;
  for (const [part, base] of [["hip", 0], ["shoulder", lean.depth]]) {
    const [left, right] = SIDE_NAMES.map((side) => `${side}_${part}`);
    const choice = depthChoices(flat[left], flat[right], rest[left], rest[right])[turn];
    cost += choice.cost;
    at[left] = [flat[left][0], flat[left][1], base + choice.depth / 2];
    at[right] = [flat[right][0], flat[right][1], base - choice.depth / 2];
  }
  const axes = trunkAxes(at);
  cost += trunkCost(axes, flat);
  const limbs = FIGURE_LIMBS.map((limb) => limbChoices(limb, flat, rest, at, axes));
  const body = MASSES_OF_TRUNK.reduce((sum, [joint, mass]) => sum + mass * towards(at[joint] ?? middleOf(at, "shoulder")), 0);
  const poses = [];
  for (const a of limbs[0]) for (const b of limbs[1]) for (const c of limbs[2]) for (const d of limbs[3]) {
    const away = (body + a.moment + b.moment + c.moment + d.moment - (towards(c.end) + towards(d.end)) / 2) / 0.1;
    const balance = away ** 2 / (1 + away ** 2 / 4);
    poses.push({ cost: cost + balance + a.cost + b.cost + c.cost + d.cost, trunk: at, limbs: [a, b, c, d] });
  }
  return poses;
}

// Shares of the mass at the joints of the trunk and of the limbs; see avatar/tracking/masses.py.
const MASSES_OF_TRUNK = [
  ["head", 0.08], ["left_shoulder", 0.14], ["right_shoulder", 0.14], ["left_hip", 0.175], ["right_hip", 0.175],
];
const MASSES_OF_LIMBS = { arm: [0.03, 0.015], leg: [0.075, 0.035] };

function trunkAxes(at) {
  const across = (part) => subtract(at[`left_${part}`], at[`right_${part}`]);
  const up = normalize(subtract(middleOf(at, "shoulder"), middleOf(at, "hip")));
  const wide = add(across("hip"), across("shoulder"));
  const left = normalize(subtract(wide, scaled(up, dot(wide, up))));
  return { left, up, forward: cross(left, up) };
}

// People stand upright, lean backwards little, and their nose shows where they face.
function trunkCost({ up, forward }, flat) {
  const nose = subtract(flat.nose, middleOf(flat, "ear"));
  const facing = Math.max(-1, Math.min(1, nose[0] / HEAD_DEPTH)) - forward[0];
  const level = normalize(subtract(forward, scaled(UPWARDS, dot(forward, UPWARDS))));
  return (facing / 0.35) ** 2 + beyond(-dot(up, level), 0, 0.15) + 0.5 * angleBetween(up, UPWARDS) ** 2;
}

// The ways in which the bones of a limb can point, the likeliest first.
function limbChoices(limb, flat, rest, at, axes) {
  const [side, kind] = limb.split("_");
  const [a, b, c] = limbJoints(limb);
  const [middleMass, endMass] = MASSES_OF_LIMBS[kind];
  const costOf = kind === "arm" ? armCost : legCost;
  const choices = depthChoices(flat[a], flat[b], rest[a], rest[b]).flatMap((upper) =>
    depthChoices(flat[b], flat[c], rest[b], rest[c]).map((lower) => {
      const middle = [flat[b][0], flat[b][1], at[a][2] + upper.depth];
      const end = [flat[c][0], flat[c][1], middle[2] + lower.depth];
      const bones = [normalize(subtract(middle, at[a])), normalize(subtract(end, middle))];
      const cost = upper.cost + lower.cost + costOf(...bones, side === "left" ? 1 : -1, axes);
      return { middle, end, cost, moment: middleMass * towards(middle) + endMass * towards(end) };
    }));
  return choices.sort((x, y) => x.cost - y.cost);
}

function legCost(thigh, shin, side, { left, up, forward }) {
  const hinge = rotate(quatBetween(scaled(up, -1), thigh), left);
  const bend = cross(thigh, shin);
  const along = dot(bend, hinge);
  const outward = side * dot(thigh, left);
  return beyond(-along, 0, 0.1) + (distance(bend, scaled(hinge, along)) / 0.5) ** 2
    + beyond(-dot(thigh, forward), 0.35, 0.15) + beyond(-outward, 0.25, 0.15) + beyond(outward, 0.8, 0.2)
    + 0.6 * angleBetween(thigh, scaled(up, -1)) ** 2;
}

function armCost(upper, lower, side, { left, up, forward }) {
  const own = [0, 1, 2].map((i) => MOTION_WORDS.hinges[side > 0 ? "left_elbow" : "right_elbow"][i]);
  const hinge = rotate(quatBetween(scaled(left, side), upper), rotate(quatFromColumns(left, up, forward), own));
  const outward = side * dot(upper, left);
  return beyond(-dot(cross(upper, lower), hinge), 0, 0.4) + beyond(-dot(upper, forward), 0.4, 0.2)
    + beyond(-outward, 0.6, 0.2) + 0.2 * angleBetween(upper, scaled(up, -1)) ** 2;
}

function angleBetween(a, b) {
  return Math.acos(Math.max(-1, Math.min(1, dot(a, b))));
}

function placesOf({ trunk, limbs }) {
  const at = { ...trunk };
  FIGURE_LIMBS.forEach((limb, i) => {
    const [, middle, end] = limbJoints(limb);
    Object.assign(at, { [middle]: limbs[i].middle, [end]: limbs[i].end });
  });
  return at;
}
