// Somebody else in the same world, who plays along: the motion of the same name at the same moment.

import { clipDuration, pathAt } from "./clips.js";
import { Splats } from "./splats.js";

export class Companion {
  /** @param {import("./model.js").AvatarModel} model */
  constructor(model) {
    this.model = model;
    this.buffers = model.buffers();
  }

  startDrawing(gl) {
    this.splats = new Splats(gl, this.model.header, this.model.arrays);
    this.posed = null;
  }

  // The motion of this name; the first one for a motion that only the others have.
  clip(name) {
    return this.model.clips[Math.max(this.model.find(name), 0)];
  }

  pose(name, time) {
    const clip = this.clip(name);
    const key = `${clip.name} ${time}`;
    if (key === this.posed) return;
    this.posed = key;
    const seconds = Math.min(time, clipDuration(clip));
    this.placed = this.model.pose(this.model.poseAt(clip, seconds), this.buffers, { clip, seconds });
    this.splats.pose(this.buffers.rest, this.buffers.jointData);
  }

  // Where they are on the floor: x and z.
  place(name, time) {
    return pathAt(this.clip(name), time);
  }
}
