// The page: state, controls and the loop that draws a frame when something has changed.

const SPEEDS = [0.25, 0.5, 1, 2];
const BACKGROUNDS = ["dawn", "white", "dusk", "black"];
const MAX_PIXEL_RATIO = 2;
const BYTES_OF_MOTION = 64 << 20;
const BYTES_OF_FIGURE = 1 << 20;

class Player {
  constructor({ header, arrays }, options) {
    this.page = document.documentElement;
    this.options = options;
    this.header = header;
    this.arrays = arrays;
    this.skeleton = new Skeleton(header.joints);
    this.skeleton.sole = header.low[1];
    this.correctives = new Correctives(header.correctives, arrays, restCenters(arrays.centers, header));
    this.jointData = new Float32Array(16 * this.skeleton.size);
    this.clips = header.clips.map((clip) => prepareClip({
      ...clip, roots: arrays[clip.roots], quats: arrays[clip.quats], coefficients: arrays[clip.coefficients] || null,
    }, this.skeleton));
    this.canvas = document.getElementById("stage");
    this.camera = new OrbitCamera(this.canvas, () => { this.changed = true; });
    this.state = { clip: 0, time: 0, playing: false, speed: 1, loop: true, lit: true, shadows: true };
    this.frames = 0;
    this.startDrawing();
    this.canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.splats = null;
    });
    this.canvas.addEventListener("webglcontextrestored", () => this.startDrawing());
  }

  startDrawing() {
    const gl = this.canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    if (!gl) throw new Error("This browser or device has no WebGL 2, which this page needs to draw the avatar.");
    this.splats = new Splats(gl, JSON.parse(document.getElementById("shaders").textContent), this.header, this.arrays);
    this.posed = null;
    this.changed = true;
  }

  get clip() {
    return this.clips[this.state.clip];
  }

  // The only function that changes the state.
  set(change) {
    if (change.clip !== undefined && change.clip !== this.state.clip) change = { time: 0, ...change };
    Object.assign(this.state, change);
    this.state.time = Math.min(Math.max(this.state.time, 0), clipDuration(this.clip));
    this.changed = true;
  }

  addClip(clip) {
    const taken = this.clips.map((other) => other.name);
    let name = clip.name;
    for (let number = 2; taken.includes(name); number++) name = `${clip.name} ${number}`;
    this.clips.push(prepareClip({ ...clip, name }, this.skeleton));
    this.set({ clip: this.clips.length - 1, playing: true });
  }

  // One pose, in place of the one shown before it under the same name.
  showPose(clip) {
    const index = this.clips.findIndex(({ name }) => name === clip.name);
    if (index < 0) this.addClip(clip);
    else this.clips[index] = prepareClip(clip, this.skeleton);
    this.posed = null;
    this.set({ clip: index < 0 ? this.clips.length - 1 : index, playing: false });
  }

  loopFrame(now) {
    const seconds = Math.min((now - (this.lastFrame ?? now)) / 1000, 0.1);
    this.lastFrame = now;
    if (this.state.playing) this.advance(seconds * this.state.speed);
    if (this.changed && this.splats) {
      this.changed = false;
      this.drawFrame();
      updateControls(this);
    }
    requestAnimationFrame((time) => this.loopFrame(time));
  }

  advance(seconds) {
    const duration = clipDuration(this.clip);
    let time = this.state.time + seconds;
    if (time >= duration) {
      if (this.state.loop && duration > 0) time %= duration;
      else this.state.playing = false;
    }
    this.set({ time });
  }

  drawFrame() {
    this.resize();
    const { time, lit } = this.state;
    const key = `${this.state.clip} ${time}`;
    if (key !== this.posed) {
      const pose = samplePose(this.clip, time, this.skeleton.size);
      this.placed = this.skeleton.place(pose);
      this.skeleton.skinning(this.placed, this.jointData);
      this.splats.pose(this.correctives.apply(pose), this.jointData);
      this.posed = key;
    }
    this.splats.draw(this.view(), { lit, shadows: this.state.shadows ? this.shadows() : [] });
    this.page.dataset.frames = ++this.frames;
  }

  view() {
    if (this.options.camera) return fixedCamera(this.options.camera, this.canvas);
    const { low, high } = this.header;
    const [x, z] = pathAt(this.clip, this.state.time);
    const height = high[1] - low[1];
    const target = [x, this.clip.floor + 0.5 * height, z];
    // A T-pose at rest is as wide as the body is high; motions mostly stay within two thirds of that.
    return this.camera.view(target, { height: 1.16 * height, width: 0.68 * height }, this.freeArea(), this.ratio);
  }

  freeArea() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (this.page.dataset.ui === "off") return { left: 0, top: 0, width, height };
    // In a wide window the header leaves its middle free for the head.
    const top = width > 700 ? 20 : document.querySelector("header").getBoundingClientRect().bottom;
    const bottom = document.querySelector("footer").getBoundingClientRect().top;
    const area = { left: 0, top, width, height: Math.max(bottom - top, 0.3 * height) };
    if (!this.drawing?.isOpen) return area;
    const sheet = this.drawing.panel.getBoundingClientRect();
    // The sheet is beside the avatar in a wide window, and above it on a phone.
    if (sheet.width < 0.6 * width) return { ...area, left: sheet.right, width: width - sheet.right };
    return { ...area, top: sheet.bottom, height: Math.max(bottom - sheet.bottom, 0.2 * height) };
  }

  // A wide soft one under the body and a darker one under each foot, fainter the higher they are.
  shadows() {
    const { index } = this.skeleton;
    const floor = this.clip.floor + 0.002;
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
    this.ratio = this.options.ratio ?? Math.min(window.devicePixelRatio || 1, MAX_PIXEL_RATIO);
    const width = Math.round(this.canvas.clientWidth * this.ratio);
    const height = Math.round(this.canvas.clientHeight * this.ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
  }

  async openFile(file) {
    try {
      if (file.type.startsWith("image/")) return await this.drawing.load(file);
      if (file.size > BYTES_OF_MOTION) throw new Error(`${file.name} is larger than 64 MB.`);
      const bytes = new Uint8Array(await file.arrayBuffer());
      const figure = file.size < BYTES_OF_FIGURE ? figureFromJson(file.name, decodeText(bytes)) : null;
      if (figure) {
        this.drawing.show(figure);
        return this.drawing.open(true);
      }
      const clip = await clipFromFile(file.name, bytes, this.skeleton);
      this.addClip(clip);
      showMessage(clip.notes?.length ? `${clip.name}: ${clip.notes.join("; ")}.` : "");
    } catch (error) {
      showMessage(error.message);
    }
  }
}

