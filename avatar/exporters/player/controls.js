// Buttons, keys, files dropped on the player, and what they show.

import { BACKGROUNDS } from "./backgrounds.js";
import { clipDuration } from "./clips.js";
import { Drawing, figureFromJson } from "./drawing.js";
import { lightNames, lightWords } from "./lights.js";
import { Menu } from "./menu.js";
import { clipFromFile } from "./motion_files.js";
import { decodeText } from "./text.js";

const SPEEDS = [0.25, 0.5, 1, 2];
const BYTES_OF_MOTION = 64 << 20;
const BYTES_OF_FIGURE = 1 << 20;

export class Controls {
  /**
   * @param {import("./player.js").Player} player
   * @param {import("./avatar_player.js").AvatarPlayer} host
   * @param {EventTarget} scope where keys and dropped files belong to this player: the window of a page, or the element
   */
  constructor(player, host, scope) {
    this.player = player;
    this.closing = new AbortController();
    this.host = host;
    this.root = host.root;
    this.drawing = new Drawing(player, this);
    this.menu = new Menu(player, this);
    this.bindButtons();
    this.bindKeys(scope);
    this.bindFiles(scope);
    player.freeArea = () => this.freeArea();
    player.addEventListener("change", () => this.update());
    this.resized = new ResizeObserver(() => this.moved());
    for (const element of [host, this.element("head"), this.element("foot")]) this.resized.observe(element);
    this.update();
  }

  element(id) {
    return this.host.element(id);
  }

  // Leave the keys and files to another player.
  close() {
    this.closing.abort();
    this.resized.disconnect();
  }

  // Controls have another place or size.
  moved() {
    this.area = null;
    this.player.changed = true;
  }

  bindButtons() {
    const { player, root } = this;
    const { camera } = player;
    this.actions = {
      play: () => {
        const atEnd = !player.state.playing && player.state.time >= clipDuration(player.clip);
        player.set({ playing: !player.state.playing, ...(atEnd ? { time: 0 } : {}) });
      },
      speed: () => player.set({ speed: SPEEDS[(SPEEDS.indexOf(player.state.speed) + 1) % SPEEDS.length] }),
      loop: () => player.set({ loop: !player.state.loop }),
      light: () => {
        const names = lightNames(player.model.header);
        const light = names[(names.indexOf(player.state.light) + 1) % names.length];
        player.set({ light });
        this.host.say(`Light: ${lightWords(light)}`, 2);
      },
      home: () => camera.reset(),
      background: () => {
        const names = Object.keys(BACKGROUNDS);
        this.host.background = names[(names.indexOf(root.dataset.background) + 1) % names.length];
      },
      about: () => this.element("info").showModal(),
      add: () => this.element("file").click(),
      draw: () => this.drawing.open(!this.drawing.isOpen),
    };
    for (const [id, act] of Object.entries(this.actions)) this.element(id).addEventListener("click", act);
    this.element("scrub").addEventListener("input", (event) => {
      player.set({ playing: false, time: Number(event.target.value) * clipDuration(player.clip) });
    });
    this.element("info").addEventListener("click", (event) => {
      if (event.target === this.element("info")) this.element("info").close();
    });
  }

