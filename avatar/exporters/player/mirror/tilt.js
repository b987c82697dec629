// Between the axes of a camera that looks down and level ones; both have x to the right.

// A vector after the camera looks up by `angle`: from the camera's axes to level ones for an angle of its pitch.
export function tilted([x, y, z], angle) {
  const cosine = Math.cos(angle), sine = Math.sin(angle);
  return [x, cosine * y + sine * z, cosine * z - sine * y];
}
