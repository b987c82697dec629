// Where files come from: an address, a file that the user chose, or bytes.

/**
 * @param {string|URL|Blob|ArrayBuffer|Uint8Array} source
 * @param {string} fallback the name of bytes without one
 * @param {(share: number) => void} [onProgress] in [0, 1], where the server says how long the file is
 * @returns {Promise<{bytes: Uint8Array, name: string}>}
 */
export async function bytesOf(source, fallback, onProgress = () => {}) {
  if (source instanceof Blob) return { bytes: new Uint8Array(await source.arrayBuffer()), name: source.name ?? fallback };
  if (source instanceof ArrayBuffer) return { bytes: new Uint8Array(source), name: fallback };
  if (ArrayBuffer.isView(source)) {
    return { bytes: new Uint8Array(source.buffer, source.byteOffset, source.byteLength), name: fallback };
  }
  const url = new URL(source, document.baseURI);
  const name = decodeURIComponent(url.pathname.split("/").at(-1)) || fallback;
  return { bytes: await fetched(url, name, onProgress), name };
}

async function fetched(url, name, onProgress) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    const reason = url.protocol === "file:" ? "pages opened as files may not read others: start a server" : "no connection";
    throw new Error(`${name} cannot be loaded: ${reason}.`);
  }
  if (!response.ok) throw new Error(`${name} cannot be loaded: the server answers ${response.status}.`);
  const length = Number(response.headers.get("content-length"));
  const parts = [];
  let size = 0;
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.length;
    if (length) onProgress(Math.min(size / length, 1));
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
