// The data that the exporter embedded in the page: a JSON header, and arrays as deflated bytes in base64.

const ARRAY_TYPES = { uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, float32: Float32Array };

async function readPayload() {
  const header = JSON.parse(document.getElementById("header").textContent);
  const packed = Uint8Array.from(atob(document.getElementById("payload").textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = await new Response(stream).arrayBuffer();
  const arrays = {};
  for (const { name, type, offset, length } of header.arrays) {
    arrays[name] = type === "float16"
      ? float32FromHalf(new Uint16Array(bytes, offset, length))
      : new ARRAY_TYPES[type](bytes, offset, length);
  }
  return { header, arrays };
}

function float32FromHalf(half) {
  const out = new Float32Array(half.length);
  for (let i = 0; i < half.length; i++) {
    const exponent = (half[i] >> 10) & 31, fraction = half[i] & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : (fraction / 1024) * 2 ** -14;
    out[i] = half[i] & 0x8000 ? -size : size;
  }
  return out;
}

// Centres are stored as 16-bit steps through the bounding box of the body at rest.
function restCenters(steps, { low, high }) {
  const centers = new Float32Array(steps.length);
  for (let i = 0; i < steps.length; i++) {
    centers[i] = low[i % 3] + (high[i % 3] - low[i % 3]) * (steps[i] / 65535);
  }
  return centers;
}
