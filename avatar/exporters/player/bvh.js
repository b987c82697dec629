// BVH motion capture files, with the liberties that programs take (see avatar/motion/formats/bvh.py).

import { MAX_FRAMES } from "./clips.js";
import { clipFromAnimation, median } from "./foreign.js";
import { add, quatAboutAxis, quatMultiply, rotate } from "./rotations.js";

export const BVH_COMMENT = /(?<!\S)(?:#|\/\/|;)[^\r\n]*/g;

export function clipFromBvh(name, text, skeleton) {
  return clipFromAnimation(name, parseBvh(name, text), skeleton);
}

function parseBvh(name, text) {
  text = text.replace(BVH_COMMENT, "");
  if (!/^\s*HIERARCHY/i.test(text)) throw new Error(`${name} is not a BVH file.`);
  // The keyword stands before the number of frames; joints may be called MOTION as well.
  const start = text.match(/(?<!\S)MOTION\s+(?=Frames?\s*:)/i);
  if (!start) throw new Error(`${name} breaks off: it has no MOTION section with frames.`);
  const joints = bvhJoints(name, withPoints(text.slice(0, start.index)));
  const body = text.slice(start.index + start[0].length);
  const stated = body.match(/^Frames?\s*:\s*(\d+)\s*Frame\s*Time\s*:\s*(\S+)/i);
  const frames = stated ? Number(stated[1]) : 0, seconds = stated ? Number(withPoints(stated[2])) : 0;
  const channels = joints.reduce((sum, joint) => sum + joint.channels.length, 0);
  const words = stated ? withPoints(body.slice(stated[0].length)).trim().split(/\s+/) : [];
  const values = Float64Array.from(words, Number);
  if (!(frames > 0 && frames <= MAX_FRAMES && seconds > 0) || values.length < frames * channels) {
    throw new Error(`${name} breaks off: its header announces ${frames} frames of ${channels} numbers.`);
  }
  if (values.length % channels) {
    const each = +(values.length / frames).toFixed(2);
    throw new Error(`${name}: its joints have ${channels} channels, its frames ${each} numbers.`);
  }
  if (!values.every(Number.isFinite)) throw new Error(`${name} contains a value that is not a number.`);
  return bvhAnimation(joints, values, frames, channels, 1 / seconds);
}

// Points as decimal marks; commas beside points separate values.
function withPoints(text) {
  return text.replaceAll(",", text.includes(".") ? " " : ".");
}

function bvhJoints(name, head) {
  const words = head.trim().split(/\s+/), joints = [], open = [];
  for (let i = 1; i < words.length;) {
    const word = words[i].toUpperCase();
    if (["ROOT", "JOINT", "END"].includes(word)) {
      const stop = words.indexOf("{", i);
      if (stop < 0) throw new Error(`${name}: its HIERARCHY cannot be read.`);
      // The end of a chain is a joint without a name.
      joints.push({
        name: word === "END" ? "" : words.slice(i + 1, stop).join(" "),
        parent: open.at(-1) ?? -1, channels: [], offset: [0, 0, 0],
      });
      open.push(joints.length - 1);
      i = stop + 1;
    } else if (word === "OFFSET" && open.length) {
      joints[open.at(-1)].offset = words.slice(i + 1, i + 4).map(Number);
      i += 4;
    } else if (word === "CHANNELS" && open.length) {
      const count = Number(words[i + 1]);
      joints[open.at(-1)].channels = words.slice(i + 2, i + 2 + count).map((channel) => channel.toLowerCase());
      i += 2 + count;
    } else if (word === "}") {
      open.pop();
      i += 1;
    } else {
      throw new Error(`${name}: its HIERARCHY cannot be read near ${words[i].slice(0, 40)}.`);
    }
  }
  const broken = joints.some(({ channels, offset }) =>
    !offset.every(Number.isFinite) || channels.some((channel) => !/^[xyz](rotation|position)$/.test(channel)));
  if (broken || open.length || !joints.length) throw new Error(`${name}: its HIERARCHY cannot be read.`);
  return joints;
}

function bvhAnimation(joints, values, frames, width, fps) {
  let first = 0;
  const named = joints.filter((joint) => {
    joint.first = first;
    first += joint.channels.length;
    return joint.name;
  });
  const indexOf = new Map(named.map((joint, i) => [joint, i]));
  const parents = named.map(({ parent }) => (parent < 0 ? -1 : indexOf.get(joints[parent])));
  const restPlaces = [];
  named.forEach(({ offset }, i) => restPlaces.push(parents[i] < 0 ? offset : add(restPlaces[parents[i]], offset)));
  const onTop = named.map(({ channels, first: start, offset }, i) => {
    const moved = channels.map((channel, k) => (channel.endsWith("position") ? start + k : -1)).filter((k) => k >= 0);
    const sizes = Array.from({ length: frames }, (_, k) =>
      moved.reduce((sum, column) => sum + Math.abs(values[k * width + column]), 0));
    // Below the root most programs write the whole translation, some what comes on top of the offset.
    return parents[i] >= 0 && median(sizes) < 0.1 * Math.hypot(...offset);
  });
  const pose = (frame) => {
    const places = [], turns = [];
    named.forEach(({ channels, first: start, offset }, i) => {
      let turn = [1, 0, 0, 0];
      const place = [...offset];
      channels.forEach((channel, k) => {
        const axis = "xyz".indexOf(channel[0]), value = values[frame * width + start + k];
        if (channel.endsWith("position")) place[axis] = value + (onTop[i] ? offset[axis] : 0);
        // Channels are listed from the outermost rotation to the innermost.
        else turn = quatMultiply(turn, quatAboutAxis([0, 1, 2].map((a) => (a === axis ? 1 : 0)), (value * Math.PI) / 180));
      });
      const above = parents[i];
      places.push(above < 0 ? place : add(places[above], rotate(turns[above], place)));
      turns.push(above < 0 ? turn : quatMultiply(turns[above], turn));
    });
    return { places, turns };
  };
  const rest = { places: restPlaces, turns: named.map(() => [1, 0, 0, 0]) };
  return { names: named.map(({ name }) => name), parents, rest, frames, fps, pose, up: null };
}
