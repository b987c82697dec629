// MediaPipe's pose landmarker, from the blocks that avatar/exporters/mirror.py embedded in the page: nothing is fetched.

const MIRROR_BLOCKS = { bundle: "text/javascript", loader: "text/javascript", wasm: "application/wasm", model: "" };

/** The pose landmarker; throws an Error with a sentence where the browser cannot run it. */
export async function loadLandmarker() {
  try {
    return await createLandmarker();
  } catch (error) {
    console.warn(error);
    throw new Error("This browser cannot run the pose network: update it.");
  }
}

async function createLandmarker() {
  const names = Object.keys(MIRROR_BLOCKS);
  const bytes = await Promise.all(names.map((name) => unpackBlock(document.getElementById(`mirror-${name}`))));
  const block = Object.fromEntries(names.map((name, i) => [name, bytes[i]]));
  const urls = Object.fromEntries(names.map((name) =>
    [name, URL.createObjectURL(new Blob([block[name]], { type: MIRROR_BLOCKS[name] }))]));
  try {
    const vision = await import(urls.bundle);
    return await vision.PoseLandmarker.createFromOptions(
      { wasmLoaderPath: urls.loader, wasmBinaryPath: urls.wasm },
      { baseOptions: { modelAssetBuffer: block.model, delegate: "CPU" }, runningMode: "VIDEO", numPoses: 1 },
    );
  } finally {
    Object.values(urls).forEach((url) => URL.revokeObjectURL(url));
  }
}

async function unpackBlock(element) {
  const packed = Uint8Array.from(atob(element.textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
