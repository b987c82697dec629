// What plays: the motion, the moment in it, and whether it runs. Canvases and three.js objects show it.

import { clipDuration } from "./clips.js";

/** Dispatches "play", "pause", "ended" and "motion". */
export class Playback extends EventTarget {
  /** @param {import("./model.js").AvatarModel} model */
  constructor(model) {
    super();
    this.model = model;
    this.buffers = model.buffers();
    this.state = { clip: 0, time: 0, playing: false, speed: 1, loop: true };
  }

  get skeleton() {
    return this.model.skeleton;
  }

  get clips() {
    return this.model.clips;
  }

  get clip() {
    return this.clips[this.state.clip];
  }

  // The only function that changes the state.
  set(change) {
    const before = { ...this.state };
    if (change.clip !== undefined && change.clip !== before.clip) change = { time: 0, ...change };
    const moves = change.clip !== undefined || change.time !== undefined || change.playing;
    if (this.ownPose && moves) this.setOwnPose(null);
    Object.assign(this.state, change);
    this.state.time = Math.min(Math.max(this.state.time, 0), clipDuration(this.clip));
    this.changed = true;
    if (this.state.clip !== before.clip) this.dispatchEvent(new Event("motion"));
    if (this.state.playing !== before.playing) this.dispatchEvent(new Event(this.state.playing ? "play" : "pause"));
  }

  addClip(clip) {
    this.set({ clip: this.model.add(clip), playing: true });
  }

  // One pose, in place of the one shown before it under the same name.
  showPose(clip) {
    const index = this.model.replace(clip);
    this.posed = null;
    this.set({ clip: index, playing: false });
  }

  /**
   * Take a pose that belongs to no motion, until a motion is played: for cameras, games and sliders, frame by frame.
   * @param {{root: number[], quats: Float32Array, coefficients?: number[], centre?: number[]}|null} pose centre: x and z that
   *   the camera looks at, if not the pelvis
   */
  setPose(pose) {
    this.set({ playing: false });
    this.setOwnPose(pose);
  }

  setOwnPose(pose) {
    this.ownPose = pose;
    this.posed = null;
  }

  advance(seconds) {
    const duration = clipDuration(this.clip);
    let time = this.state.time + seconds;
    if (time < duration) return this.set({ time });
    if (this.state.loop && duration > 0) return this.set({ time: time % duration });
    this.set({ time, playing: false });
    this.dispatchEvent(new Event("ended"));
  }

  // The pose of this moment in `buffers`; returns whether it is another one than before.
  takePose() {
    const key = `${this.state.clip} ${this.state.time}`;
    if (key === this.posed) return false;
    const pose = this.ownPose ?? this.model.poseAt(this.clip, this.state.time);
    const moment = this.ownPose ? undefined : { clip: this.clip, seconds: this.state.time };
    this.placed = this.model.pose(pose, this.buffers, moment);
    this.posed = key;
    return true;
  }

  // Height of the floor; poses of their own stand where the body stands at rest.
  get floor() {
    return this.ownPose ? this.skeleton.sole : this.clip.floor;
  }
}
