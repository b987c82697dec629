// <avatar-player>: an avatar as an element of a page. docs/manual/web.md shows how it is used.

import { BACKGROUNDS, backgroundImage, paintBackground } from "./backgrounds.js";
import { clipDuration } from "./clips.js";
import { Controls } from "./controls.js";
import { FILMED, lightNames, noLight } from "./lights.js";
import { loadModel } from "./model.js";
import { clipFromFile } from "./motion_files.js";
import { Player } from "./player.js";
import { poseFromJoints } from "./poses.js";
import { bytesOf } from "./sources.js";
import { STYLE } from "./style.js";
import { TEMPLATE } from "./template.js";
import { avatarObject3D } from "./three_object.js";
import { applyView, readView, viewText } from "./view_options.js";

const MESSAGE_SECONDS = 7;
const EVENTS = ["play", "pause", "ended", "motion", "change"];
const NO_JOINTS = {};

const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);

/**
 * Attributes: src, motion, light, poster, controls ("bar" or "full"), camera-controls, auto-rotate, paused, background,
 * heading, credits, about, page (the window's keys and drops are the player's).
 *
 * Events: load, error (detail: a sentence), play, pause, ended, motion, change.
 */
export class AvatarPlayer extends HTMLElement {
  static observedAttributes = ["src", "motion", "light", "poster", "controls", "camera-controls", "auto-rotate", "background",
    "heading", "credits", "about"];

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).innerHTML = TEMPLATE;
    this.shadowRoot.adoptedStyleSheets = [sheet];
    this.root = this.element("root");
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.addEventListener("fullscreenchange", () => this.update());
  }

  element(id) {
    return this.shadowRoot.getElementById(id);
  }

  connectedCallback() {
    this.update();
    this.dark.onchange = () => this.update();
    this.watcher ??= new IntersectionObserver(([entry]) => {
      if (this.player) this.player.visible = entry.isIntersecting;
    });
    this.watcher.observe(this);
    this.player?.start();
  }

  disconnectedCallback() {
    this.watcher.disconnect();
    this.player?.stop();
  }

  attributeChangedCallback(name, before, now) {
    if (before === now) return;
    if (name === "src" && now) this.load(now).catch(() => {}); // the event says why
    if (name === "motion" && now && this.model) {
      if (this.model.find(now) < 0) this.say(this.noMotion(now));
      else this.play(now);
    }
    if (name === "light" && this.player) this.shine(now);
    this.update();
  }

  // The shadow root by the attributes.
  update() {
    const { root } = this;
    root.dataset.controls = this.hasAttribute("controls") ? this.getAttribute("controls") || "bar" : "off";
    root.dataset.camera = this.hasAttribute("camera-controls") ? "on" : "off";
    root.dataset.cooperative = this.cooperative;
    const asked = this.getAttribute("background");
    const background = asked === "auto" ? (this.dark.matches ? "dusk" : "dawn") : asked;
    const known = Object.hasOwn(BACKGROUNDS, background);
    if (known) root.dataset.background = background;
    else delete root.dataset.background;
    root.dataset.dark = known ? Boolean(BACKGROUNDS[background].dark) : this.dark.matches;
    root.style.background = known ? backgroundImage(background) : background ?? "";
    this.element("heading").textContent = this.heading;
    this.element("heading").setAttribute("aria-level", this.hasAttribute("page") ? 1 : 2);
    this.element("info-heading").textContent = this.heading || "Avatar";
    this.element("info-text").textContent = this.getAttribute("about") ?? "";
    for (const element of root.querySelectorAll(".credits")) element.textContent = this.getAttribute("credits") ?? "";
    this.showPoster();
    this.labelStage();
    this.player?.set({ rotating: this.hasAttribute("auto-rotate") });
    this.controls?.moved();
  }

  labelStage() {
    const canvas = this.element("stage");
    const turns = this.hasAttribute("camera-controls") ? " Drag or press the arrow keys to turn, pinch or scroll to zoom." : "";
    canvas.setAttribute("aria-label", `${this.heading || "A person"} as an avatar.${turns}`);
    canvas.tabIndex = turns ? 0 : -1;
  }

  // poster="image.webp", or poster alone for the image beside `src`.
  showPoster() {
    const poster = this.element("poster");
    const named = this.getAttribute("poster"), src = this.getAttribute("src");
    const url = named || (named === "" && src ? src.replace(/\.avatar(?=$|[?#])/, ".webp") : null);
    if (url && poster.getAttribute("src") !== url) {
      poster.onload = () => {
        poster.hidden = false;
        this.root.dataset.poster = "true"; // the canvas takes its place at once
      };
      poster.src = url;
    }
  }

  // Whether wheel and strokes belong to the page around the player, too.
  get cooperative() {
    const alone = this.hasAttribute("page") && window === window.top;
    return !alone && document.fullscreenElement !== this;
  }

  /**
   * Show an avatar.
   * @param {string|URL|Blob|ArrayBuffer|Uint8Array} source a file that `avatar export --web` wrote
   * @returns {Promise<void>}
   */
  async load(source) {
    const turn = this.turn = {};
    this.root.dataset.state = "loading";
    try {
      const model = await loadModel(source, (share) => this.progress(share));
      if (this.turn !== turn) return; // another avatar was asked for meanwhile
      this.open(model);
    } catch (error) {
      if (this.turn !== turn) return;
      this.fail(error);
      throw error;
    }
  }

  // The light of this name, or the one that the file begins with.
  shine(name) {
    const light = name ?? this.model.header.start_light ?? FILMED;
    if (this.lights.includes(light)) this.player.set({ light });
    else this.say(noLight(light, this.lights));
  }

  progress(share) {
    this.dispatchEvent(new CustomEvent("progress", { detail: share }));
  }

  open(model) {
    if (this.player) this.closePlayer();
    const player = new Player(this.element("stage"), model);
    Object.assign(this, { model, player });
    for (const name of EVENTS) player.addEventListener(name, () => this.dispatchEvent(new CustomEvent(name)));
    player.camera.listen({
      cooperative: () => this.cooperative,
      onRefused: () => this.say(`Hold ${/Mac|iP/.test(navigator.platform) ? "⌘" : "Ctrl"} and scroll to zoom.`),
    });
    this.controls = new Controls(player, this, this.hasAttribute("page") ? window : this);
    const motion = this.getAttribute("motion");
    const still = this.hasAttribute("paused") || matchMedia("(prefers-reduced-motion: reduce)").matches;
    player.set({ clip: Math.max(motion ? model.find(motion) : 0, 0), playing: !still });
    this.shine(this.getAttribute("light"));
    this.update();
    if (this.wantedView) this.view = this.wantedView;
    player.drawFrame();
    this.controls.update();
    this.root.dataset.state = "ready";
    if (this.isConnected) player.start();
    this.dispatchEvent(new CustomEvent("load"));
    if (motion && model.find(motion) < 0) this.say(this.noMotion(motion));
  }

  // A canvas keeps its context, and listeners, so another avatar gets another canvas.
  closePlayer() {
    this.player.close();
    this.controls.close();
    this.shadowRoot.innerHTML = TEMPLATE;
    this.root = this.element("root");
  }

  fail(error) {
    this.root.dataset.state = "failed";
    this.say(error.message);
    console.error(error);
    this.dispatchEvent(new CustomEvent("error", { detail: error.message }));
  }

  /** One sentence for the user, for as long as it takes to read it. */
  say(text, seconds = MESSAGE_SECONDS) {
    const message = this.element("message");
    message.textContent = text;
    message.classList.toggle("shown", Boolean(text));
    clearTimeout(this.messageTimer);
    this.messageTimer = setTimeout(() => message.classList.remove("shown"), 1000 * seconds);
  }

  noMotion(name) {
    return `There is no motion called ${name}, only ${this.motions.join(", ")}.`;
  }

  get loaded() {
    if (!this.player) throw new Error("The avatar is not loaded yet: wait for the event load.");
    return this.player;
  }

  /** Names of the motions. */
  get motions() {
    return this.model ? this.model.clips.map(({ name }) => name) : [];
  }

  /** Name of the motion that plays. */
  get motion() {
    return this.player ? this.player.clip.name : this.getAttribute("motion");
  }

  set motion(name) {
    this.setAttribute("motion", name);
  }

  /**
   * Play, from where it stopped, or another motion from its beginning.
   * @param {string} [motion]
   */
  play(motion) {
    const player = this.loaded;
    if (motion === undefined || motion === player.clip.name) return player.set({ playing: true });
    const clip = this.model.find(motion);
    if (clip < 0) throw new Error(this.noMotion(motion));
    player.set({ clip, playing: true });
  }

  pause() {
    this.loaded.set({ playing: false });
  }

  get paused() {
    return !this.player?.state.playing;
  }

  /** Seconds into the motion. */
  get currentTime() {
    return this.player?.state.time ?? 0;
  }

  set currentTime(time) {
    this.loaded.set({ time });
  }

  get duration() {
    return this.player ? clipDuration(this.player.clip) : 0;
  }

  get playbackRate() {
    return this.player?.state.speed ?? 1;
  }

  set playbackRate(speed) {
    this.loaded.set({ speed });
  }

  get loop() {
    return this.player?.state.loop ?? true;
  }

  set loop(loop) {
    this.loaded.set({ loop });
  }

  /** Names of the lights: "filmed", "even", "above", "window", and one that the file was written with. */
  get lights() {
    return this.model ? lightNames(this.model.header) : [];
  }

  /** Name of the light that shines. */
  get light() {
    return this.player?.state.light ?? this.getAttribute("light");
  }

  set light(name) {
    this.setAttribute("light", name);
  }

  get heading() {
    return this.getAttribute("heading") ?? "";
  }

  get background() {
    return this.getAttribute("background");
  }

  set background(value) {
    this.setAttribute("background", value);
  }

  /**
   * Add a motion and play it: BVH, GLB, VRMA, npz or motion JSON, fitted to the avatar's skeleton.
   * @param {string|URL|Blob|ArrayBuffer|Uint8Array} source
   * @param {string} [name] by which it can be played again
   * @returns {Promise<string>} its name
   */
  async setMotion(source, name) {
    const player = this.loaded;
    const { bytes, name: file } = await bytesOf(source, name ?? "motion");
    const clip = await clipFromFile(name ?? file, bytes, player.skeleton);
    player.addClip(name ? { ...clip, name } : clip);
    return this.motion;
  }

  /**
   * Take a pose, until a motion is played. Without arguments: the T-pose.
   * @param {Object<string, number[]>} [joints] by SMPL's names, relative to the parent: quaternions [w, x, y, z], or rotation
   *   vectors [x, y, z] in degrees
   * @param {{root?: number[]}} [options] place of the pelvis, metres
   */
  setPose(joints = NO_JOINTS, { root } = {}) {
    const player = this.loaded;
    player.setPose(poseFromJoints(joints, root, player.skeleton));
  }

  /**
   * The avatar as an object of a three.js scene; `update(seconds)` moves it on. It plays for itself.
   * @param {typeof import("three")} THREE the library, as the page has it
   * @returns {import("three").Mesh}
   */
  object3D(THREE) {
    return avatarObject3D(THREE, this.loaded.model);
  }

  /** Motion, moment and camera as text, such as "clip=walk&t=1.2&yaw=30". */
  get view() {
    return this.player ? viewText(this.player, this.root.dataset.background) : this.wantedView ?? "";
  }

  set view(text) {
    this.wantedView = text;
    if (!this.player) return;
    const view = readView(text);
    if (view.ui === 0) this.root.dataset.ui = "off";
    if (view.background) this.background = Object.hasOwn(BACKGROUNDS, view.background) ? view.background : `#${view.background}`;
    applyView(this.player, view);
    this.controls.moved();
  }

  /**
   * The view as an image.
   * @param {{background?: boolean, type?: string}} [options] on the player's background instead of a transparent one
   * @returns {Promise<Blob>}
   */
  async toBlob({ background = false, type = "image/png" } = {}) {
    const { canvas } = this.loaded;
    this.player.drawFrame();
    const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
    const context = copy.getContext("2d");
    const name = this.root.dataset.background;
    if (background && name) paintBackground(context, name, copy.width, copy.height);
    context.drawImage(canvas, 0, 0);
    return new Promise((resolve) => copy.toBlob(resolve, type));
  }
}

customElements.define("avatar-player", AvatarPlayer);
