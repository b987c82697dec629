// A view as text: "clip=walk&t=1.2&yaw=30", as in the address of a page; docs/manual/export.md lists the words.

import { BACKGROUNDS } from "./backgrounds.js";
import { EVEN, FILMED, lightNames } from "./lights.js";

const LIGHT_NUMBERS = { 0: EVEN, 1: FILMED };
const DEGREES = 180 / Math.PI;

export function readView(text) {
  const given = new URLSearchParams(text);
  const number = (name) => {
    const value = given.get(name)?.trim() ? Number(given.get(name)) : undefined;
    return Number.isFinite(value) ? value : undefined;
  };
  return {
    clip: given.get("clip"), time: number("t"), frame: number("frame"), play: number("play"), yaw: number("yaw"),
    pitch: number("pitch"), distance: number("dist"), pan: given.get("pan")?.split(",").map(Number),
    camera: given.get("camera"), background: given.get("bg"), light: given.get("light"), ui: number("ui"),
    shadow: number("shadow"), ratio: number("ratio"),
  };
}

/** Show a view; what it does not say stays. */
export function applyView(player, view) {
  const { camera, model } = player;
  const named = view.clip === null ? player.state.clip : Math.max(model.find(view.clip), 0);
  const time = view.time ?? (view.frame === undefined ? undefined : view.frame / model.clips[named].fps);
  const asked = LIGHT_NUMBERS[view.light] ?? view.light;
  const light = lightNames(model.header).find((name) => name === asked);
  player.set({
    clip: named,
    ...(time === undefined ? {} : { time, playing: false }),
    ...(view.play === undefined ? {} : { playing: Boolean(view.play) }),
    ...(light === undefined ? {} : { light }),
    ...(view.shadow === undefined ? {} : { shadows: view.shadow !== 0 }),
  });
  if (view.yaw !== undefined) camera.yaw = view.yaw / DEGREES;
  if (view.pitch !== undefined) camera.pitch = view.pitch / DEGREES;
  if (view.pan?.length === 3 && view.pan.every(Number.isFinite)) camera.pan = view.pan;
  if (view.distance > 0) Object.assign(camera, { fixedDistance: view.distance, zoom: 1 });
  Object.assign(player.options, { camera: view.camera ?? undefined, ratio: view.ratio });
}

/** The view that a player shows, for `readView`. */
export function viewText(player, background) {
  const { camera, state, clip } = player;
  const words = new URLSearchParams({
    clip: clip.name, t: state.time.toFixed(2), play: Number(state.playing), yaw: (camera.yaw * DEGREES).toFixed(1),
    pitch: (camera.pitch * DEGREES).toFixed(1), dist: camera.distance.toFixed(2),
  });
  if (camera.pan.some((x) => Math.abs(x) > 1e-3)) words.set("pan", camera.pan.map((x) => x.toFixed(3)).join());
  if (state.light !== (player.model.header.start_light ?? FILMED)) words.set("light", state.light);
  if (Object.hasOwn(BACKGROUNDS, background)) words.set("bg", background);
  return words.toString();
}
