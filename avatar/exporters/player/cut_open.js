// A scene is cut open before the person where the camera stands outside of it, as behind a wall: `cut_open` of
// avatar/model/world.py.

import { dot } from "./rotations.js";

const BEFORE = 0.3; // metres before the joints that stay

// Depth in metres before which the scene is left out; 0 leaves out nothing.
export function cutDepth({ scene, joints }, jointData, T) {
  if (!scene) return 0;
  const eye = [0, 1, 2].map((axis) => -(T[axis] * T[3] + T[4 + axis] * T[7] + T[8 + axis] * T[11]));
  if (eye.every((x, axis) => x > scene.low[axis] && x < scene.high[axis])) return 0;
  const depths = joints.map(({ position }, i) => {
    const place = [0, 4, 8].map((row) => dot(jointData.subarray(16 * i + row, 16 * i + row + 3), position) + jointData[16 * i + row + 3]);
    return dot([T[8], T[9], T[10]], place) + T[11];
  });
  return Math.min(...depths) - BEFORE;
}
