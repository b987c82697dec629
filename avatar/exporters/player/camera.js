// The orbit camera, controlled by fingers, mouse and wheel.

const FIELD_OF_VIEW = (35 * Math.PI) / 180;  // across the longer side, as avatar/rendering/camera_paths.py
const START = { yaw: 0.35, pitch: 0.08, zoom: 1, pan: [0, 0, 0] };

class OrbitCamera {
  constructor(canvas, onChange) {
    this.canvas = canvas;
    this.onChange = onChange;
    this.pointers = new Map();
    this.reset();
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0012)));
    }, { passive: false });
    canvas.addEventListener("dblclick", () => this.reset());
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  reset() {
    Object.assign(this, START, { pan: [...START.pan] });
    this.onChange();
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const step = [now[0] - before[0], now[1] - before[1]];
    if (this.pointers.size === 1 && !(event.buttons & 2) && !event.shiftKey) {
      this.yaw -= step[0] * 0.008;
      this.pitch = Math.min(Math.max(this.pitch + step[1] * 0.006, -0.5), 1.5);
    } else {
      const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      if (others.length) {
        const distance = (place) => Math.hypot(place[0] - others[0][0], place[1] - others[0][1]);
        this.zoomBy(distance(now) / Math.max(distance(before), 1));
      }
      // Two fingers each move the image by half of their step.
      this.panBy(scaled([...step, 0], 1 / this.pointers.size));
    }
    this.pointers.set(event.pointerId, now);
    this.onChange();
  }

  zoomBy(factor) {
    this.zoom = Math.min(Math.max(this.zoom * factor, 0.25), 8);
    this.onChange();
  }

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
    this.focal = Math.max(canvas.width, canvas.height) / 2 / Math.tan(FIELD_OF_VIEW / 2);
    const fit = Math.max(height / (free.height * ratio), width / (free.width * ratio)) * this.focal;
    this.distance = this.fixedDistance ?? fit / this.zoom;
    const { away, right, up } = this.axes();
    const eye = add(add(target, this.pan), scaled(away, this.distance));
    const rows = [right, scaled(up, -1), scaled(away, -1)];
    const T = rows.flatMap((row) => [...row, -dot(row, eye)]);
    return {
      T: Float32Array.from([...T, 0, 0, 0, 1]),
      K: [this.focal, this.focal, (free.left + free.width / 2) * ratio, (free.top + free.height / 2) * ratio],
      width: canvas.width,
      height: canvas.height,
    };
  }
}

// "fx,fy,cx,cy,<the 12 numbers of the upper rows of T_camera_world>", pixels of the canvas.
function fixedCamera(text, canvas) {
  const numbers = text.split(",").map(Number);
  if (numbers.length !== 16 || !numbers.every(Number.isFinite)) throw new Error("camera= needs 16 numbers.");
  const T = Float32Array.from([...numbers.slice(4), 0, 0, 0, 1]);
  return { T, K: numbers.slice(0, 4), width: canvas.width, height: canvas.height };
}
