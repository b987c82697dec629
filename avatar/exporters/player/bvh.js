// BVH motion capture files: parsing, and retargeting to the avatar's skeleton.

// Names of our joints in other programs, without prefix, case and punctuation.
const BVH_NAMES = {
  pelvis: ["hips", "hip", "pelvis", "root"],
  neck: ["neck", "neck1"],
  head: ["head"],
};
for (const [side, short] of [["left", "l"], ["right", "r"]]) {
  const parts = {
    hip: ["upleg", "upperleg", "thigh", "hip"],
    knee: ["leg", "lowerleg", "knee", "shin", "calf"],
    ankle: ["ankle", "foot"],
    foot: ["toebase", "toe", "toes", "ball", "foot"],
    collar: ["collar", "clavicle", "shoulder"],
    shoulder: ["arm", "upperarm", "uparm", "shoulder"],
    elbow: ["forearm", "lowerarm", "elbow"],
    wrist: ["wrist", "hand"],
  };
  for (const [part, names] of Object.entries(parts)) {
    BVH_NAMES[`${side}_${part}`] = names.flatMap((n) => [side + n, short + n, n + side, n + short]);
  }
}

// Limbs whose direction at rest is taken over, so that a skeleton resting with lowered arms fits ours.
const LIMBS = ["hip knee", "knee ankle", "shoulder elbow", "elbow wrist"].flatMap((pair) =>
  ["left", "right"].map((side) => pair.split(" ").map((part) => `${side}_${part}`)));

function clipFromBvh(name, text, skeleton) {
  const bvh = parseBvh(name, text);
  const map = matchJoints(name, bvh.joints);
  const align = alignment(bvh.joints, map);
  const limbs = limbAlignment(bvh.joints, map, align, skeleton);
  const source = (joint) => bvh.joints[map[joint]];
  const length = (a, b) => Math.hypot(...subtract(source(a).place, source(b).place));
  const factor = skeleton.restDistance("left_hip", "left_knee", "left_ankle") /
    (length("left_hip", "left_knee") + length("left_knee", "left_ankle"));
  const start = rotate(align, bvhPlace(bvh, map.pelvis, 0, bvhTurns(bvh, 0)));
  const poses = Array.from({ length: bvh.frames }, (_, frame) => {
    const turns = bvhTurns(bvh, frame);
    const place = rotate(align, bvhPlace(bvh, map.pelvis, frame, turns));
    return {
      root: [(place[0] - start[0]) * factor, place[1] * factor, (place[2] - start[2]) * factor],
      turns: localTurns(turns, map, align, limbs, skeleton),
    };
  });
  return onFloor(clipFromPoses(name.replace(/\.bvh$/i, ""), bvh.fps, poses, skeleton), skeleton);
}

function parseBvh(name, text) {
  const [head, body] = text.split(/\bMOTION\b/);
  if (body === undefined || !/^\s*HIERARCHY/.test(head)) throw new Error(`${name} is not a BVH file.`);
  const joints = [], stack = [];
  let channels = 0, current = null;
  for (const line of head.split("\n")) {
    const words = line.trim().split(/\s+/);
    if (words[0] === "ROOT" || words[0] === "JOINT") {
      current = { name: words.slice(1).join(" "), parent: stack.length ? stack[stack.length - 1] : -1, channels: [] };
      joints.push(current);
    } else if (words[0] === "End") current = null;
    else if (words[0] === "{") stack.push(current ? joints.indexOf(current) : -1);
    else if (words[0] === "}") stack.pop();
    else if (words[0] === "OFFSET" && current) current.offset = words.slice(1, 4).map(Number);
    else if (words[0] === "CHANNELS" && current) {
      current.first = channels;
      current.channels = words.slice(2);
      channels += current.channels.length;
    }
  }
  for (const joint of joints) {
    joint.place = joint.parent < 0 ? joint.offset : add(joints[joint.parent].place, joint.offset);
  }
  const frames = Number((body.match(/Frames:\s*(\d+)/) || [])[1]);
  const seconds = Number((body.match(/Frame Time:\s*(\S+)/) || [])[1]);
  const values = Float32Array.from((body.split(/Frame Time:.*\n/)[1] || "").trim().split(/\s+/), Number);
  if (!(frames > 0 && frames <= MAX_FRAMES && seconds > 0) || values.length < frames * channels) {
    throw new Error(`${name} breaks off: its header announces ${frames} frames of ${channels} numbers.`);
  }
  if (!values.every(Number.isFinite)) throw new Error(`${name} contains a value that is not a number.`);
  return { joints, channels, frames, fps: 1 / seconds, values };
}