// Options in the address after "?": a fixed frame, a camera, a look; docs/manual/export.md lists them.
function readOptions(search) {
  const given = new URLSearchParams(search);
  const number = (name) => (given.has(name) ? Number(given.get(name)) : undefined);
  return {
    clip: given.get("clip"), time: number("t"), frame: number("frame"), play: number("play"),
    yaw: number("yaw"), pitch: number("pitch"), distance: number("dist"), camera: given.get("camera"),
    background: given.get("bg"), light: number("light"), ui: number("ui"), shadow: number("shadow"),
    ratio: number("ratio"),
  };
}

function applyOptions(player) {
  const { options, camera, page } = player;
  const named = player.clips.findIndex((clip) => clip.name === options.clip);
  const clip = Math.max(named, 0);
  const time = options.time ?? (options.frame ?? 0) / player.clips[clip].fps;
  const frozen = options.time !== undefined || options.frame !== undefined;
  const still = frozen || window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const playing = options.play === undefined ? !still : Boolean(options.play);
  player.set({ clip, time, playing, lit: options.light !== 0, shadows: options.shadow !== 0 });
  if (options.yaw !== undefined) camera.yaw = (options.yaw * Math.PI) / 180;
  if (options.pitch !== undefined) camera.pitch = (options.pitch * Math.PI) / 180;
  camera.fixedDistance = options.distance;
  if (options.ui === 0) page.dataset.ui = "off";
  if (BACKGROUNDS.includes(options.background)) page.dataset.background = options.background;
  else if (options.background) document.body.style.background = `#${options.background}`;
}

async function main() {
  try {
    if (!window.DecompressionStream) throw new Error("This browser is too old to unpack the avatar: update it.");
    const player = new Player(await readPayload(), readOptions(location.search));
    window.player = player;
    applyOptions(player);
    bindControls(player);
    updateControls(player);
    player.drawFrame();
    document.documentElement.dataset.state = "ready";
    requestAnimationFrame((time) => player.loopFrame(time));
  } catch (error) {
    document.documentElement.dataset.state = "failed";
    showMessage(error.message);
    console.error(error);
  }
}

main();
