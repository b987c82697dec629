// Rotations are unit quaternions [w, x, y, z]; vectors are [x, y, z]; matrices are row by row.

export function quatMultiply(a, b) {
  return [
    a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
    a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
    a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
    a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
  ];
}

export function quatConjugate(q) {
  return [q[0], -q[1], -q[2], -q[3]];
}

export function quatNormalize(q) {
  const length = Math.hypot(q[0], q[1], q[2], q[3]) || 1;
  return [q[0] / length, q[1] / length, q[2] / length, q[3] / length];
}

export function quatDot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
}

// From a to b along the shorter arc. Between neighbouring frames the chord is as good as the arc.
export function quatBlend(a, b, t) {
  const sign = quatDot(a, b) < 0 ? -1 : 1;
  return quatNormalize(a.map((value, i) => value * (1 - t) + sign * t * b[i]));
}

export function quatAboutAxis(axis, angle) {
  const sine = Math.sin(angle / 2);
  return [Math.cos(angle / 2), axis[0] * sine, axis[1] * sine, axis[2] * sine];
}

// The shortest rotation that turns the direction of u into that of v.
export function quatBetween(u, v) {
  const a = normalize(u), b = normalize(v);
  const cosine = dot(a, b);
  if (cosine < -0.9999) {
    const side = Math.abs(a[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0];
    return quatAboutAxis(normalize(cross(a, side)), Math.PI);
  }
  return quatNormalize([1 + cosine, ...cross(a, b)]);
}

export function quatToMatrix(q) {
  const [w, x, y, z] = q;
  return [
    1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
    2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
    2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
  ];
}

// Of a proper rotation matrix given by its rows; from the largest component, which is safe to divide by.
export function quatFromMatrix(m) {
  const rows = [
    [1 + m[0] + m[4] + m[8], m[7] - m[5], m[2] - m[6], m[3] - m[1]],
    [m[7] - m[5], 1 + m[0] - m[4] - m[8], m[1] + m[3], m[2] + m[6]],
    [m[2] - m[6], m[1] + m[3], 1 - m[0] + m[4] - m[8], m[5] + m[7]],
    [m[3] - m[1], m[2] + m[6], m[5] + m[7], 1 - m[0] - m[4] + m[8]],
  ];
  let largest = 0;
  for (let i = 1; i < 4; i++) if (rows[i][i] > rows[largest][largest]) largest = i;
  return quatNormalize(rows[largest]);
}

export function rotate(q, v) {
  const t = cross(q.slice(1), v).map((x) => 2 * x);
  const u = cross(q.slice(1), t);
  return [v[0] + q[0] * t[0] + u[0], v[1] + q[0] * t[1] + u[1], v[2] + q[0] * t[2] + u[2]];
}

export function add(a, b) {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
}

export function subtract(a, b) {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

export function scaled(a, factor) {
  return [a[0] * factor, a[1] * factor, a[2] * factor];
}

export function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

export function cross(a, b) {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

export function normalize(a) {
  return scaled(a, 1 / (Math.hypot(a[0], a[1], a[2]) || 1));
}
