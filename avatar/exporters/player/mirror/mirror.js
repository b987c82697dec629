// "Mirror me": the avatar follows the camera, and the motion can be recorded. Nothing leaves the page.

import { clipFromJson } from "../clips.js";
import { download, fileName } from "../download.js";
import { subtract } from "../rotations.js";
import { CameraStream } from "./camera_stream.js";
import { MirrorFollower } from "./follower.js";
import { loadLandmarker } from "./landmarker.js";
import { Recorder, mirroredPose } from "./recorder.js";
import { namedLandmarks } from "./retarget.js";
import { MIRROR_HELP, MIRROR_STYLE, MIRROR_TEMPLATE } from "./template.js";

const HINT_SECONDS = 1; // without a person in the image
const CENTRE_SECONDS = 4; // in which the view follows where the person stands
const RECORDING = "recording";

export class Mirror {
  /**
   * @param {import("../avatar_player.js").AvatarPlayer} host a loaded player
   * @param {object} words see `mirror_table` in avatar/exporters/page_tables.py
   */
  constructor(host, words) {
    this.host = host;
    this.words = words;
    this.player = host.player;
    this.closing = new AbortController();
    this.addElements();
    this.camera = new CameraStream(this.part("video"), (sentence) => this.stop(sentence));
    this.state = "off";
    this.poses = 0;
    this.flip(true);
  }

  addElements() {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(MIRROR_STYLE);
    this.host.shadowRoot.adoptedStyleSheets = [...this.host.shadowRoot.adoptedStyleSheets, sheet];
    const holder = document.createElement("template");
    holder.innerHTML = MIRROR_TEMPLATE;
    this.host.element("foot").prepend(holder.content);
    this.host.element("info").querySelector("ul").insertAdjacentHTML("beforeend", MIRROR_HELP);
    const actions = {
      start: () => this.start(), stop: () => this.stop(), record: () => this.record(), save: () => this.save(),
      flip: () => this.flip(!this.flipped), camera: () => this.nextCamera(),
    };
    for (const [name, act] of Object.entries(actions)) this.part(name).addEventListener("click", act);
    window.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || this.host.element("info").open) return;
      if (event.key.toLowerCase() === "m") (this.isOn ? actions.stop : actions.start)();
      if (event.key.toLowerCase() === "e" && this.isOn) actions.record();
    }, { signal: this.closing.signal });
  }

  // Leave camera and keys to another avatar's mirror.
  close() {
    this.stop();
    this.closing.abort();
  }

  part(name) {
    return this.host.element(`mirror-${name}`);
  }

  get isOn() {
    return this.state === "on";
  }

  show(state) {
    this.state = state;
    this.part("start").hidden = state === "on";
    this.part("start").setAttribute("aria-busy", state === "loading");
    this.part("label").textContent = state === "loading" ? "Starting …" : "Mirror me";
    this.part("tools").hidden = this.part("image").hidden = state !== "on";
    this.player.changed = true;
  }

  async start() {
    if (this.state !== "off") return;
    const { playing } = this.player.state;
    this.show("loading");
    try {
      // The network loads while the person is asked for the camera, and nothing moves, which leaves it the processor.
      this.player.set({ playing: false });
      const loaded = this.landmarker ?? loadLandmarker();
      Promise.resolve(loaded).catch(() => {}); // a refused camera comes first
      await this.camera.open();
      this.landmarker = await loaded;
      this.follow();
    } catch (error) {
      this.stop(error.message);
      this.player.set({ playing });
    }
  }

  async nextCamera() {
    try {
      await this.camera.next();
      this.follower.reset();
    } catch (error) {
      this.stop(error.message);
    }
  }

  // The avatar stands in front of the viewer, and follows from the next image on.
  follow() {
    const { player } = this;
    this.follower = new MirrorFollower(player.skeleton, this.words);
    this.origin = this.time = null;
    this.centre = [0, 0];
    player.camera.reset();
    player.camera.yaw = 0;
    player.set({ playing: false });
    this.part("camera").hidden = this.camera.devices.length < 2;
    this.show("on");
    this.camera.onImage(() => this.step());
  }

  // One image of the camera.
  step() {
    if (!this.isOn) return;
    const { video } = this.camera, now = performance.now();
    if (this.time !== null && !this.player.ownPose) return this.stop(); // a motion was chosen
    try {
      const result = video.videoWidth ? this.landmarker.detectForVideo(video, now) : null;
      this.take(result && namedLandmarks(result, this.words.names, video.videoWidth, video.videoHeight), now / 1000);
    } catch (error) {
      console.warn(error);
      this.landmarker = null;
      return this.stop("The pose network stopped: press Mirror me again.");
    }
    this.camera.onImage(() => this.step());
  }

  // The landmarks of an image, or null without a person, at a time in seconds.
  take(landmarks, time) {
    if (!landmarks) {
      const alone = this.time === null || time - this.time > HINT_SECONDS;
      if (alone) this.part("hint").textContent = "Step into the image, best as a whole.";
      return;
    }
    this.part("hint").textContent = "";
    const seconds = this.time === null ? 0 : time - this.time;
    this.time = time;
    const pose = this.follower.follow(landmarks, time);
    this.origin ??= [pose.root[0], 0, pose.root[2]];
    pose.root = subtract(pose.root, this.origin);
    if (this.recorder) {
      this.recorder.add(pose, time);
      this.part("seconds").textContent = `${this.recorder.seconds.toFixed(1)} s`;
    }
    this.showPose(this.flipped ? mirroredPose(pose, this.player.skeleton) : pose, seconds);
  }

  showPose({ root, quats }, seconds) {
    const share = 1 - Math.exp(-seconds / CENTRE_SECONDS);
    this.centre = this.centre.map((value, k) => value + share * (root[2 * k] - value));
    this.player.setPose({ root: [root[0], root[1] + this.player.skeleton.sole, root[2]], quats, centre: this.centre });
    this.poses += 1;
  }

  flip(flipped) {
    this.flipped = flipped;
    this.part("flip").setAttribute("aria-pressed", flipped);
    this.part("video").classList.toggle("flipped", flipped);
  }

  // Starts a recording, or ends it and adds it to the motions.
  record() {
    const { recorder } = this;
    this.recorder = recorder ? null : new Recorder(this.player.skeleton);
    this.part("record").setAttribute("aria-pressed", !recorder);
    this.part("seconds").textContent = recorder ? "Record" : "0.0 s";
    if (!recorder) return;
    if (recorder.frames.length < 2) return this.host.say("Nothing was recorded: the camera showed no person.");
    this.recording = JSON.stringify(recorder.motion());
    const { model, skeleton } = this.player;
    model.add(clipFromJson(RECORDING, this.recording, skeleton));
    this.player.changed = true;
    this.part("save").hidden = false;
    this.host.say(`${recorder.seconds.toFixed(1)} seconds are recorded as a motion. Save writes them as a file.`);
  }

  save() {
    download(new Blob([this.recording], { type: "application/json" }), fileName(`${this.host.heading} recording`, "json"));
  }

  // Back to the motions; with a sentence if something went wrong.
  stop(sentence) {
    if (this.recorder) this.record();
    this.camera.close();
    this.show("off");
    if (this.player.ownPose) this.player.set({ time: this.player.state.time });
    if (sentence) this.host.say(sentence);
  }
}
