// What is behind the avatar: colours of a round gradient from its middle outwards, and whether the controls on it are light.

export const BACKGROUNDS = {
  dawn: { stops: [[0, "#fbf8f3"], [0.55, "#efe9e0"], [1, "#d9d0c4"]] },
  white: { stops: [[0, "#fff"], [1, "#fff"]] },
  dusk: { stops: [[0, "#4a4f5a"], [0.55, "#2b2e36"], [1, "#17181d"]], dark: true },
  black: { stops: [[0, "#000"], [1, "#000"]], dark: true },
};
const MIDDLE = [0.5, 0.38], RADII = [1.2, 0.9]; // relative to the sides

export function backgroundImage(name) {
  const stops = BACKGROUNDS[name].stops.map(([at, color]) => `${color} ${100 * at}%`);
  const [[x, y], [wide, high]] = [MIDDLE, RADII].map((pair) => pair.map((share) => `${100 * share}%`));
  return `radial-gradient(${wide} ${high} at ${x} ${y}, ${stops})`;
}

// The same on a canvas.
export function paintBackground(context, name, width, height) {
  const gradient = context.createRadialGradient(0, 0, 0, 0, 0, 1);
  for (const [at, color] of BACKGROUNDS[name].stops) gradient.addColorStop(at, color);
  context.save();
  context.translate(MIDDLE[0] * width, MIDDLE[1] * height);
  context.scale(RADII[0] * width, RADII[1] * height);
  context.fillStyle = gradient;
  context.fillRect(-1, -1, 2, 2);
  context.restore();
}
