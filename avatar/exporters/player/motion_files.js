// A motion file of any kind that the page reads, recognised by its content.

import { BVH_COMMENT, clipFromBvh } from "./bvh.js";
import { clipFromJson } from "./clips.js";
import { clipFromGltf } from "./glb.js";
import { clipFromNpz } from "./npz.js";
import { decodeText } from "./text.js";

export async function clipFromFile(name, bytes, skeleton) {
  const text = (length) => String.fromCharCode(...bytes.subarray(0, length));
  if (text(4) === "glTF") return guarded(name, () => clipFromGltf(name, bytes, skeleton));
  if (text(2) === "PK") return guarded(name, () => clipFromNpz(name, bytes, skeleton));
  const read = decodeText(bytes);
  const begins = read.replace(BVH_COMMENT, "").trimStart();
  if (/^HIERARCHY/i.test(begins)) return guarded(name, () => clipFromBvh(name, read, skeleton));
  if (/^[{[]/.test(begins)) {
    const gltf = /"asset"\s*:/.test(read);
    return gltf ? guarded(name, () => clipFromGltf(name, bytes, skeleton)) : clipFromJson(name, read, skeleton);
  }
  throw new Error(`${name} is no motion that this page reads: BVH, GLB, VRMA, npz or motion JSON.`);
}

// A broken file may fail anywhere in its nested tables; the user gets one sentence.
async function guarded(name, read) {
  try {
    return await read();
  } catch (error) {
    throw error.constructor === Error ? error : new Error(`${name} is broken: ${error.message}`);
  }
}
