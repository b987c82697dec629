// An avatar with its motions, and the poses that it takes: all that a player knows without a canvas.

import { readAvatar, restCenters } from "./avatar_file.js";
import { prepareClip, samplePose } from "./clips.js";
import { Correctives } from "./correctives.js";
import { Skeleton } from "./skeleton.js";
import { bytesOf } from "./sources.js";
import { fullCount } from "./splats.js";
import { learnWords } from "./words.js";

export class AvatarModel {
  /** @param {{header: object, arrays: object}} content what `readAvatar` returns */
  constructor({ header, arrays }) {
    learnWords(header.words);
    this.header = header;
    this.arrays = arrays;
    this.skeleton = new Skeleton(header.joints);
    this.skeleton.sole = header.low[1];
    this.skeleton.figure = header.figure;
    this.correctives = new Correctives(header.correctives, arrays, restCenters(arrays.centers, header));
    this.clips = header.clips.map((clip) => prepareClip({
      ...clip, roots: arrays[clip.roots], quats: arrays[clip.quats], coefficients: arrays[clip.coefficients] || null,
    }, this.skeleton));
  }

  /** Metres from the soles to the top of the head. */
  get height() {
    return this.header.high[1] - this.header.low[1];
  }

  /**
   * Index of the motion of this name, or -1.
   * @param {string} name
   */
  find(name) {
    return this.clips.findIndex((clip) => clip.name === name);
  }

  /** Add a motion under a name of its own; returns its index. */
  add(clip) {
    let name = clip.name;
    for (let number = 2; this.find(name) >= 0; number++) name = `${clip.name} ${number}`;
    return this.clips.push(prepareClip({ ...clip, name }, this.skeleton)) - 1;
  }

  /** Put a motion in place of the one of the same name, or add it; returns its index. */
  replace(clip) {
    const index = this.find(clip.name);
    if (index < 0) return this.add(clip);
    this.clips[index] = prepareClip(clip, this.skeleton);
    return index;
  }

  /** Room for what is drawn in a pose: centres at rest with log brightness, and the joints' transforms. */
  buffers() {
    return {
      rest: new Float32Array(4 * fullCount(this.header.splats)), jointData: new Float32Array(16 * this.skeleton.size),
    };
  }

  /**
   * Fill the buffers for a pose.
   * @param {{root: number[], quats: Float32Array, coefficients?: number[]}} pose
   * @returns {{places: number[][], turns: number[][]}} of the joints in the world
   */
  pose(pose, { rest, jointData }) {
    const placed = this.skeleton.place(pose);
    this.skeleton.skinning(placed, jointData);
    this.correctives.apply(pose, rest);
    return placed;
  }

  /** The pose of a motion at a time in seconds. */
  poseAt(clip, seconds) {
    return samplePose(clip, seconds, this.skeleton.size);
  }
}

/**
 * Load an avatar for `avatarObject3D`, without an element.
 * @param {string|URL|Blob|ArrayBuffer|Uint8Array} source a file that `avatar export --web` wrote
 * @param {(share: number) => void} [onProgress] in [0, 1]
 * @returns {Promise<AvatarModel>}
 */
export async function loadModel(source, onProgress) {
  const { bytes, name } = await bytesOf(source, "avatar", onProgress);
  return new AvatarModel(await readAvatar(bytes, name));
}
