// Animation clips of glTF 2.0: GLB, VRM, VRMA, or glTF with its buffers inside (see avatar/motion/formats/glb.py).

import { MAX_FRAMES } from "./clips.js";
import { clipFromAnimation, median, quatFromColumns } from "./foreign.js";
import { ancestorsOf } from "./joint_names.js";
import { cross, dot, normalize, quatBlend, quatNormalize, quatToMatrix, scaled, subtract } from "./rotations.js";
import { decodeText } from "./text.js";

const GLTF_KINDS = {
  5120: Int8Array, 5121: Uint8Array, 5122: Int16Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array,
};
const GLTF_WIDTHS = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4, MAT4: 16 };
const GLTF_LARGEST = { 5120: 127, 5121: 255, 5122: 32767, 5123: 65535, 5125: 4294967295 };
export const GLTF_FPS = 30;

export function clipFromGltf(name, bytes, skeleton) {
  return clipFromAnimation(name, gltfAnimation(name, openGltf(name, bytes)), skeleton);
}

function openGltf(name, bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== 0x676c5446) return { scene: JSON.parse(decodeText(bytes)), chunk: null };
  const length = view.getUint32(12, true);
  const scene = JSON.parse(new TextDecoder().decode(bytes.subarray(20, 20 + length)));
  const start = 20 + length;
  const chunk = start + 8 <= bytes.length ? bytes.subarray(start + 8, start + 8 + view.getUint32(start, true)) : null;
  return { scene, chunk };
}

// Rows of numbers of an accessor, with normalised integers brought to [-1, 1].
function gltfAccessor(name, { scene, chunk }, index) {
  const accessor = scene.accessors[index];
  const { componentType, count, sparse } = accessor, width = GLTF_WIDTHS[accessor.type];
  const read = (viewIndex, offset, kindCode, rows, columns) => {
    const view = scene.bufferViews[viewIndex], kind = GLTF_KINDS[kindCode];
    const packed = ["EXT_meshopt_compression", "KHR_meshopt_compression"].find((key) => view.extensions?.[key]);
    if (packed) throw new Error(`${name} is compressed by ${packed}: export it without compression.`);
    const buffer = gltfBuffer(name, scene.buffers[view.buffer], chunk);
    const size = kind.BYTES_PER_ELEMENT * columns, stride = view.byteStride || size;
    const start = (view.byteOffset ?? 0) + offset;
    if (start + stride * (rows - 1) + size > buffer.length) throw new Error(`${name} is cut off.`);
    return Array.from({ length: rows }, (_, row) => {
      const from = start + stride * row;
      return Array.from(new kind(buffer.slice(from, from + size).buffer));
    });
  };
  const values = accessor.bufferView === undefined
    ? Array.from({ length: count }, () => Array(width).fill(0))
    : read(accessor.bufferView, accessor.byteOffset ?? 0, componentType, count, width);
  if (sparse) {
    const { indices, values: given } = sparse;
    const at = read(indices.bufferView, indices.byteOffset ?? 0, indices.componentType, sparse.count, 1);
    read(given.bufferView, given.byteOffset ?? 0, componentType, sparse.count, width)
      .forEach((row, k) => { values[at[k][0]] = row; });
  }
  const largest = accessor.normalized ? GLTF_LARGEST[componentType] : 0;
  return largest ? values.map((row) => row.map((x) => Math.max(x / largest, -1))) : values;
}

function gltfBuffer(name, { uri }, chunk) {
  if (uri === undefined && chunk) return chunk;
  if (!uri?.startsWith("data:")) throw new Error(`${name} keeps its data in another file: export it as one GLB file.`);
  return Uint8Array.from(atob(uri.slice(uri.indexOf(",") + 1)), (c) => c.charCodeAt(0));
}

function gltfAnimation(name, file) {
  const { nodes, skins = [] } = file.scene;
  if (!file.scene.animations?.length) throw new Error(`${name} holds no animation.`);
  const parents = nodes.map(() => -1);
  nodes.forEach(({ children = [] }, i) => children.forEach((child) => { parents[child] = i; }));
  const atRest = nodes.map(nodeParts);
  const { count, tracks } = gltfTracks(name, file);
  const order = nodes.map((_, i) => i).sort((a, b) => ancestorsOf(parents, a).length - ancestorsOf(parents, b).length);
  const chained = (local) => {
    const world = [];
    for (const i of order) world[i] = parents[i] < 0 ? local(i) : affineProduct(world[parents[i]], local(i));
    return world;
  };
  const still = chained((i) => affineOf(atRest[i]));
  const rest = bindPose(name, file, still, parents);
  const people = humanoidNodes(file.scene);
  const joints = new Set([...skins.flatMap((skin) => skin.joints), ...Object.keys(tracks).map(Number), ...people.keys()]);
  const bare = !skins.length && !people.size;
  const chosen = nodes.map((_, i) => i).filter((i) => bare || joints.has(i));
  const pose = (frame) => {
    const world = chained((i) => affineOf({ ...atRest[i], ...tracks[i]?.(frame) }));
    return { places: chosen.map((i) => world[i].t), turns: chosen.map((i) => affineTurn(world[i])) };
  };
  return {
    names: chosen.map((i) => people.get(i) ?? String(nodes[i].name ?? `node${i}`)),
    parents: chosen.map((i) => {
      const above = ancestorsOf(parents, i).find((j) => chosen.includes(j));
      return above === undefined ? -1 : chosen.indexOf(above);
    }),
    rest: { places: chosen.map((i) => rest[i].t), turns: chosen.map((i) => affineTurn(rest[i])) },
    frames: count, fps: GLTF_FPS, pose, up: "y",
  };
}

