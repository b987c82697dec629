// From MediaPipe's 33 landmarks to turns of the joints, each bone by its own two or three landmarks.
//
// Axes: x to the right of the image, y up, z towards the camera; metres from the middle of the hips.

import { carried, framesOfPlaces, localTurns, middleOf } from "../foreign.js";
import { SIDE_NAMES } from "../joint_names.js";
import { add, cross, normalize, quatBetween, quatBlend, quatMultiply, rotate, scaled, subtract } from "../rotations.js";

// A result of the landmarker, whose points are called `names`, as {world, image, size}: places by name, pixels with
// confidence by name, width and height; null without a person.
export function namedLandmarks(result, names, width, height) {
  if (!result.worldLandmarks[0]) return null;
  const world = {}, image = {};
  names.forEach((name, i) => {
    const { x, y, z } = result.worldLandmarks[0][i], flat = result.landmarks[0][i];
    world[name] = [x, -y, -z];
    image[name] = { x: flat.x * width, y: flat.y * height, confidence: flat.visibility };
  });
  return { world, image, size: [width, height] };
}

// Turns of the joints relative to their parents, by name.
export function turnsOfLandmarks(world, skeleton, own) {
  const turns = framesOfPlaces(world, own);
  const ears = subtract(world.left_ear, world.right_ear), nose = subtract(world.nose, middleOf(world, "ear"));
  turns.head = carried([1, 0, 0], [0, 1, 0], normalize(ears), normalize(cross(nose, ears)));
  turns.neck = quatBlend(turns.spine3, turns.head, 0.5);
  for (const side of SIDE_NAMES) {
    const follow = (joint, bone, direction) => {
      const turn = quatMultiply(quatBetween(rotate(turns[joint], bone), direction), turns[joint]);
      turns[joint] = turn;
    };
    const toes = subtract(world[`${side}_foot_index`], world[`${side}_heel`]);
    const foot = boneOf(`${side}_ankle`, skeleton);
    follow(`${side}_ankle`, [foot[0], 0, foot[2]], toes);
    turns[`${side}_foot`] = turns[`${side}_ankle`];
    const knuckles = scaled(add(world[`${side}_index`], world[`${side}_pinky`]), 0.5);
    follow(`${side}_wrist`, boneOf(`${side}_wrist`, skeleton), subtract(knuckles, world[`${side}_wrist`]));
    turns[`${side}_hand`] = turns[`${side}_wrist`];
  }
  return localTurns(turns, skeleton);
}

// From a joint to the middle of those that it carries at rest: a hand may have fingers.
function boneOf(name, skeleton) {
  const joint = skeleton.index[name];
  const ends = skeleton.joints.filter(({ parent }) => parent === joint).map(({ position }) => position);
  return subtract(scaled(ends.reduce(add), 1 / ends.length), skeleton.joints[joint].position);
}
