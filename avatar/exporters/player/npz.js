// NumPy archives: our own tracks, AMASS, and SMPL poses under the usual names (see avatar/motion/formats/smpl.py).

import { MAX_FRAMES, clipFromPoses } from "./clips.js";
import { UP_ROWS, onFloor, quatFromRows } from "./foreign.js";
import { GLTF_FPS } from "./glb.js";
import { float32FromHalf } from "./avatar_file.js";
import { add, quatAboutAxis, quatFromMatrix, quatMultiply, rotate, scaled } from "./rotations.js";
import { MOTION_WORDS } from "./words.js";

export async function clipFromNpz(name, bytes, skeleton) {
  const arrays = await readNpz(name, bytes);
  if (arrays.format?.text === "avatar-track") return trackClip(name, arrays, skeleton);
  return smplClip(name, arrays, skeleton);
}

function trackClip(name, { rotations, root_position: root, times }, skeleton) {
  if (!rotations || !root || !times) throw new Error(`${name} is a broken track.`);
  const [frames, joints] = rotations.shape;
  const fps = frames > 1 ? (frames - 1) / (times.values[frames - 1] - times.values[0]) : GLTF_FPS;
  const turns = Array.from({ length: frames }, (_, k) => Array.from({ length: Math.min(joints, 22) }, (_, j) =>
    quatFromMatrix(rotations.values.slice(9 * (k * joints + j), 9 * (k * joints + j) + 9))));
  return smplPoses(name, fps, turns, rowsOf(root.values, 3), 1, skeleton);
}

function smplClip(name, arrays, skeleton) {
  const words = MOTION_WORDS.smpl;
  const pick = (list) => list.find((key) => arrays[key]);
  const whole = pick(words.whole), root = pick(words.root), body = pick(words.body);
  if (!whole && !(root && body)) {
    throw new Error(`${name} holds no poses that this page reads (it has ${Object.keys(arrays).slice(0, 8).join(", ")}).`);
  }
  let turns = whole ? jointTurns(name, arrays[whole]) : jointTurns(name, arrays[root]).map((own) => [...own]);
  if (!whole) jointTurns(name, arrays[body]).forEach((own, k) => turns[k].push(...own));
  // EasyMocap keeps the root's rotation apart, about the origin, and zeros among the poses.
  const aboutOrigin = Boolean(arrays.Rh);
  if (aboutOrigin && whole) {
    const apart = jointTurns(name, arrays.Rh);
    turns = turns.map((own, k) => [apart[k][0], ...own.slice(1)]);
  }
  if (turns[0].length < 21) throw new Error(`${name}: ${turns[0].length} joints do not fit SMPL.`);
  const amass = Boolean(arrays.mocap_framerate || arrays.mocap_frame_rate) && Boolean(arrays.poses && arrays.trans);
  const family = turns[0].length === 55 || arrays.pose_jaw ? "smplx" : "smpl";
  const place = arrays[pick(words.place)], rate = arrays[pick(words.rate)];
  const shift = arrays.smpl_scaling ? 1 / arrays.smpl_scaling.values[0] : 1;
  const pelvis = MOTION_WORDS.rest_pelvis[family];
  const roots = turns.map((own, k) => {
    const trans = place ? Array.from(place.values.slice(3 * k, 3 * k + 3)) : [0, 0, 0];
    return add(scaled(trans, shift), aboutOrigin ? rotate(own[0], pelvis) : pelvis);
  });
  const up = amass ? "z" : upOfRoots(name, turns);
  const toOurs = quatFromRows(UP_ROWS[up]);
  turns.forEach((own) => { own[0] = quatMultiply(toOurs, own[0]); });
  const scale = skeleton.restDistance("left_hip", "left_knee", "left_ankle") / MOTION_WORDS.leg;
  const fps = rate ? rate.values[0] : arrays.smpl_scaling ? 60 : GLTF_FPS;
  if (!(fps >= 0.1 && fps <= 10000)) throw new Error(`${name} states ${fps} frames per second.`);
  return smplPoses(name, fps, turns, roots.map((root) => rotate(toOurs, root)), scale, skeleton);
}

function smplPoses(name, fps, turns, roots, scale, skeleton) {
  if (turns.length > MAX_FRAMES) throw new Error(`${name} has more than ${MAX_FRAMES} frames.`);
  const start = roots[0];
  const poses = turns.map((own, k) => ({
    root: [(roots[k][0] - start[0]) * scale, roots[k][1] * scale, (roots[k][2] - start[2]) * scale],
    turns: Object.fromEntries(MOTION_WORDS.joints.slice(0, Math.min(own.length, 22)).map((joint, j) => [joint, own[j]])),
  }));
  return onFloor(clipFromPoses(name.replace(/\.[^.]*$/, ""), fps, poses, skeleton), skeleton);
}

function rowsOf(values, width) {
  return Array.from({ length: values.length / width }, (_, k) => Array.from(values.slice(width * k, width * k + width)));
}

