// For three.js scenes without the element: the names that a program needs.

export { loadModel } from "./model.js";
export { avatarObject3D } from "./three_object.js";
