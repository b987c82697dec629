// Drawing a pose: a figure of 17 points over an image, the poses that fit it, and the panel that shows them.

import { clipFromPoses } from "./clips.js";
import { download } from "./download.js";
import { poseOfFigure } from "./figure_fit.js";
import { followedPose, poseHypotheses } from "./figure_poses.js";
import { onFloor } from "./foreign.js";
import { SIDE_NAMES } from "./joint_names.js";

const HYPOTHESES = 4;
const DRAWING = "drawing"; // name of the motion that holds the pose
const BLANK_SHEET = { width: 540, height: 720 };

export class Drawing {
  constructor(player, controls) {
    this.player = player;
    this.controls = controls;
    this.words = player.skeleton.figure;
    this.panel = controls.element("drawing");
    this.sheet = controls.element("sheet");
    this.depths = controls.element("depths");
    this.bones = this.words.bones.map(() => this.shape("line"));
    this.handles = this.words.points.map((name) => this.handle(name));
    this.choices = [];
    this.chosen = 0;
    this.bindButtons();
    this.sized(BLANK_SHEET);
  }

  bindButtons() {
    const actions = {
      "stop-drawing": () => this.open(false),
      "load-image": () => this.controls.element("image").click(),
      "at-ease": () => this.sized(this.figure),
      "save-points": () => this.save(),
    };
    for (const [id, act] of Object.entries(actions)) this.controls.element(id).addEventListener("click", act);
  }

  get isOpen() {
    return !this.panel.hidden;
  }

  open(isOpen) {
    this.panel.hidden = !isOpen;
    this.controls.root.dataset.drawing = isOpen ? "on" : "off";
    this.controls.moved();
    if (isOpen) this.solve();
  }

  // A figure at ease on a sheet of this size.
  sized({ width, height }) {
    const tall = Math.min(0.85 * height, 1.6 * width);
    const points = Object.entries(this.words.at_ease).map(([name, [x, y]]) =>
      [name, [x * tall + width / 2, y * tall + height / 2]]);
    this.show({ points: Object.fromEntries(points), width, height });
  }

  // Another figure, and its pose.
  show(figure) {
    this.figure = figure;
    this.sheet.setAttribute("viewBox", `0 0 ${figure.width} ${figure.height}`);
    this.sheet.style.setProperty("--unit", Math.max(figure.width, figure.height) / 100);
    this.draw();
    if (this.isOpen) this.solve();
  }

  // The image to draw over.
  async load(file) {
    const url = URL.createObjectURL(file);
    const image = new Image();
    image.src = url;
    try {
      await image.decode();
    } catch {
      URL.revokeObjectURL(url);
      throw new Error(`${file.name} is no image that this browser reads.`);
    }
    const under = this.controls.element("underlay");
    if (under.href.baseVal) URL.revokeObjectURL(under.href.baseVal);
    under.setAttribute("href", url);
    this.panel.hidden = true; // the pose is solved once, when it opens
    this.sized({ width: image.naturalWidth, height: image.naturalHeight });
    this.open(true);
  }

  shape(kind) {
    return this.sheet.appendChild(document.createElementNS(this.sheet.namespaceURI, kind));
  }

  handle(name) {
    const circle = this.shape("circle");
    const side = name.split("_")[0];
    circle.setAttribute("class", SIDE_NAMES.includes(side) ? side : "middle");
    circle.setAttribute("tabindex", "0");
    circle.setAttribute("role", "button");
    circle.setAttribute("aria-label", name.replace("_", " "));
    circle.addEventListener("pointerdown", (event) => {
      circle.setPointerCapture(event.pointerId);
      event.preventDefault();
      circle.focus();
    });
    circle.addEventListener("pointermove", (event) => {
      if (circle.hasPointerCapture(event.pointerId)) this.moveTo(name, this.pixelOf(event));
    });
    circle.addEventListener("lostpointercapture", () => this.solve());
    circle.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      const unit = Math.max(this.figure.width, this.figure.height) / 100;
      this.moveTo(name, this.figure.points[name].map((value, axis) => value + step[axis] * unit));
    });
    circle.addEventListener("keyup", (event) => {
      if (event.key.startsWith("Arrow")) this.solve();
    });
    return circle;
  }

  pixelOf(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.sheet.getScreenCTM().inverse());
    return [point.x, point.y];
  }

  moveTo(name, place) {
    const { width, height } = this.figure;
    const inside = [[place[0], width], [place[1], height]].map(([value, most]) => Math.min(Math.max(value, 0), most));
    this.figure = { ...this.figure, points: { ...this.figure.points, [name]: inside } };
    this.draw();
    this.follow();
  }

  draw() {
    const { points } = this.figure;
    this.words.bones.forEach(([a, b], i) => {
      const [start, end] = [a, b].map((index) => points[this.words.points[index]]);
      Object.entries({ x1: start[0], y1: start[1], x2: end[0], y2: end[1] }).forEach(([name, value]) =>
        this.bones[i].setAttribute(name, value));
    });
    this.words.points.forEach((name, i) => {
      this.handles[i].setAttribute("cx", points[name][0]);
      this.handles[i].setAttribute("cy", points[name][1]);
    });
  }

  // The chosen pose follows the points, once per drawn frame.
  follow() {
    if (this.waiting || !this.choices.length) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.choices[this.chosen] = followedPose(this.figure, this.player.skeleton, this.choices[this.chosen]);
      this.pose();
    });
  }

  // All poses are tried again, and the likeliest is shown.
  solve() {
    this.choices = poseHypotheses(this.figure, this.player.skeleton, HYPOTHESES);
    this.depths.replaceChildren(...this.choices.map((_, i) => {
      const button = document.createElement("button");
      button.setAttribute("role", "radio");
      button.setAttribute("aria-label", `Depth ${i + 1}${i ? "" : ", the likeliest"}`);
      button.textContent = i + 1;
      button.addEventListener("click", () => this.choose(i));
      return button;
    }));
    this.choose(0);
  }

  choose(index) {
    this.chosen = index;
    [...this.depths.children].forEach((button, i) => button.setAttribute("aria-checked", i === index));
    this.pose();
  }

  pose() {
    const pose = poseOfFigure(this.choices[this.chosen].state, this.player.skeleton);
    this.player.showPose(onFloor(clipFromPoses(DRAWING, 30, [pose], this.player.skeleton), this.player.skeleton));
  }

  // The file for `avatar animate --pose points.json`.
  save() {
    const { points, width, height } = this.figure;
    const rounded = Object.fromEntries(Object.entries(points).map(([name, place]) =>
      [name, place.map((value) => Math.round(100 * value) / 100)]));
    const text = JSON.stringify({ points: rounded, width, height }, null, 2);
    download(new Blob([text], { type: "application/json" }), "points.json");
  }
}

// The points of a file that `save` wrote, or null for other content.
export function figureFromJson(name, text, words) {
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    return null;
  }
  const { points, width, height } = content ?? {};
  if (!points || typeof points !== "object" || Array.isArray(points)) return null;
  const missing = words.points.filter((point) =>
    !(Array.isArray(points[point]) && points[point].length === 2 && points[point].every(Number.isFinite)));
  if (missing.length || !(width > 0) || !(height > 0)) {
    throw new Error(`${name} lacks ${missing.length ? missing.join(", ").replaceAll("_", " ") : "width and height"}.`);
  }
  return { points: Object.fromEntries(words.points.map((point) => [point, points[point]])), width, height };
}