// Quaternions (frames, joints) of rotation vectors (T, 3 J) or (T, J, 3), or of matrices (T, J, 3, 3).
function jointTurns(name, { shape, values }) {
  let dims = [...shape];
  const matrices = dims.length > 3 && dims.at(-1) === 3 && dims.at(-2) === 3;
  const width = matrices ? 9 : 3;
  if (matrices) dims = dims.slice(0, -2);
  else if (dims.at(-1) === 3 && dims.length > 2) dims = dims.slice(0, -1);
  else dims = [...dims.slice(0, -1), dims.at(-1) / 3];
  if (dims.length === 3 && dims[0] === 1) dims = dims.slice(1);
  if (dims.length !== 2 || !Number.isInteger(dims[1])) {
    const size = shape.join(" x ");
    throw new Error(`${name} holds poses of the shape ${size}, of several people perhaps: convert it with avatar.`);
  }
  const [frames, joints] = dims;
  if (!values.every(Number.isFinite)) throw new Error(`${name} holds values that are not finite.`);
  return Array.from({ length: frames }, (_, k) => Array.from({ length: joints }, (_, j) => {
    const part = Array.from(values.slice(width * (k * joints + j), width * (k * joints + j) + width));
    if (matrices) return quatFromMatrix(part);
    const angle = Math.hypot(...part);
    return angle > 0 ? quatAboutAxis(scaled(part, 1 / angle), angle) : [1, 0, 0, 0];
  }));
}

// What points up: the axis along which the body stands for most of the time.
function upOfRoots(name, turns) {
  const standing = turns.map(([root]) => rotate(root, [0, 1, 0])).reduce(add);
  const scores = { y: standing[1], z: standing[2], "-y": -standing[1] };
  const best = Object.keys(scores).reduce((a, b) => (scores[b] > scores[a] ? b : a));
  if (scores[best] < 0.6 * turns.length) {
    throw new Error(`${name} does not show which way is up: convert it with avatar and --up y, z, -y or x.`);
  }
  return best;
}

// The arrays of a zip of npy files: name -> {shape, values, text}.
async function readNpz(name, bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0) throw new Error(`${name} is cut off.`);
  const arrays = {};
  for (let i = 0, at = view.getUint32(end + 16, true); i < view.getUint16(end + 10, true); i++) {
    const method = view.getUint16(at + 10, true), size = view.getUint32(at + 20, true);
    const start = view.getUint32(at + 42, true), nameLength = view.getUint16(at + 28, true);
    const member = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    if (!member.endsWith(".npy")) continue;
    const from = start + 30 + view.getUint16(start + 26, true) + view.getUint16(start + 28, true);
    const packed = bytes.slice(from, from + size);
    const stream = new Blob([packed]).stream();
    const plain = method ? stream.pipeThrough(new DecompressionStream("deflate-raw")) : stream;
    const array = readNpy(new Uint8Array(await new Response(plain).arrayBuffer()));
    if (array) arrays[member.slice(0, -4)] = array;
  }
  return arrays;
}

// One array of numbers or one text; null for anything else, such as Python objects.
function readNpy(bytes) {
  const view = new DataView(bytes.buffer), long = bytes[6] > 1;
  const start = (long ? 12 + view.getUint32(8, true) : 10 + view.getUint16(8, true));
  const header = new TextDecoder("latin1").decode(bytes.subarray(long ? 12 : 10, start));
  const kind = header.match(/'descr':\s*'([<>|=]?)(\w)(\d+)'/);
  const shape = (header.match(/'shape':\s*\(([^)]*)\)/)?.[1] ?? "").split(",").filter((x) => x.trim()).map(Number);
  if (!kind || /'fortran_order':\s*True/.test(header) && shape.length > 1) return null;
  const [, order, letter, size] = kind, little = order !== ">";
  const count = shape.reduce((a, b) => a * b, 1), bytesEach = Number(size);
  if (letter === "U") {
    const codes = Array.from({ length: Number(size) }, (_, i) => view.getUint32(start + 4 * i, little)).filter(Boolean);
    return { shape, values: [], text: String.fromCodePoint(...codes) };
  }
  const getters = {
    f2: (i) => float32FromHalf(new Uint16Array([view.getUint16(i, little)]))[0],
    f4: (i) => view.getFloat32(i, little), f8: (i) => view.getFloat64(i, little),
    i1: (i) => view.getInt8(i), i2: (i) => view.getInt16(i, little), i4: (i) => view.getInt32(i, little),
    i8: (i) => Number(view.getBigInt64(i, little)), u1: (i) => view.getUint8(i), u2: (i) => view.getUint16(i, little),
    u4: (i) => view.getUint32(i, little), u8: (i) => Number(view.getBigUint64(i, little)), b1: (i) => view.getUint8(i),
  };
  const get = getters[letter + size];
  return get ? { shape, values: Float64Array.from({ length: count }, (_, i) => get(start + bytesEach * i)) } : null;
}
