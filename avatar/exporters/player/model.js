// An avatar with its motions, and the poses that it takes: all that a player knows without a canvas.

import { restCenters } from "./avatar_file.js";
import { prepareClip, samplePose } from "./clips.js";
import { Correctives } from "./correctives.js";
import { Skeleton } from "./skeleton.js";
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

  /**
   * What is drawn in a pose.
   * @param {{root: number[], quats: Float32Array, coefficients?: number[]}} pose
   * @returns {{placed: object, rest: Float32Array, jointData: Float32Array}} places and turns of the joints; centres at
   *   rest with log brightness; the joints' transforms. The arrays are used again for the next pose.
   */
  pose(pose) {
    const placed = this.skeleton.place(pose);
    this.jointData = this.skeleton.skinning(placed, this.jointData ?? new Float32Array(16 * this.skeleton.size));
    return { placed, rest: this.correctives.apply(pose), jointData: this.jointData };
  }

  /** The pose of a motion at a time in seconds. */
  poseAt(clip, seconds) {
    return samplePose(clip, seconds, this.skeleton.size);
  }
}
