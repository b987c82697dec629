// The orbit camera, controlled by fingers, mouse, wheel and keys.

import { add, cross, dot, scaled } from "./rotations.js";

const FIELD_OF_VIEW = (35 * Math.PI) / 180;  // across the longer side, as avatar/rendering/camera_paths.py
const START = { yaw: 0.35, pitch: 0.08, zoom: 1, pan: [0, 0, 0] };
const LOWEST = -0.5, HIGHEST = 1.5;  // pitch, radians
const KEYS = {
  ArrowLeft: { yaw: -0.12 }, ArrowRight: { yaw: 0.12 }, ArrowUp: { pitch: 0.08 }, ArrowDown: { pitch: -0.08 },
  "+": { zoom: 1.15 }, "=": { zoom: 1.15 }, "-": { zoom: 1 / 1.15 },
};

export class OrbitCamera {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} onChange
   */
  constructor(canvas, onChange) {
    this.canvas = canvas;
    this.onChange = onChange;
    this.pointers = new Map();
    this.reset();
  }

  // Follow the pointer. A cooperative camera leaves the wheel and vertical strokes of one finger to the page around it,
  // and calls `onRefused` when the wheel turns without Ctrl or Cmd.
  listen({ cooperative = () => false, onRefused = () => {} } = {}) {
    const { canvas } = this;
    this.cooperative = cooperative;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => {
        this.pointers.delete(event.pointerId);
        this.onChange();
      });
    }
    canvas.addEventListener("wheel", (event) => {
      if (cooperative() && !event.ctrlKey && !event.metaKey) return onRefused();
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0012)), this.placeOf(event));
    }, { passive: false });
    canvas.addEventListener("dblclick", () => this.reset());
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  reset() {
    Object.assign(this, START, { pan: [...START.pan], fixedDistance: undefined });
    this.onChange();
  }

  get moving() {
    return this.pointers.size > 0;
  }

  // Whether the key turns or zooms the camera, which it then does.
  key(name) {
    const change = KEYS[name];
    if (!change) return false;
    if (change.zoom) this.zoomBy(change.zoom);
    else this.turnBy(change.yaw ?? 0, change.pitch ?? 0);
    return true;
  }

  press(event) {
    // Where a finger may scroll the page, the browser decides when the stroke is ours.
    if (!(this.cooperative() && event.pointerType === "touch")) this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.placeOf(event));
  }

  placeOf(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.placeOf(event);
    const step = [now[0] - before[0], now[1] - before[1]];
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (!other && !(event.buttons & 2) && !event.shiftKey) {
      this.turnBy(-step[0] * 0.008, step[1] * 0.006);
    } else {
      // Two fingers each move the image by half of their step, and zoom to the place between them.
      this.panBy(scaled([...step, 0], 1 / this.pointers.size));
      if (other) {
        const distance = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
        const middle = [0, 1].map((axis) => (now[axis] + other[axis]) / 2);
        this.zoomBy(distance(now) / Math.max(distance(before), 1), middle);
      }
    }
    this.pointers.set(event.pointerId, now);
    this.onChange();
  }

  turnBy(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = Math.min(Math.max(this.pitch + pitch, LOWEST), HIGHEST);
    this.onChange();
  }

  // What is at `place`, pixels of the page from the corner of the canvas, stays there.
  zoomBy(factor, place) {
    const before = this.zoom;
    this.zoom = Math.min(Math.max(this.zoom * factor, 0.25), 8);
    if (place && this.center) {
      const closer = 1 - before / this.zoom;
      this.panBy([0, 1].map((axis) => (this.center[axis] - place[axis]) * closer));
      this.distance *= before / this.zoom;
    }
    this.onChange();
  }

  // Move the image by a step in pixels of the page.
  panBy(step) {
    const { right, up } = this.axes();
    const metres = this.distance / (this.focal / this.ratio);
    this.pan = add(this.pan, add(scaled(right, -step[0] * metres), scaled(up, step[1] * metres)));
  }

  axes() {
    const away = [
      Math.sin(this.yaw) * Math.cos(this.pitch), Math.sin(this.pitch), Math.cos(this.yaw) * Math.cos(this.pitch),
    ];
    const right = [Math.cos(this.yaw), 0, -Math.sin(this.yaw)];
    return { away, right, up: cross(away, right) };
  }

  // The camera for a person who stands at `target` and is `height` tall and `width` wide, metres; `free` is the part
  // of the canvas, in pixels of the page, that no controls cover.
  view(target, { height, width }, free, ratio) {
    const { canvas } = this;
    this.ratio = ratio;
    this.center = [free.left + free.width / 2, free.top + free.height / 2];
    this.focal = Math.max(canvas.width, canvas.height) / 2 / Math.tan(FIELD_OF_VIEW / 2);
    const fit = Math.max(height / (free.height * ratio), width / (free.width * ratio)) * this.focal;
    this.distance = (this.fixedDistance ?? fit) / this.zoom;
    const { away, right, up } = this.axes();
    const eye = add(add(target, this.pan), scaled(away, this.distance));
    const rows = [right, scaled(up, -1), scaled(away, -1)];
    const T = rows.flatMap((row) => [...row, -dot(row, eye)]);
    return {
      T: Float32Array.from([...T, 0, 0, 0, 1]),
      K: [this.focal, this.focal, this.center[0] * ratio, this.center[1] * ratio],
      width: canvas.width,
      height: canvas.height,
    };
  }
}

// "fx,fy,cx,cy,<the 12 numbers of the upper rows of T_camera_world>", pixels of the canvas.
export function fixedCamera(text, canvas) {
  const numbers = text.split(",").map(Number);
  if (numbers.length !== 16 || !numbers.every(Number.isFinite)) throw new Error("camera= needs 16 numbers.");
  const T = Float32Array.from([...numbers.slice(4), 0, 0, 0, 1]);
  return { T, K: numbers.slice(0, 4), width: canvas.width, height: canvas.height };
}

// From matrices of OpenGL (x right, y up, z back), column by column: camera from world, and clip space from camera.
export function cameraOfGl(M, P, width, height) {
  const row = (r, sign) => [0, 4, 8, 12].map((column) => sign * M[r + column]);
  return {
    T: Float32Array.from([...row(0, 1), ...row(1, -1), ...row(2, -1), 0, 0, 0, 1]),
    K: [(P[0] * width) / 2, (P[5] * height) / 2, ((1 - P[8]) * width) / 2, ((1 + P[9]) * height) / 2],
    depth: [-P[10], P[14]],
    width,
    height,
  };
}