// Index of the source joint for each of our joints that the source has.
function matchJoints(name, joints) {
  const plain = joints.map((joint) =>
    joint.name.toLowerCase().replace(/^.*:|^mixamorig\d*|^bip\d+/, "").replace(/[^a-z0-9]/g, ""));
  const map = {};
  const taken = new Set();
  // Wrists to the trunk: "shoulder" is the collar bone only where something else is the upper arm.
  const order = ["elbow", "wrist", "shoulder", "collar", "knee", "ankle", "foot", "hip"].flatMap((part) =>
    [`left_${part}`, `right_${part}`]);
  for (const joint of ["pelvis", "neck", "head", ...order]) {
    const index = BVH_NAMES[joint].map((alias) => plain.indexOf(alias)).find((i) => i >= 0 && !taken.has(i));
    if (index === undefined) continue;
    map[joint] = index;
    taken.add(index);
  }
  const needed = ["pelvis", ...LIMBS.flat()].filter((joint) => map[joint] === undefined);
  if (needed.length) throw new Error(`${name} has no joint that could be the ${needed[0].replace("_", " ")}.`);
  const trunk = [];
  for (let i = joints[map.neck ?? map.left_shoulder].parent; i >= 0 && i !== map.pelvis; i = joints[i].parent) {
    trunk.unshift(i);
  }
  if (trunk.length) {
    ["spine1", "spine2", "spine3"].forEach((joint, k) => {
      map[joint] = trunk[Math.max(0, Math.round(((k + 1) / 3) * trunk.length) - 1)];
    });
  }
  return map;
}

// The rotation that brings the source at rest upright and facing +Z with its left at +X. It goes by the axes of the
// file that come nearest: a rest pose that leans, or hips of two heights, must not tilt the world.
function alignment(joints, map) {
  const at = (joint) => joints[map[joint]].place;
  const hips = add(at("left_hip"), at("right_hip")), feet = add(at("left_ankle"), at("right_ankle"));
  const up = nearestAxis(subtract(hips, feet));
  const across = subtract(at("left_hip"), at("right_hip"));
  const left = nearestAxis(subtract(across, scaled(up, dot(across, up))));
  return quatFromMatrix([...left, ...up, ...cross(left, up)]);
}

function nearestAxis(v) {
  const longest = Math.max(...v.map(Math.abs));
  return v.map((x) => (Math.abs(x) === longest ? Math.sign(x) : 0));
}

// For each limb the turn from our rest direction to the source's, in our axes.
function limbAlignment(joints, map, align, skeleton) {
  const turns = {};
  for (const [joint, child] of LIMBS) {
    const theirs = rotate(align, subtract(joints[map[child]].place, joints[map[joint]].place));
    const [a, b] = [joint, child].map((n) => skeleton.joints[skeleton.index[n]].position);
    turns[joint] = quatBetween(subtract(b, a), theirs);
  }
  // A hand goes on in the direction of its forearm.
  for (const side of ["left", "right"]) turns[`${side}_wrist`] = turns[`${side}_elbow`];
  return turns;
}

// World turns of all source joints away from their rest.
function bvhTurns(bvh, frame) {
  const turns = [];
  for (const joint of bvh.joints) {
    let turn = joint.parent < 0 ? [1, 0, 0, 0] : turns[joint.parent];
    joint.channels.forEach((channel, i) => {
      const axis = "XYZ".indexOf(channel[0].toUpperCase());
      if (!/rotation$/i.test(channel)) return;
      const angle = (bvh.values[frame * bvh.channels + joint.first + i] * Math.PI) / 180;
      turn = quatMultiply(turn, quatAboutAxis([0, 1, 2].map((k) => (k === axis ? 1 : 0)), angle));
    });
    turns.push(turn);
  }
  return turns;
}

// World place of one joint, in the file's units, given the turns of all.
function bvhPlace(bvh, index, frame, turns) {
  let place = [0, 0, 0];
  for (let i = index; i >= 0; i = bvh.joints[i].parent) {
    const joint = bvh.joints[i];
    const offset = [...joint.offset];
    joint.channels.forEach((channel, k) => {
      if (!/position$/i.test(channel)) return;
      offset["XYZ".indexOf(channel[0].toUpperCase())] = bvh.values[frame * bvh.channels + joint.first + k];
    });
    place = add(place, joint.parent < 0 ? offset : rotate(turns[joint.parent], offset));
  }
  return place;
}

// Our joints' rotations relative to their parents. Joints that the source lacks go along with their parents.
function localTurns(turns, map, align, limbs, skeleton) {
  const back = quatConjugate(align);
  const world = [], local = {};
  skeleton.joints.forEach(({ name, parent }, i) => {
    const above = parent < 0 ? [1, 0, 0, 0] : world[parent];
    if (map[name] === undefined) {
      world[i] = above;
    } else {
      const turn = quatMultiply(quatMultiply(align, turns[map[name]]), back);
      world[i] = limbs[name] ? quatMultiply(turn, limbs[name]) : turn;
    }
    local[name] = quatMultiply(quatConjugate(above), world[i]);
  });
  return local;
}

// The clip lowered or raised so that it stands on the floor.
function onFloor(clip, skeleton) {
  prepareClip(clip, skeleton);
  for (let i = 1; i < clip.roots.length; i += 3) clip.roots[i] -= clip.floor;
  return clip;
}
