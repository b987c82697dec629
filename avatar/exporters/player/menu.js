// What a person does with the view as it is: turn it slowly, fill the screen, send it, save it, enter it.

import { paintBackground } from "./backgrounds.js";
import { download, fileName } from "./download.js";
import { Immersive } from "./immersive.js";
import { viewText } from "./view_options.js";

const RECORDINGS = [["video/mp4", "mp4"], ["video/webm;codecs=vp9", "webm"], ["video/webm", "webm"]];
const FRAMES_PER_SECOND = 30;

export class Menu {
  constructor(player, controls) {
    this.player = player;
    this.controls = controls;
    this.host = controls.host;
    this.panel = controls.element("menu");
    this.button = controls.element("more");
    this.button.addEventListener("click", () => this.open(this.panel.hidden));
    const actions = {
      rotate: () => this.host.toggleAttribute("auto-rotate"),
      fullscreen: () => this.fullscreen(),
      share: () => this.share(),
      screenshot: () => this.screenshot(),
      record: () => this.record(),
      immersive: () => this.immersive.enter(),
    };
    for (const [id, act] of Object.entries(actions)) {
      controls.element(id).addEventListener("click", () => {
        this.open(false);
        Promise.resolve(act()).catch((error) => this.host.say(error.message));
      });
    }
    // A link opens the view where the element is the page; other pages decide for themselves what their address says.
    controls.element("share").hidden = !this.host.hasAttribute("page");
    controls.element("fullscreen").hidden = !document.fullscreenEnabled;
    this.format = RECORDINGS.find(([type]) => globalThis.MediaRecorder?.isTypeSupported(type));
    controls.element("record").hidden = !this.format;
    this.immersive = new Immersive(player);
    this.immersive.offer(controls.element("immersive"));
    player.addEventListener("change", () => this.update());
  }

  open(isOpen) {
    this.panel.hidden = !isOpen;
    this.button.setAttribute("aria-expanded", isOpen);
  }

  update() {
    const pressed = { rotate: this.player.state.rotating, record: Boolean(this.recorder) };
    for (const [id, value] of Object.entries(pressed)) this.controls.element(id).setAttribute("aria-pressed", value);
    if (this.recorder) this.copyFrame();
  }

  fullscreen() {
    if (document.fullscreenElement) return document.exitFullscreen();
    return document.fullscreenEnabled ? this.host.requestFullscreen() : undefined;
  }

  // A link to the page that opens with this motion, moment and view.
  async share() {
    const url = new URL(location.href);
    url.search = viewText(this.player, this.controls.root.dataset.background);
    url.hash = "";
    if (navigator.share && matchMedia("(hover: none)").matches) {
      return navigator.share({ url: url.href, title: document.title }).catch((error) => {
        if (error.name !== "AbortError") throw error;
      });
    }
    try {
      await navigator.clipboard.writeText(url.href);
      this.host.say("The link to this view is copied.");
    } catch {
      prompt("The link to this view:", url.href); // without the right to the clipboard it can be copied by hand
    }
  }

  async screenshot() {
    download(await this.host.toBlob({ background: true }), fileName(this.host.heading, "png"));
  }

  // The canvas on its background, as large as the canvas.
  copyFrame() {
    const { canvas } = this.player;
    const { background } = this.controls.root.dataset;
    const context = this.copy.getContext("2d");
    paintBackground(context, background ?? "white", this.copy.width, this.copy.height);
    context.drawImage(canvas, 0, 0, this.copy.width, this.copy.height);
  }

  // Start to record what is drawn, or stop and save it.
  record() {
    if (this.recorder) return this.recorder.stop();
    const { canvas } = this.player;
    // Encoders need even sides.
    this.copy = Object.assign(document.createElement("canvas"), { width: canvas.width & ~1, height: canvas.height & ~1 });
    const [mimeType, suffix] = this.format;
    this.recorder = new MediaRecorder(this.copy.captureStream(FRAMES_PER_SECOND), { mimeType, videoBitsPerSecond: 8e6 });
    const parts = [];
    this.recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
    this.recorder.addEventListener("stop", () => {
      this.recorder = null;
      this.player.changed = true;
      download(new Blob(parts, { type: mimeType }), fileName(this.host.heading, suffix));
    });
    this.copyFrame();
    this.recorder.start();
    this.player.set({ playing: true });
    this.host.say("Recording. Press “Record a video” again to stop and save.");
  }
}
