// Motion of any skeleton to that of ours: avatar/motion/skeleton_axes.py, skeleton_frames.py and skeletons.py.
//
// An animation is {names, parents, rest: {places, turns}, frames, fps, pose(frame) -> {places, turns}, up, notes}, in the
// file's own world and units. Where rotations and the places of the joints disagree, the places decide.

import { clipFromPoses, prepareClip } from "./clips.js";
import { SIDE_NAMES, ancestorsOf, matchJoints } from "./joint_names.js";
import {
  add, cross, dot, normalize, quatBetween, quatBlend, quatConjugate, quatDot, quatFromMatrix, quatMultiply,
  quatNormalize, rotate, scaled, subtract,
} from "./rotations.js";
import { MOTION_WORDS } from "./words.js";

const LIMBS = ["hip knee", "knee ankle", "shoulder elbow", "elbow wrist"].flatMap((pair) =>
  SIDE_NAMES.map((side) => pair.split(" ").map((part) => `${side}_${part}`)));
export const UP_ROWS = {
  y: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  z: [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
  "-y": [[1, 0, 0], [0, -1, 0], [0, 0, -1]],
  x: [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
};
const HINGE_SHARE = 0.1, STANDING = 0.04, CONTROL_DEGREES = 40, DECEPTIVE_DEGREES = 45;

export const middleOf = (at, part) => scaled(add(at[`left_${part}`], at[`right_${part}`]), 0.5);
export const distance = (a, b) => Math.hypot(...subtract(a, b));
export const median = (values) => [...values].sort((a, b) => a - b)[(values.length - 1) >> 1];
export const quatFromRows = (rows) => quatFromMatrix(rows.flat());
const quatDegrees = (a, b) => (360 / Math.PI) * Math.acos(Math.min(1, Math.abs(quatDot(a, b))));

export function clipFromAnimation(name, animation, skeleton) {
  const first = animation.pose(0);
  const matches = matchJoints(name, animation.names, animation.parents, first.places);
  const entries = Object.entries(matches);
  const pick = (list) => Object.fromEntries(entries.map(([joint, i]) => [joint, list[i]]));
  const top = [matches.pelvis, ...ancestorsOf(animation.parents, matches.pelvis)].at(-1);
  const frames = Array.from({ length: animation.frames }, (_, k) => {
    const { places, turns } = animation.pose(k);
    return { at: pick(places), turns: pick(turns), moved: places[top] };
  });
  const leg = median(frames.flatMap(({ at }) => SIDE_NAMES.map((side) =>
    distance(at[`${side}_hip`], at[`${side}_knee`]) + distance(at[`${side}_knee`], at[`${side}_ankle`]))));
  if (!(leg > 1e-9)) throw new Error(`${name}: its legs have no length, so its joints show no body.`);
  const notes = [...(animation.notes ?? [])];
  const rest = pick(animation.rest.places);
  const own = ownLimbs(skeleton);
  let B = restAxes(rest, own);
  const W = worldAxes(name, animation, frames.map(({ at }) => at), B, leg, notes);
  const factor = pathFactor(frames, W[1]);
  if (factor !== 1) notes.push(`its root has another unit than its body, so the path was made ${factor} times longer`);
  const toOurs = quatFromRows(W);
  for (const frame of frames) {
    for (const [joint] of entries) {
      const place = factor === 1 ? frame.at[joint] : add(frame.at[joint], scaled(frame.moved, factor - 1));
      frame.at[joint] = rotate(toOurs, place);
      frame.turns[joint] = quatMultiply(toOurs, frame.turns[joint]);
    }
  }
  let offsets = B ? offsetsFromRest(rest, pick(animation.rest.turns), B, own) : offsetsFromFrames(frames, own, leg);
  const transferred = () => frames.map(({ at, turns }) => alignedTurns(at, turns, offsets, own));
  let world = transferred();
  if (B && median(world.map(({ turned }) => turned)) > DECEPTIVE_DEGREES) {
    B = null;
    offsets = offsetsFromFrames(frames, own, leg);
    world = transferred();
  }
  if (!B) notes.push("its rest pose is not a standing person, so joint positions decide");
  pelvisOfBody(world, notes);
  const scale = skeleton.restDistance("left_hip", "left_knee", "left_ankle") / leg;
  const place = (joint) => skeleton.joints[skeleton.index[joint]].position;
  const hips = subtract(scaled(add(place("left_hip"), place("right_hip")), 0.5), place("pelvis"));
  const start = scaled(middleOf(frames[0].at, "hip"), scale);
  const poses = frames.map(({ at }, k) => {
    const local = localTurns(world[k].turns, skeleton);
    const root = subtract(scaled(middleOf(at, "hip"), scale), rotate(local.pelvis, hips));
    return { root: [root[0] - start[0], root[1], root[2] - start[2]], turns: local };
  });
  const clip = onFloor(clipFromPoses(name.replace(/\.[^.]*$/, ""), animation.fps, poses, skeleton), skeleton);
  return Object.assign(clip, { notes });
}

// Directions of our own limbs in the T-pose.
export function ownLimbs(skeleton) {
  return Object.fromEntries(LIMBS.map(([joint, end]) => {
    const [a, b] = [joint, end].map((n) => skeleton.joints[skeleton.index[n]].position);
    return [joint, normalize(subtract(b, a))];
  }));
}

const topOfTrunk = (at) => at.neck ?? middleOf(at, "shoulder");

// Rows of the rotation from the file's axes to ours in the rest pose, or null where it shows no body to align.
function restAxes(rest, own) {
  const hips = middleOf(rest, "hip"), feet = middleOf(rest, "ankle");
  const head = rest.head ?? topOfTrunk(rest);
  let left = normalize(subtract(rest.left_hip, rest.right_hip));
  const shoulders = normalize(subtract(rest.left_shoulder, rest.right_shoulder));
  const trunk = normalize(subtract(head, hips));
  const straight = dot(trunk, normalize(subtract(hips, feet))) > 0.7;
  const up = nearestAxis(straight ? normalize(subtract(head, feet)) : trunk);
  if (!(dot(trunk, up) > 0.7) || Math.abs(dot(left, up)) > 0.5 || dot(left, shoulders) < 0.5) return null;
  left = normalize(subtract(left, scaled(up, dot(left, up))));
  let B = [left, up, cross(left, up)];
  const snapped = B.map((row) => row.map(Math.round));
  const axes = snapped.every((row) => row.reduce((sum, x) => sum + Math.abs(x), 0) === 1);
  if (axes && dot(snapped[0], cross(snapped[1], snapped[2])) === 1) B = snapped;
  for (const [joint, end] of LIMBS) {
    if (!rest[joint] || !rest[end]) continue;
    const bone = normalize(subtract(rest[end], rest[joint]));
    if (dot(B.map((row) => dot(row, bone)), own[joint]) < -0.25) return null;
  }
  return B;
}

function nearestAxis(v) {
  const longest = Math.max(...v.map(Math.abs));
  const axis = v.map((x) => (Math.abs(x) === longest ? Math.sign(x) : 0));
  return dot(axis, v) > 0.85 ? axis : v;
}

// Rows of the rotation from the file's world to ours.
function worldAxes(name, animation, at, B, leg, notes) {
  if (animation.up) return UP_ROWS[animation.up];
  const bodies = at.map((one) => normalize(subtract(middleOf(one, "shoulder"), middleOf(one, "ankle"))));
  const mean = (up) => bodies.reduce((sum, body) => sum + dot(body, up), 0) / bodies.length;
  const scores = Object.entries(UP_ROWS).map(([up, rows]) => [up, mean(rows[1])]);
  const [best, score] = scores.reduce((a, b) => (b[1] > a[1] ? b : a));
  const unclear = `${name} does not show which way is up: convert it with avatar and --up y, z, -y or x.`;
  if (!B) {
    if (!(score > 0.6)) throw new Error(unclear);
    return UP_ROWS[best];
  }
  const restUp = B[1], up = UP_ROWS[best][1];
  if (bodies.filter((body) => dot(body, restUp) > 0.7).length > 0.1 * bodies.length) return B;
  if (score < 0.8 || dot(up, restUp) > 0.7) return B;
  const feet = median(at.map((one) => Math.min(...SIDE_NAMES.map((side) => dot(one[`${side}_ankle`], up)))));
  const stands = feet / leg > -0.2 && feet / leg < 0.4;
  const pelvis = median(at.map((one) => dot(middleOf(one, "hip"), restUp))) / leg;
  const lowest = median(at.map((one) => Math.min(...Object.values(one).map((place) => dot(place, restUp))))) / leg;
  const lies = pelvis > 0.05 && pelvis < 0.6 && lowest > -0.1;
  if (stands === lies) throw new Error(unclear);
  if (!stands) return B;
  notes.push(`its frames have ${best} up, unlike its rest pose`);
  return UP_ROWS[best];
}

// The power of ten by which the path must grow so that the lower foot stands still: 1 where it does already.
function pathFactor(frames, up) {
  const level = (v) => subtract(v, scaled(up, dot(v, up)));
  let steps = 0, squares = 0, paths = 0, along = 0;
  for (let k = 1; k < frames.length; k++) {
    const [a, b] = [frames[k - 1], frames[k]];
    const heights = SIDE_NAMES.map((side) => dot(add(a.at[`${side}_ankle`], b.at[`${side}_ankle`]), up));
    const foot = `${SIDE_NAMES[heights[0] <= heights[1] ? 0 : 1]}_ankle`;
    const path = subtract(b.moved, a.moved);
    const step = level(subtract(subtract(b.at[foot], a.at[foot]), path));
    const flat = level(path);
    steps += Math.hypot(...step);
    squares += dot(step, step);
    paths += dot(flat, flat);
    along -= dot(step, flat);
  }
  const leg = median(frames.map(({ at }) => distance(middleOf(at, "hip"), middleOf(at, "ankle"))));
  if (!(steps > 0.5 * leg) || !(paths > 0)) return 1;
  const size = Math.log10(Math.max(along / paths, 1));
  const agrees = along > 0.7 * Math.sqrt(squares * paths) && Math.abs(size - Math.round(size)) < 0.2;
  return agrees ? 10 ** Math.round(size) : 1;
}

// G_ours = G_theirs C: the constant rotation C of each joint, from a rest pose that stands.
function offsetsFromRest(rest, restTurns, B, own) {
  const toOurs = quatFromRows(B), turns = {};
  for (const [joint, end] of LIMBS) {
    if (!rest[joint] || !rest[end]) continue;
    turns[joint] = quatBetween(own[joint], rotate(toOurs, subtract(rest[end], rest[joint])));
  }
  for (const side of SIDE_NAMES) if (turns[`${side}_elbow`]) turns[`${side}_wrist`] = turns[`${side}_elbow`];
  return Object.fromEntries(Object.entries(restTurns).map(([joint, turn]) => {
    const back = quatConjugate(quatMultiply(toOurs, turn));
    return [joint, turns[joint] ? quatMultiply(back, turns[joint]) : back];
  }));
}

// C from where the joints are in the frames: the mean rotation between both skeletons.
function offsetsFromFrames(frames, own, leg) {
  const ours = frames.map(({ at }) => framesOfPlaces(at, own));
  const offsets = {};
  for (const joint of Object.keys(frames[0].turns)) {
    if (!ours[0][joint]) continue;
    offsets[joint] = meanQuat(frames.map(({ turns }, k) => quatMultiply(quatConjugate(turns[joint]), ours[k][joint])));
  }
  // A foot is level where its ankle is lowest, and points to its toes.
  for (const side of SIDE_NAMES) {
    const [ankle, foot] = [`${side}_ankle`, `${side}_foot`];
    if (!frames[0].at[foot]) continue;
    const lowest = Math.min(...frames.map(({ at }) => at[ankle][1]));
    const standing = frames.filter(({ at }) => at[ankle][1] < lowest + STANDING * leg);
    const forward = standing.map(({ at }) => {
      const toes = subtract(at[foot], at[ankle]);
      return normalize([toes[0], 0, toes[2]]);
    });
    const level = standing.map(({ at }, k) => dot(normalize(subtract(at[foot], at[ankle])), forward[k]));
    if (median(level) < 0.5) continue;
    for (const joint of [ankle, foot]) {
      offsets[joint] = meanQuat(standing.map(({ turns }, k) => {
        const left = cross([0, 1, 0], forward[k]);
        return quatMultiply(quatConjugate(turns[joint]), quatFromColumns(left, [0, 1, 0], forward[k]));
      }));
    }
  }
  return offsets;
}

// Our joints' turns as their places show them; what they leave open follows the trunk.
export function framesOfPlaces(at, own) {
  const trunk = normalize(subtract(topOfTrunk(at), middleOf(at, "hip")));
  const across = (part) => normalize(subtract(at[`left_${part}`], at[`right_${part}`]));
  const pelvis = carried([1, 0, 0], [0, 1, 0], across("hip"), trunk);
  const chest = carried([0, 1, 0], [1, 0, 0], trunk, across("shoulder"));
  const turns = {
    pelvis, spine1: quatBlend(pelvis, chest, 1 / 3), spine2: quatBlend(pelvis, chest, 2 / 3),
    spine3: chest, neck: chest, head: chest,
  };
  for (const side of SIDE_NAMES) {
    turns[`${side}_collar`] = chest;
    for (const [upper, lower, end, above] of [["hip", "knee", "ankle", pelvis], ["shoulder", "elbow", "wrist", chest]]) {
      const joint = `${side}_${upper}`, bend = `${side}_${lower}`, hinge = MOTION_WORDS.hinges[bend];
      const bone = normalize(subtract(at[bend], at[joint]));
      const usual = rotate(quatBetween(rotate(above, own[joint]), bone), rotate(above, hinge));
      if (!at[`${side}_${end}`]) {
        turns[joint] = turns[bend] = carried(own[joint], hinge, bone, usual);
        continue;
      }
      const below = normalize(subtract(at[`${side}_${end}`], at[bend]));
      const axis = add(cross(bone, below), scaled(usual, HINGE_SHARE));
      turns[joint] = carried(own[joint], hinge, bone, axis);
      turns[bend] = turns[`${side}_${end}`] = carried(own[bend], hinge, below, axis);
    }
    turns[`${side}_foot`] = turns[`${side}_ankle`];
    turns[`${side}_hand`] = turns[`${side}_elbow`];
  }
  return turns;
}

// The rotation that brings the direction a to b and, as far as that allows, one normal to the other.
export function carried(a, normalA, b, normalB) {
  const frame = (along, normal) => {
    const side = normalize(cross(normal, along));
    return quatFromColumns(along, side, cross(along, side));
  };
  return quatMultiply(frame(b, normalB), quatConjugate(frame(a, normalA)));
}

export function quatFromColumns(x, y, z) {
  return quatFromMatrix([x[0], y[0], z[0], x[1], y[1], z[1], x[2], y[2], z[2]]);
}

// The mean of rotations: the main axis of their quaternions (Markley et al. 2007, eq. 12), by power iteration.
function meanQuat(quats) {
  const M = Array(16).fill(0);
  for (const q of quats) for (let i = 0; i < 16; i++) M[i] += q[i >> 2] * q[i & 3];
  let mean = [...quats[0]];
  for (let round = 0; round < 60; round++) {
    mean = quatNormalize([0, 1, 2, 3].map((i) => quatDot(M.slice(4 * i, 4 * i + 4), mean)));
  }
  return mean;
}

// Our joints' turns in our world, with the limbs where the joints of the file are.
function alignedTurns(at, turns, offsets, own) {
  const world = Object.fromEntries(Object.entries(offsets).map(([joint, C]) => [joint, quatMultiply(turns[joint], C)]));
  const angles = [];
  for (const [joint, end] of LIMBS) {
    if (!at[joint] || !at[end]) continue;
    const bone = subtract(at[end], at[joint]);
    if (!(Math.hypot(...bone) > 1e-9)) continue;
    const turn = quatBetween(rotate(world[joint], own[joint]), bone);
    angles.push(quatDegrees(turn, [1, 0, 0, 0]));
    world[joint] = quatMultiply(turn, world[joint]);
  }
  return { turns: world, turned: angles.reduce((sum, x) => sum + x, 0) / angles.length };
}

// Replace a pelvis that is a control and no bone: one that the legs and the spine together turn back.
function pelvisOfBody(world, notes) {
  const spine = ["spine1", "spine2", "spine3", "neck"].find((joint) => world[0].turns[joint]);
  if (!spine) return;
  const parts = ({ turns }) => [turns.left_hip, turns.right_hip, turns[spine], turns[spine]];
  const together = world.map((frame) => meanQuat(parts(frame)));
  const against = median(world.map(({ turns }, k) => quatDegrees(turns.pelvis, together[k])));
  const spread = median(world.map((frame, k) =>
    parts(frame).reduce((sum, q) => sum + quatDegrees(q, together[k]) / 4, 0)));
  if (against < CONTROL_DEGREES || spread > against / 2) return;
  notes.push(`legs and spine turn its pelvis back by ${Math.round(against)} degrees, so it was taken from them`);
  for (const frame of world) {
    const up = rotate(frame.turns[spine], [0, 1, 0]);
    const across = parts(frame).map((q) => rotate(q, [1, 0, 0])).reduce(add);
    const left = normalize(subtract(across, scaled(up, dot(across, up))));
    frame.turns.pelvis = quatFromColumns(left, up, cross(left, up));
  }
}

// Our joints' rotations relative to their parents. Joints that the source lacks go along with their parents; missing
// parts of the spine share the bend.
export function localTurns(turns, skeleton) {
  const whole = { ...turns };
  if (whole.spine3) {
    const start = whole.spine1 ?? whole.pelvis;
    const missing = ["spine1", "spine2"].filter((joint) => !whole[joint]);
    missing.forEach((joint, k) => { whole[joint] = quatBlend(start, whole.spine3, (k + 1) / (missing.length + 1)); });
  }
  const world = [], local = {};
  skeleton.joints.forEach(({ name, parent }, i) => {
    const above = parent < 0 ? [1, 0, 0, 0] : world[parent];
    world[i] = whole[name] ?? above;
    local[name] = quatMultiply(quatConjugate(above), world[i]);
  });
  return local;
}

// The clip lowered or raised so that it stands on the floor.
export function onFloor(clip, skeleton) {
  prepareClip(clip, skeleton);
  for (let i = 1; i < clip.roots.length; i += 3) clip.roots[i] -= clip.floor;
  return clip;
}