// Translation, turn and scale of a node at rest.
function nodeParts({ matrix, translation, rotation, scale }) {
  if (!matrix) {
    const [x, y, z, w] = rotation ?? [0, 0, 0, 1];
    return { translation: translation ?? [0, 0, 0], rotation: [w, x, y, z], scale: scale ?? [1, 1, 1] };
  }
  const affine = affineFromColumns(matrix);
  const column = (k) => Math.hypot(affine.m[k], affine.m[3 + k], affine.m[6 + k]);
  return { translation: affine.t, rotation: affineTurn(affine), scale: [0, 1, 2].map(column) };
}

// The first clip in which something moves: how many frames, and for each node a function of the frame.
function gltfTracks(name, file) {
  const curvesOf = ({ channels, samplers }) => channels
    .filter(({ target }) => ["translation", "rotation", "scale"].includes(target.path) && target.node !== undefined)
    .map(({ sampler, target }) => {
      const { input, output, interpolation = "LINEAR" } = samplers[sampler];
      const keys = gltfAccessor(name, file, input).map(([t]) => t);
      let values = gltfAccessor(name, file, output);
      if (target.path === "rotation") values = values.map(([x, y, z, w]) => [w, x, y, z]);
      return { node: target.node, path: target.path, keys, values, interpolation };
    });
  const clips = file.scene.animations.map(curvesOf);
  const moves = ({ values }) => values.some((row) => row.some((x, i) => Math.abs(x - values[0][i]) > 1e-4));
  const curves = clips.find((clip) => clip.some(moves)) ?? clips[0];
  const first = Math.min(...curves.map(({ keys }) => keys[0]));
  const last = Math.max(...curves.map(({ keys }) => keys.at(-1)));
  const count = Math.floor((last - first) * GLTF_FPS + 1e-6) + 1;
  if (!(count > 0 && count <= MAX_FRAMES)) throw new Error(`${name}: its animation has no length, or is too long.`);
  const byNode = {};
  for (const curve of curves) (byNode[curve.node] ??= []).push(curve);
  const tracks = Object.fromEntries(Object.entries(byNode).map(([node, own]) => [node, (frame) =>
    Object.fromEntries(own.map((curve) => [curve.path, curveAt(curve, first + frame / GLTF_FPS)]))]));
  return { count, tracks };
}

function curveAt({ keys, values, interpolation, path }, time) {
  let after = keys.findIndex((key) => key > time);
  after = Math.max(after < 0 ? keys.length - 1 : after, Math.min(1, keys.length - 1));
  const before = Math.max(after - 1, 0), step = keys[after] - keys[before];
  const t = Math.min(Math.max((time - keys[before]) / Math.max(step, 1e-9), 0), 1);
  if (interpolation === "STEP") return values[t >= 1 ? after : before];
  if (interpolation === "CUBICSPLINE") {
    const [one, out, into, two] = [3 * before + 1, 3 * before + 2, 3 * after, 3 * after + 1].map((k) => values[k]);
    const [t2, t3] = [t * t, t * t * t];
    const mixed = one.map((x, i) => (2 * t3 - 3 * t2 + 1) * x + step * (t3 - 2 * t2 + t) * out[i] +
      (3 * t2 - 2 * t3) * two[i] + step * (t3 - t2) * into[i]);
    return path === "rotation" ? quatNormalize(mixed) : mixed;
  }
  const [one, two] = [values[before], values[after]];
  return path === "rotation" ? quatBlend(one, two, t) : one.map((x, i) => x * (1 - t) + two[i] * t);
}

