// Poses that a program gives by the names of the joints.

import { quatAboutAxis, quatNormalize } from "./rotations.js";

const numbers = (array, width) => Array.isArray(array) && array.length === width && array.every(Number.isFinite);

/**
 * A pose for `Player.setPose`.
 * @param {Object<string, number[]>} joints by name, rotations relative to the parent away from the T-pose: unit quaternions
 *   [w, x, y, z], or rotation vectors [x, y, z] in degrees; joints that are not named stay in the T-pose
 * @param {number[]} [root] place of the pelvis, metres; by default over the floor at the origin, on its lower foot
 * @param {import("./skeleton.js").Skeleton} skeleton
 */
export function poseFromJoints(joints, root, skeleton) {
  const quats = new Float32Array(4 * skeleton.size);
  skeleton.joints.forEach((_, i) => quats.set([1, 0, 0, 0], 4 * i));
  for (const [name, turn] of Object.entries(joints)) {
    const index = skeleton.index[name];
    if (index === undefined) throw new Error(`The avatar has no joint called ${name}.`);
    if (!numbers(turn, 4) && !numbers(turn, 3)) {
      throw new Error(`${name} takes a quaternion [w, x, y, z] or a rotation vector [x, y, z] in degrees.`);
    }
    quats.set(turn.length === 4 ? quatNormalize(turn) : quatFromDegrees(turn), 4 * index);
  }
  if (root !== undefined && !numbers(root, 3)) throw new Error("root takes three numbers, metres.");
  return { root: root ?? standing(quats, skeleton), quats };
}

function quatFromDegrees(vector) {
  const angle = Math.hypot(...vector);
  return angle < 1e-9 ? [1, 0, 0, 0] : quatAboutAxis(vector.map((x) => x / angle), (angle * Math.PI) / 180);
}

// The place of the pelvis with which the lower foot is as high as at rest.
function standing(quats, skeleton) {
  const feet = ["left_foot", "right_foot"].map((name) => skeleton.index[name]);
  const rest = skeleton.joints[skeleton.index.pelvis].position;
  const { places } = skeleton.place({ root: rest, quats });
  const lowest = (at) => Math.min(...feet.map((foot) => at(foot)[1]));
  const sunk = lowest((foot) => places[foot]) - lowest((foot) => skeleton.joints[foot].position);
  return [rest[0], rest[1] - sunk, rest[2]];
}
