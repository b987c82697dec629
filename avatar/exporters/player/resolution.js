// Canvas pixels per page pixel: as the screen has them when nothing moves, and otherwise as many as the device keeps up with.

const MOST = 2, LEAST = 0.5;
const SLOW = 1000 / 40, FAST = 1000 / 55; // milliseconds per frame
const FRAMES = 12; // that are judged together
const LONGEST = 500; // milliseconds: a longer one is a page in the background

export class Resolution {
  constructor() {
    this.scale = 1;
    this.frames = [];
    this.moving = false;
  }

  // Counts a frame; returns whether the resolution has changed.
  update(now, moving) {
    const before = this.ratio;
    const interval = now - this.last;
    this.last = now;
    if (moving && this.moving && interval < LONGEST) this.frames.push(interval);
    this.moving = moving;
    if (!moving) this.frames = [];
    if (this.frames.length >= FRAMES) {
      const typical = this.frames.sort((a, b) => a - b)[FRAMES >> 1];
      this.frames = [];
      if (typical > SLOW) this.scale *= 0.8;
      else if (typical < FAST) this.scale *= 1.1;
      this.scale = Math.min(Math.max(this.scale, LEAST / this.full), 1);
    }
    return this.ratio !== before;
  }

  get full() {
    return Math.min(globalThis.devicePixelRatio || 1, MOST);
  }

  get ratio() {
    return this.full * (this.moving ? this.scale : 1);
  }
}