// The frames of all nodes when the skin was bound; nodes outside the skin hang on the nearest one in it.
function bindPose(name, file, still, parents) {
  const bound = new Map();
  const skins = [...(file.scene.skins ?? [])].sort((a, b) => b.joints.length - a.joints.length);
  for (const { joints, inverseBindMatrices } of skins) {
    if (inverseBindMatrices === undefined) continue;
    const inverse = gltfAccessor(name, file, inverseBindMatrices).map(affineFromColumns);
    let own = joints.map((node, k) => [node, inverse[k]])
      .filter(([, affine]) => affine && Math.abs(affineDeterminant(affine)) > 1e-24)
      .map(([node, affine]) => [node, affineInverse(affine)]);
    // A quantised mesh stretches its axes; without that, the rows of every frame have one length.
    const lengths = [0, 1, 2].map((row) => median(own.map(([, { m }]) => Math.hypot(...m.slice(3 * row, 3 * row + 3)))));
    const stretch = lengths.map((length) => (3 * length) / (lengths[0] + lengths[1] + lengths[2]));
    const even = ({ m, t }) => ({ m: m.map((x, i) => x / stretch[Math.floor(i / 3)]), t: t.map((x, i) => x / stretch[i]) });
    own = own.map(([node, affine]) => [node, even(affine)]);
    const shared = own.find(([node]) => bound.has(node));
    if (bound.size && !shared) continue;
    const into = shared && affineProduct(bound.get(shared[0]), affineInverse(shared[1]));
    for (const [node, affine] of own) if (!bound.has(node)) bound.set(node, into ? affineProduct(into, affine) : affine);
  }
  if (!bound.size) return still;
  return still.map((affine, node) => {
    const line = [node, ...ancestorsOf(parents, node)];
    const at = line.find((i) => bound.has(i)) ?? [...bound.keys()].find((i) => ancestorsOf(parents, i).includes(node)) ??
      bound.keys().next().value;
    if (at === node) return bound.get(node);
    return Math.abs(affineDeterminant(still[at])) > 1e-18
      ? affineProduct(affineProduct(bound.get(at), affineInverse(still[at])), affine) : affine;
  });
}

// Node -> the bone of a person that it is, where VRM's own map says so.
function humanoidNodes(scene) {
  for (const key of ["VRMC_vrm_animation", "VRMC_vrm", "VRM"]) {
    const bones = scene.extensions?.[key]?.humanoid?.humanBones;
    if (Array.isArray(bones)) return new Map(bones.filter((b) => b.node !== undefined).map((b) => [b.node, b.bone]));
    const parts = Object.entries(bones ?? {}).filter(([, bone]) => bone.node !== undefined);
    if (bones) return new Map(parts.map(([part, bone]) => [bone.node, part]));
  }
  return new Map();
}

// Affine transforms {m, t}: nine numbers row by row, and a translation.

function affineOf({ translation, rotation, scale }) {
  const m = quatToMatrix(quatNormalize(rotation)).map((x, i) => x * scale[i % 3]);
  return { m, t: translation };
}

function affineFromColumns(c) {
  return { m: [c[0], c[4], c[8], c[1], c[5], c[9], c[2], c[6], c[10]], t: [c[12], c[13], c[14]] };
}

function affineApply({ m, t }, v) {
  return [0, 1, 2].map((i) => m[3 * i] * v[0] + m[3 * i + 1] * v[1] + m[3 * i + 2] * v[2] + t[i]);
}

function affineProduct(a, b) {
  const m = Array.from({ length: 9 }, (_, k) =>
    [0, 1, 2].reduce((sum, j) => sum + a.m[3 * Math.floor(k / 3) + j] * b.m[3 * j + (k % 3)], 0));
  return { m, t: affineApply(a, b.t) };
}

function affineDeterminant({ m }) {
  return dot(m.slice(0, 3), cross(m.slice(3, 6), m.slice(6, 9)));
}

function affineInverse({ m, t }) {
  const rows = [m.slice(0, 3), m.slice(3, 6), m.slice(6, 9)], determinant = affineDeterminant({ m });
  const adjugate = [cross(rows[1], rows[2]), cross(rows[2], rows[0]), cross(rows[0], rows[1])];
  const columns = adjugate.map((column) => scaled(column, 1 / determinant));
  const inverse = Array.from({ length: 9 }, (_, k) => columns[k % 3][Math.floor(k / 3)]);
  return { m: inverse, t: affineApply({ m: inverse, t: [0, 0, 0] }, scaled(t, -1)) };
}

// The rotation in a transform, without its scale, shear and mirroring.
function affineTurn({ m }) {
  const sign = Math.sign(affineDeterminant({ m })) || 1;
  const column = (k) => [m[k], m[3 + k], m[6 + k]].map((x) => x * sign);
  const x = normalize(column(0));
  const y = normalize(subtract(column(1), scaled(x, dot(column(1), x))));
  return quatFromColumns(x, y, cross(x, y));
}
