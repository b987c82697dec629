// An avatar with its motions, and the poses that it takes: all that a player knows without a canvas.

import { readAvatar, restCenters } from "./avatar_file.js";
import { clipDuration, prepareClip, samplePose } from "./clips.js";
import { Correctives } from "./correctives.js";
import { Face } from "./face.js";
import { Skeleton } from "./skeleton.js";
import { bytesOf } from "./sources.js";
import { fullCount } from "./splats.js";
import { Springs } from "./springs.js";
import { learnWords } from "./words.js";

const STILL = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0]; // rows of a matrix and a quaternion that move nothing

export class AvatarModel {
  /** @param {{header: object, arrays: object}} content what `readAvatar` returns */
  constructor({ header, arrays }) {
    learnWords(header.words);
    this.header = header;
    this.arrays = arrays;
    this.skeleton = new Skeleton(header.joints);
    this.skeleton.sole = header.low[1];
    this.skeleton.figure = header.figure;
    this.grips = Object.entries(header.grips ?? {}).map(([name, quat]) => [this.skeleton.index[name], quat]);
    this.correctives = new Correctives(header.correctives, arrays, restCenters(arrays.centers, header));
    this.face = header.face && new Face(header.face, arrays);
    this.clips = header.clips.map((clip) => prepareClip({
      ...clip, roots: arrays[clip.roots], quats: arrays[clip.quats], coefficients: arrays[clip.coefficients] || null,
      face: clip.face && Float32Array.from(arrays[clip.face], (step) => step / 255),
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

  /**
   * Room for what is drawn in a pose: centres at rest with log brightness; transforms of the joints, of the nodes of springs
   * and of the world; and what swings.
   */
  buffers() {
    const springs = this.header.springs && new Springs(this.header.springs, this.skeleton);
    const last = this.skeleton.size + (springs?.places.length ?? 0);
    const jointData = new Float32Array(16 * (last + 1));
    jointData.set(STILL, 16 * last);
    return { rest: new Float32Array(4 * fullCount(this.header.splats)), jointData, springs };
  }

  /**
   * Fill the buffers for a pose.
   * @param {{root: number[], quats: Float32Array, coefficients?: number[], face?: number[]}} pose
   * @param {object} buffers
   * @param {{clip: object, seconds: number}} [moment] of the motion that the pose is of: what swings comes from there; without
   *   one it hangs still
   * @returns {{places: number[][], turns: number[][]}} of the joints in the world
   */
  pose(pose, { rest, jointData, springs }, moment) {
    if (this.grips.length) pose = { ...pose, quats: pose.quats.slice() };
    for (const [joint, quat] of this.grips) pose.quats.set(quat, 4 * joint);
    const carried = (one) => {
      const placed = this.skeleton.place(one);
      return springs.carried(placed, this.skeleton.skinning(placed, jointData));
    };
    if (springs && moment) {
      const { clip, seconds } = moment;
      springs.follow(clip, seconds, clipDuration(clip), (time) => carried(time === seconds ? pose : this.poseAt(clip, time)));
    } else if (springs) {
      springs.settle(carried(pose));
      springs.clip = null;
    }
    springs?.write(jointData);
    const placed = this.skeleton.place(pose);
    this.skeleton.skinning(placed, jointData);
    this.correctives.apply(pose, rest);
    if (pose.face) this.face?.apply(pose.face, rest);
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
