// Motion clips: {name, fps, frames, roots (frames x 3), quats (frames x joints x 4), coefficients or null, face or
// undefined (frames x units, 0 to 1)}.

import { quatBlend, quatDot, quatNormalize } from "./rotations.js";

export const MAX_FRAMES = 36000;

// The pose at a time in seconds, between the two nearest frames.
export function samplePose(clip, seconds, joints) {
  const at = Math.min(Math.max(seconds * clip.fps, 0), clip.frames - 1);
  const a = Math.floor(at), b = Math.min(a + 1, clip.frames - 1), t = at - a;
  const mix = (array, width) =>
    Array.from({ length: width }, (_, i) => array[a * width + i] * (1 - t) + array[b * width + i] * t);
  const quats = new Float32Array(4 * joints);
  for (let j = 0; j < joints; j++) {
    const pick = (frame) => Array.from(clip.quats.subarray(4 * (frame * joints + j), 4 * (frame * joints + j) + 4));
    quats.set(quatBlend(pick(a), pick(b), t), 4 * j);
  }
  const coefficients = clip.coefficients && mix(clip.coefficients, clip.coefficients.length / clip.frames);
  const face = clip.face && mix(clip.face, clip.face.length / clip.frames);
  return { root: mix(clip.roots, 3), quats, coefficients, face };
}

export function clipDuration(clip) {
  return Math.max(clip.frames - 1, 0) / clip.fps;
}

// Adds the height of the floor, and a smooth path for the camera to follow.
export function prepareClip(clip, skeleton) {
  const feet = ["left_foot", "right_foot"].map((name) => skeleton.index[name]).filter((i) => i !== undefined);
  const clearance = Math.min(...feet.map((i) => skeleton.joints[i].position[1])) - skeleton.sole;
  const step = Math.max(1, Math.floor(clip.frames / 120));
  const lowest = [];
  for (let frame = 0; frame < clip.frames; frame += step) {
    const { places } = skeleton.place(samplePose(clip, frame / clip.fps, skeleton.size));
    lowest.push(Math.min(...feet.map((i) => places[i][1])));
  }
  lowest.sort((a, b) => a - b);
  clip.floor = lowest[Math.floor(lowest.length * 0.1)] - clearance;
  clip.path = smoothPath(clip);
  return clip;
}

// Where the body stands on the floor: a straight line for steps that repeat, so that the camera does not jump when
// they begin again, and otherwise the average over a second and a half.
function smoothPath(clip) {
  if (repeats(clip)) {
    const last = 3 * (clip.frames - 1);
    return Float32Array.from({ length: 2 * clip.frames }, (_, i) => {
      const [from, to] = [clip.roots[2 * (i % 2)], clip.roots[last + 2 * (i % 2)]];
      return from + ((to - from) * (i >> 1)) / Math.max(clip.frames - 1, 1);
    });
  }
  const reach = Math.round(0.75 * clip.fps);
  const path = new Float32Array(2 * clip.frames);
  for (let axis = 0; axis < 2; axis++) {
    const sums = [0];
    for (let i = 0; i < clip.frames; i++) sums.push(sums[i] + clip.roots[3 * i + 2 * axis]);
    for (let i = 0; i < clip.frames; i++) {
      const low = Math.max(0, i - reach), high = Math.min(clip.frames, i + reach + 1);
      path[2 * i + axis] = (sums[high] - sums[low]) / (high - low);
    }
  }
  return path;
}

// Whether the last pose leads on to the first: no joint differs by more than 30 degrees, which a fast run does in one
// frame, and the body has moved on.
function repeats(clip) {
  const width = clip.quats.length / clip.frames;
  const last = clip.quats.length - width;
  for (let i = 0; i < width; i += 4) {
    if (Math.abs(quatDot(clip.quats.subarray(i, i + 4), clip.quats.subarray(last + i, last + i + 4))) < 0.966) return false;
  }
  const end = 3 * (clip.frames - 1);
  return Math.hypot(clip.roots[end] - clip.roots[0], clip.roots[end + 2] - clip.roots[2]) > 0.5;
}

export function pathAt(clip, seconds) {
  const at = Math.min(Math.max(seconds * clip.fps, 0), clip.frames - 1);
  const a = Math.floor(at), b = Math.min(a + 1, clip.frames - 1), t = at - a;
  return [0, 1].map((axis) => clip.path[2 * a + axis] * (1 - t) + clip.path[2 * b + axis] * t);
}

// A clip of frames.length poses {root, turns: {joint name: quaternion}}; joints not named stay at rest.
export function clipFromPoses(name, fps, poses, skeleton) {
  const frames = poses.length, joints = skeleton.size;
  const clip = {
    name, fps, frames, coefficients: null,
    roots: new Float32Array(3 * frames), quats: new Float32Array(4 * joints * frames),
  };
  poses.forEach((pose, frame) => {
    clip.roots.set(pose.root, 3 * frame);
    skeleton.joints.forEach((joint, j) => {
      clip.quats.set(pose.turns[joint.name] || [1, 0, 0, 0], 4 * (frame * joints + j));
    });
  });
  return clip;
}

// Our own motion file, as avatar/motion/formats/player_json.py writes it:
// {"format": "avatar-motion", "fps", "names": [joints], "root": [[x, y, z]], "quats": [[[w, x, y, z]]]}.
export function clipFromJson(name, text, skeleton) {
  let motion;
  try {
    motion = JSON.parse(text);
  } catch {
    throw new Error(`${name} is not readable JSON.`);
  }
  const { format, fps, names, root, quats } = motion ?? {};
  const numbers = (array, width) => Array.isArray(array) && array.length === width && array.every(Number.isFinite);
  if (format !== "avatar-motion" || !(fps > 0) || ![names, root, quats].every(Array.isArray)) {
    throw new Error(`${name} is not a motion file of this program.`);
  }
  if (!root.length || root.length !== quats.length || root.length > MAX_FRAMES) {
    throw new Error(`${name} must hold 1 to ${MAX_FRAMES} frames, as many root positions as poses.`);
  }
  const poses = root.map((place, frame) => {
    const turns = quats[frame];
    if (!numbers(place, 3) || !Array.isArray(turns) || turns.length !== names.length) {
      throw new Error(`${name}: frame ${frame} is not one position and ${names.length} quaternions.`);
    }
    if (!turns.every((q) => numbers(q, 4))) throw new Error(`${name}: frame ${frame} has a broken quaternion.`);
    return { root: place, turns: Object.fromEntries(names.map((joint, j) => [joint, quatNormalize(turns[j])])) };
  });
  return clipFromPoses(name.replace(/\.json$/i, ""), fps, poses, skeleton);
}