  bindKeys(scope) {
    const { player, actions } = this;
    const stepFrames = (count) => () => player.set({ playing: false, time: player.state.time + count / player.clip.fps });
    const keys = {
      " ": actions.play, ".": stepFrames(1), ",": stepFrames(-1), s: actions.speed, l: actions.loop,
      b: actions.background, t: actions.light, r: actions.home, d: actions.draw, f: () => this.menu.fullscreen(),
      escape: () => this.menu.open(false),
    };
    scope.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || this.element("info").open) return;
      const from = event.composedPath()[0];
      // A focused button is pressed by the space bar already, and arrows belong to what they move.
      if (event.key === " " && from instanceof HTMLButtonElement) return;
      if (from instanceof HTMLInputElement && event.key.startsWith("Arrow")) return;
      const act = keys[event.key.toLowerCase()];
      if (!act && !(this.host.hasAttribute("camera-controls") && player.camera.key(event.key))) return;
      event.preventDefault();
      act?.();
    }, { signal: this.closing.signal });
  }

  bindFiles(scope) {
    const { root } = this, { signal } = this.closing;
    for (const id of ["file", "image"]) {
      this.element(id).addEventListener("change", (event) => {
        for (const file of event.target.files) this.openFile(file);
        event.target.value = "";
      });
    }
    scope.addEventListener("dragover", (event) => {
      event.preventDefault();
      root.dataset.dragging = "true";
    }, { signal });
    scope.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) root.dataset.dragging = "false";
    }, { signal });
    scope.addEventListener("drop", (event) => {
      event.preventDefault();
      root.dataset.dragging = "false";
      for (const file of event.dataTransfer.files) this.openFile(file);
    }, { signal });
  }

  /**
   * A motion, an image to draw over, or the points of a drawing.
   * @param {File} file
   */
  async openFile(file) {
    const { player } = this;
    try {
      if (file.type.startsWith("image/")) return await this.drawing.load(file);
      if (file.size > BYTES_OF_MOTION) throw new Error(`${file.name} is larger than 64 MB.`);
      const bytes = new Uint8Array(await file.arrayBuffer());
      const words = player.skeleton.figure;
      const figure = file.size < BYTES_OF_FIGURE ? figureFromJson(file.name, decodeText(bytes), words) : null;
      if (figure) {
        this.drawing.show(figure);
        return this.drawing.open(true);
      }
      const clip = await clipFromFile(file.name, bytes, player.skeleton);
      player.addClip(clip);
      this.host.say(clip.notes?.length ? `${clip.name}: ${clip.notes.join("; ")}.` : "");
    } catch (error) {
      this.host.say(error.message);
    }
  }

  // The part of the canvas that no controls cover, pixels of the page from its corner.
  freeArea() {
    this.area ??= this.measureArea();
    return this.area;
  }

  measureArea() {
    const { clientWidth: width, clientHeight: height } = this.player.canvas;
    const { controls, ui } = this.root.dataset;
    if (controls === "off" || ui === "off") return { left: 0, top: 0, width, height };
    const corner = this.root.getBoundingClientRect();
    const box = (element) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      return { right: right - corner.left, top: top - corner.top, bottom: bottom - corner.top, width: right - left };
    };
    // In a wide window the header leaves its middle free for the head.
    const top = width > 700 || controls === "bar" ? 20 : box(this.element("head")).bottom;
    const { top: bottom } = box(this.element("foot"));
    const area = { left: 0, top, width, height: Math.max(bottom - top, 0.3 * height) };
    if (!this.drawing.isOpen) return area;
    const sheet = box(this.drawing.panel);
    // The sheet is beside the avatar in a wide window, and above it on a phone.
    if (sheet.width < 0.6 * width) return { ...area, left: sheet.right, width: width - sheet.right };
    return { ...area, top: sheet.bottom, height: Math.max(bottom - sheet.bottom, 0.2 * height) };
  }

  update() {
    const { state, clip, clips } = this.player;
    const duration = clipDuration(clip);
    const done = duration ? state.time / duration : 0;
    const scrub = this.element("scrub");
    scrub.value = done;
    scrub.style.setProperty("--done", `${100 * done}%`);
    this.show("now", state.time.toFixed(1));
    // The rest changes seldom, and writing it makes the browser lay out the page again.
    const rest = JSON.stringify([state.playing, state.speed, state.loop, state.light, state.clip, clips.length, duration]);
    if (rest === this.shownState) return;
    this.shownState = rest;
    this.root.dataset.playing = state.playing;
    this.show("whole", duration.toFixed(1));
    scrub.setAttribute("aria-valuetext", `of ${duration.toFixed(1)} seconds`);
    this.element("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
    const speed = `${state.speed}×`.replace("0.", ".");
    this.show("speed", speed);
    this.element("speed").setAttribute("aria-label", `Speed ${speed}`);
    this.element("loop").setAttribute("aria-pressed", state.loop);
    const light = `Light: ${lightWords(state.light)}`;
    this.element("light").setAttribute("aria-label", light);
    this.element("light").title = `${light} (T for the next)`;
    const list = this.element("clips");
    if (list.children.length !== clips.length) this.listClips(list);
    [...list.children].forEach((chip, i) => {
      chip.setAttribute("aria-checked", i === state.clip);
      chip.tabIndex = i === state.clip ? 0 : -1;
    });
  }

  show(id, text) {
    const element = this.element(id);
    if (element.textContent !== text) element.textContent = text;
  }

  listClips(list) {
    const { player } = this;
    const chips = player.clips.map(({ name }, i) => {
      const chip = document.createElement("button");
      chip.setAttribute("role", "radio");
      chip.textContent = name;
      chip.addEventListener("click", () => player.set({ clip: i }));
      // Radio buttons are one stop of the tab key; arrows go from one to the next.
      chip.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const next = chips[(i + step + chips.length) % chips.length];
        next.click();
        next.focus();
      });
      return chip;
    });
    list.replaceChildren(...chips);
    // Not scrollIntoView, which would scroll the page around the player too.
    const chosen = chips[player.state.clip];
    list.scrollLeft = chosen.offsetLeft - (list.clientWidth - chosen.offsetWidth) / 2;
  }
}
