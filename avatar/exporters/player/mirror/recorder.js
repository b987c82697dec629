// A recording of the mirror as our own motion file, which `avatar animate` and the page itself read.

import { MAX_FRAMES } from "../clips.js";
import { quatBlend } from "../rotations.js";
import { MOTION_WORDS } from "../words.js";

export const RECORDING_FPS = 30;
const MOTION_DIGITS = 1e5; // as avatar/motion/formats/player_json.py rounds

export class Recorder {
  constructor(skeleton) {
    this.skeleton = skeleton;
    this.frames = [];
  }

  // A pose {root, quats} at a time in seconds, later than the one before.
  add(pose, time) {
    if (this.frames.length && time <= this.frames.at(-1).time) return;
    this.frames.push({ time, root: [...pose.root], quats: Float32Array.from(pose.quats) });
  }

  get seconds() {
    return this.frames.length ? this.frames.at(-1).time - this.frames[0].time : 0;
  }

  // The content of the motion file: cameras deliver frames unevenly, the file has them at even times.
  motion() {
    const { index } = this.skeleton;
    const count = Math.min(Math.floor(this.seconds * RECORDING_FPS + 1e-6) + 1, MAX_FRAMES);
    const frames = Array.from({ length: count }, (_, i) => this.at(this.frames[0].time + i / RECORDING_FPS));
    const rounded = (values) => Array.from(values, (value) => Math.round(value * MOTION_DIGITS) / MOTION_DIGITS);
    return {
      format: "avatar-motion", version: 1, fps: RECORDING_FPS, names: MOTION_WORDS.joints,
      root: frames.map(({ root }) => rounded(root)),
      // A skeleton with fingers has no joint for the whole hand.
      quats: frames.map(({ quats }) => MOTION_WORDS.joints.map((name) =>
        (index[name] === undefined ? [1, 0, 0, 0] : rounded(quats.subarray(4 * index[name], 4 * index[name] + 4))))),
    };
  }

  // The pose between the two nearest frames.
  at(time) {
    let next = this.frames.findIndex((frame) => frame.time >= time);
    if (next < 0) next = this.frames.length - 1;
    const [a, b] = [this.frames[Math.max(next - 1, 0)], this.frames[next]];
    const t = b.time > a.time ? Math.min(Math.max((time - a.time) / (b.time - a.time), 0), 1) : 0;
    const quats = new Float32Array(a.quats.length);
    for (let j = 0; j < quats.length; j += 4) {
      quats.set(quatBlend(Array.from(a.quats.subarray(j, j + 4)), Array.from(b.quats.subarray(j, j + 4)), t), j);
    }
    return { root: a.root.map((value, k) => value * (1 - t) + b.root[k] * t), quats };
  }
}

// The pose of a person in a mirror: left and right swapped, the skeleton taken as symmetric.
export function mirroredPose({ root, quats }, skeleton) {
  const other = (name) => name.replace(/^(left|right)_/, (side) => (side === "left_" ? "right_" : "left_"));
  const flipped = new Float32Array(quats.length);
  skeleton.joints.forEach(({ name }, i) => {
    const from = 4 * (skeleton.index[other(name)] ?? i);
    flipped.set([quats[from], quats[from + 1], -quats[from + 2], -quats[from + 3]], 4 * i);
  });
  return { root: [-root[0], root[1], root[2]], quats: flipped, coefficients: null };
}
