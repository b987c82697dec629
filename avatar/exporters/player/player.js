// A canvas on which an avatar plays its motions: the state, and the loop that draws a frame when something has changed.

import { OrbitCamera, fixedCamera } from "./camera.js";
import { clipDuration, pathAt } from "./clips.js";
import { Companion } from "./companion.js";
import { FILMED } from "./lights.js";
import { Playback } from "./playback.js";
import { Resolution } from "./resolution.js";
import { Splats } from "./splats.js";

const TURN_PER_SECOND = (20 * Math.PI) / 180;
const PLACES = 20; // moments of a motion at which people are looked at
const WIDER = 2.5; // of their distances from the middle: who is nearer looks larger
const LONGEST_STEP = 0.1; // seconds of the motion that a late frame may skip

/** Dispatches "change" after the state has changed and was drawn, and the events of `Playback`. */
export class Player extends Playback {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./model.js").AvatarModel} model
   * @param {{camera?: string, ratio?: number}} [options] a fixed camera, canvas pixels per page pixel
   */
  constructor(canvas, model, options = {}) {
    super(model);
    this.canvas = canvas;
    this.options = options;
    this.camera = new OrbitCamera(canvas, () => { this.changed = true; });
    this.resolution = new Resolution();
    Object.assign(this.state, { light: model.header.start_light ?? FILMED, shadows: true, rotating: false });
    this.frames = 0;
    this.companions = [];
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
    for (const companion of this.companions) companion.startDrawing(gl);
    this.posed = null;
    this.changed = true;
  }

  // Let somebody else play along in the same world.
  join(model) {
    const companion = new Companion(model);
    companion.startDrawing(this.splats.gl);
    this.companions.push(companion);
    this.widths = {};
    this.changed = true;
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

  // For good: browsers allow few contexts at a time.
  close() {
    this.stop();
    this.splats?.gl.getExtension("WEBGL_lose_context")?.loseContext();
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

  drawFrame() {
    this.resize();
    this.poseSplats();
    this.drawEverybody(this.view(), this.look());
    this.frames += 1;
  }

  poseSplats() {
    if (this.takePose()) this.splats.pose(this.buffers.rest, this.buffers.jointData);
    for (const companion of this.companions) companion.pose(this.clip.name, this.state.time);
  }

  drawEverybody(camera, look) {
    this.sortEverybody(camera);
    this.splats.clear(camera);
    this.drawView(camera, look);
  }

  // From the farthest to the nearest person.
  sortEverybody(camera) {
    const depth = ({ placed }) => camera.T.slice(8, 11).reduce((sum, value, axis) => sum + value * placed.places[0][axis], 0);
    this.people = [this, ...this.companions].sort((a, b) => depth(b) - depth(a));
    for (const { splats } of this.people) splats.sort(camera);
  }

  // Into the viewport that is set; all shadows lie under all people.
  drawView(camera, look) {
    this.people.forEach(({ splats }, place) => splats.drawView(camera, place ? { ...look, shadows: [] } : look));
  }

  look() {
    return { light: this.state.light, shadows: this.state.shadows ? this.shadows() : [] };
  }

  view() {
    if (this.options.camera) return fixedCamera(this.options.camera, this.canvas);
    const [x, z] = this.centre();
    const { height } = this.model;
    const target = [x, this.floor + 0.5 * height, z];
    // A T-pose at rest is as wide as the body is high; motions mostly stay within two thirds of that.
    const width = 0.68 * height + this.spread();
    return this.camera.view(target, { height: 1.16 * height, width }, this.freeArea(), this.ratio);
  }

  // What the camera looks at, over the floor.
  centre() {
    if (!this.ownPose) return this.middle(this.state.time);
    const [x, , z] = this.placed.places[0];
    return this.ownPose.centre ?? [x, z];
  }

  // The middle of everybody's places on the floor.
  middle(time) {
    const places = [pathAt(this.clip, time), ...this.companions.map((one) => one.place(this.clip.name, time))];
    return [0, 1].map((axis) => places.reduce((sum, place) => sum + place[axis], 0) / places.length);
  }

  // How much wider than one person everybody together is, at any moment of the motion.
  spread() {
    if (!this.companions.length || this.ownPose) return 0;
    const { clip } = this;
    return this.widths[clip.name] ??= WIDER * Math.max(...Array.from({ length: PLACES }, (_, i) => {
      const time = (clipDuration(clip) * i) / (PLACES - 1), [x, z] = this.middle(time);
      const places = [pathAt(clip, time), ...this.companions.map((one) => one.place(clip.name, time))];
      return Math.max(...places.map((place) => Math.hypot(place[0] - x, place[1] - z)));
    }));
  }

  // The part of the canvas that no controls cover, pixels of the page; controls replace it.
  freeArea() {
    return { left: 0, top: 0, width: this.canvas.clientWidth, height: this.canvas.clientHeight };
  }

  // A wide soft one under the body and a darker one under each foot, fainter the higher they are.
  shadows() {
    return [this, ...this.companions].flatMap(({ model, placed }) => this.shadowsOf(model.skeleton, placed));
  }

  shadowsOf({ index }, placed) {
    const floor = this.floor + 0.002;
    const under = (joint, radius, darkness, reach) => {
      const [x, y, z] = placed.places[index[joint]];
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
