// A canvas on which an avatar plays its motions: the state, and the loop that draws a frame when something has changed.

import { OrbitCamera, fixedCamera } from "./camera.js";
import { clipDuration, pathAt } from "./clips.js";
import { Resolution } from "./resolution.js";
import { Splats } from "./splats.js";

const TURN_PER_SECOND = (20 * Math.PI) / 180;
const LONGEST_STEP = 0.1; // seconds of the motion that a late frame may skip

/**
 * Dispatches "change" after the state has changed and was drawn, "play", "pause", "ended" and "motion".
 */
export class Player extends EventTarget {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./model.js").AvatarModel} model
   * @param {{camera?: string, ratio?: number}} [options] a fixed camera, canvas pixels per page pixel
   */
  constructor(canvas, model, options = {}) {
    super();
    this.canvas = canvas;
    this.model = model;
    this.options = options;
    this.camera = new OrbitCamera(canvas, () => { this.changed = true; });
    this.resolution = new Resolution();
    this.state = { clip: 0, time: 0, playing: false, speed: 1, loop: true, lit: true, shadows: true, rotating: false };
    this.frames = 0;
    this.visible = true;
    this.startDrawing();
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.splats = null;
    });
    canvas.addEventListener("webglcontextrestored", () => this.startDrawing());
  }

  startDrawing() {
    const gl = this.canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    if (!gl) throw new Error("This browser or device has no WebGL 2, which this page needs to draw the avatar.");
    this.splats = new Splats(gl, this.model.header, this.model.arrays);
    this.posed = null;
    this.changed = true;
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
    if (change.clip !== undefined || change.time !== undefined || change.playing) this.ownPose = null;
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
    this.ownPose = pose;
    this.posed = null;
  }

  // Draw whenever something has changed, until `stop`.
  start() {
    this.running ??= requestAnimationFrame((time) => this.loopFrame(time));
  }

  stop() {
    cancelAnimationFrame(this.running);
    this.running = undefined;
    this.lastFrame = undefined;
  }

  loopFrame(now) {
    const seconds = Math.min((now - (this.lastFrame ?? now)) / 1000, LONGEST_STEP);
    this.lastFrame = now;
    this.running = requestAnimationFrame((time) => this.loopFrame(time));
    if (!this.visible) return;
    if (this.state.playing) this.advance(seconds * this.state.speed);
    if (this.state.rotating && !this.camera.moving) this.camera.turnBy(seconds * TURN_PER_SECOND, 0);
    const moving = this.state.playing || this.state.rotating || this.camera.moving;
    if (this.resolution.update(now, moving)) this.changed = true;
    if (this.changed && this.splats && !this.elsewhere) {
      this.changed = false;
      this.drawFrame();
      this.dispatchEvent(new Event("change"));
    }
  }

  advance(seconds) {
    const duration = clipDuration(this.clip);
    let time = this.state.time + seconds;
    if (time < duration) return this.set({ time });
    if (this.state.loop && duration > 0) return this.set({ time: time % duration });
    this.set({ time, playing: false });
    this.dispatchEvent(new Event("ended"));
  }

  drawFrame() {
    this.resize();
    this.takePose();
    this.splats.draw(this.view(), this.look());
    this.frames += 1;
  }

  // Splats in the pose of this moment.
  takePose() {
    const key = `${this.state.clip} ${this.state.time}`;
    if (key === this.posed) return;
    const { placed, rest, jointData } = this.model.pose(this.ownPose ?? this.model.poseAt(this.clip, this.state.time));
    this.placed = placed;
    this.splats.pose(rest, jointData);
    this.posed = this.ownPose ? null : key;
  }

  look() {
    return { lit: this.state.lit, shadows: this.state.shadows ? this.shadows() : [] };
  }

  view() {
    if (this.options.camera) return fixedCamera(this.options.camera, this.canvas);
    const [x, z] = this.centre();
    const { height } = this.model;
    const target = [x, this.floor + 0.5 * height, z];
    // A T-pose at rest is as wide as the body is high; motions mostly stay within two thirds of that.
    return this.camera.view(target, { height: 1.16 * height, width: 0.68 * height }, this.freeArea(), this.ratio);
  }

  // What the camera looks at, over the floor.
  centre() {
    if (!this.ownPose) return pathAt(this.clip, this.state.time);
    const [x, , z] = this.placed.places[0];
    return this.ownPose.centre ?? [x, z];
  }

  get floor() {
    return this.clip.floor;
  }

  // The part of the canvas that no controls cover, pixels of the page; controls replace it.
  freeArea() {
    return { left: 0, top: 0, width: this.canvas.clientWidth, height: this.canvas.clientHeight };
  }

  // A wide soft one under the body and a darker one under each foot, fainter the higher they are.
  shadows() {
    const { index } = this.skeleton;
    const floor = this.floor + 0.002;
    const under = (joint, radius, darkness, reach) => {
      const [x, y, z] = this.placed.places[index[joint]];
      const faded = darkness * Math.max(0, 1 - (y - floor) / reach);
      return { place: [x, floor, z], radius, darkness: faded };
    };
    return [
      under("pelvis", 0.62, 0.34, 2.5),
      ...["left_ankle", "right_ankle", "left_foot", "right_foot"].map((joint) => under(joint, 0.17, 0.3, 0.5)),
    ];
  }

  resize() {
    this.ratio = this.options.ratio ?? this.resolution.ratio;
    const width = Math.max(Math.round(this.canvas.clientWidth * this.ratio), 1);
    const height = Math.max(Math.round(this.canvas.clientHeight * this.ratio), 1);
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
  }
}
