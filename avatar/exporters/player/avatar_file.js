// An avatar as a file for players: docs/formats/player-file.md says what stands where.

const MAGICS = ["AVATAR1\n", "AVATAR2\n", "AVATAR3\n"]; // plain, with props or a scene, with springs
const ARRAY_TYPES = { uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, uint32: Uint32Array, float16: Uint16Array, float32: Float32Array };

/**
 * The header and the arrays of a file that `avatar export --web` wrote.
 * @param {Uint8Array} bytes
 * @param {string} [name] for messages
 * @returns {Promise<{header: object, arrays: Object<string, Float32Array|Uint16Array|Uint8Array|Int8Array>}>}
 */
export async function readAvatar(bytes, name = "The file") {
  const begin = String.fromCharCode(...bytes.subarray(0, MAGICS[0].length));
  if (!MAGICS.includes(begin)) {
    const other = /^AVATAR\d/.test(begin) ? "was written by another version of the program" : "is not an avatar";
    throw new Error(`${name} ${other}: write it with avatar export --web.`);
  }
  if (!globalThis.DecompressionStream) throw new Error("This browser is too old to unpack the avatar: update it.");
  const stream = new Blob([bytes.subarray(MAGICS[0].length)]).stream().pipeThrough(new DecompressionStream("deflate"));
  try {
    return unpack(await new Response(stream).arrayBuffer());
  } catch {
    throw new Error(`${name} is cut off or broken: copy it again.`);
  }
}

// Arrays are stored block by block, and in a block byte by byte: the first of all rows, the second of all rows, ...
function unshuffled(stored, rows, width) {
  const bytes = new Uint8Array(stored.length);
  for (let block = 0; block < stored.length; block += rows * width) {
    for (let k = 0; k < width; k++) {
      const plane = block + k * rows;
      for (let i = 0; i < rows; i++) bytes[block + i * width + k] = stored[plane + i];
    }
  }
  return bytes;
}

// The length of the header, the header in JSON padded to four bytes, and the arrays it lists.
function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const start = 4 + length;
  const arrays = {};
  for (const { name, type, offset, shape } of header.arrays) {
    const kind = ARRAY_TYPES[type], size = shape.reduce((product, side) => product * side, kind.BYTES_PER_ELEMENT);
    const [rows, values] = shape.slice(-2);
    const bytes = unshuffled(new Uint8Array(buffer, start + offset, size), rows, values * kind.BYTES_PER_ELEMENT);
    const array = new kind(bytes.buffer);
    arrays[name] = type === "float16" ? float32FromHalf(array) : array;
  }
  return { header, arrays };
}

export function float32FromHalf(half) {
  const out = new Float32Array(half.length);
  for (let i = 0; i < half.length; i++) {
    const exponent = (half[i] >> 10) & 31, fraction = half[i] & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : (fraction / 1024) * 2 ** -14;
    out[i] = half[i] & 0x8000 ? -size : size;
  }
  return out;
}

// Centres are stored as 16-bit steps through the box of the body at rest; those of props and scene through their own.
export function restCenters(steps, { low, high, extras }) {
  const centers = new Float32Array(steps.length);
  const own = steps.length - 3 * (extras?.splats ?? 0);
  for (let i = 0; i < steps.length; i++) {
    const box = i < own ? { low, high } : extras;
    centers[i] = box.low[i % 3] + (box.high[i % 3] - box.low[i % 3]) * (steps[i] / 65535);
  }
  return centers;
}
