// The lights that an avatar can stand in, by name.

export const FILMED = "filmed", EVEN = "even";
const LIGHT_WORDS = { filmed: "as filmed", even: "even", above: "from above", window: "from a window" };
const LIGHT_TERMS = 24; // eight polynomials of the normal, three colours

/** Names of the lights: that of the recording, and the others of the file. */
export function lightNames({ lights }) {
  return [FILMED, ...Object.keys(lights ?? { [EVEN]: null })];
}

/** How a person reads the name of a light. */
export function lightWords(name) {
  return LIGHT_WORDS[name] ?? name;
}

export function noLight(name, names) {
  return `There is no light called ${name}, only ${names.join(", ")}.`;
}

/**
 * What the shader needs: log gains by the normal's polynomials, and the range of the shading that is taken out of skin, which
 * only another light than that of the recording needs.
 */
export function lightUniforms(header, name) {
  const filmed = name === FILMED;
  const gains = filmed ? header.light : header.lights?.[name];
  return { light: gains ? gains.flat() : new Float32Array(LIGHT_TERMS), shadingRange: filmed ? 0 : header.shading_range ?? 0 };
}
