// Drawing: splats are sorted here and skinned in the vertex shader. Attributes lie in textures and corners in a
// plain index buffer, since instancing is several times slower where there is no graphics card.

import { cutDepth } from "./cut_open.js";
import { lightUniforms } from "./lights.js";
import { SHADOW_FRAGMENT, SHADOW_VERTEX, SPLAT_FRAGMENT, SPLAT_VERTEX } from "./shaders.js";

export const TEXTURE_WIDTH = 1024;

export class Splats {
  // Throws where the device cannot draw; all device objects are created again after a lost context.
  constructor(gl, header, arrays) {
    this.gl = gl;
    this.count = header.splats;
    this.header = header;
    this.arrays = arrays;
    this.program = new Program(gl, SPLAT_VERTEX, SPLAT_FRAGMENT);
    this.shadow = new Program(gl, SHADOW_VERTEX, SHADOW_FRAGMENT);
    const T = (name, internal, format, type, width) =>
      new Texture(gl, internal, format, type, fullRows(arrays[name], width, this.count), TEXTURE_WIDTH, width);
    this.textures = {
      restTurns: T("turns", gl.RGBA8_SNORM, gl.RGBA, gl.BYTE, 4),
      sizes: T("sizes", gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, 4),
      paints: T("paints", gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, 4),
      restNormals: T("normals", gl.RG8_SNORM, gl.RG, gl.BYTE, 2),
      bones: T("bones", gl.RGBA8UI, gl.RGBA_INTEGER, gl.UNSIGNED_BYTE, 4),
      boneWeights: T("weights", gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, 4),
    };
    this.sorter = new Sorter(this.count, arrays);
    this.rest = new Float32Array(4 * fullCount(this.count));
    this.places = new Texture(gl, gl.RGBA32F, gl.RGBA, gl.FLOAT, this.rest, TEXTURE_WIDTH, 4);
    this.order = new Texture(gl, gl.R32UI, gl.RED_INTEGER, gl.UNSIGNED_INT, this.sorter.sorted, TEXTURE_WIDTH, 1);
    const nodes = header.springs?.places.length ?? 0;
    this.jointData = new Float32Array(16 * (header.joints.length + nodes + 1)); // the last one is the world
    this.joints = new Texture(gl, gl.RGBA32F, gl.RGBA, gl.FLOAT, this.jointData, 4, 4);
    this.corners = gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.corners);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, cornerIndices(this.count), gl.STATIC_DRAW);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  // New places of the body: centres at rest with correctives, and the joints' transforms.
  pose(rest, jointData) {
    this.rest = rest;
    this.places.update(rest);
    this.jointData.set(jointData);
    this.joints.update(this.jointData);
  }

  // camera: {T, K, width, height}.
  clear(camera) {
    const { gl } = this;
    gl.viewport(0, 0, camera.width, camera.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
  }

  sort(camera) {
    this.order.update(this.sorter.sort(this.rest, this.jointData, camera.T));
  }

  // Into the viewport that is set, in the order of the last `sort`; the look: name of the light, shadows on the floor.
  drawView(camera, { light, shadows }) {
    const { gl } = this;
    for (const { place, radius, darkness } of shadows) {
      this.shadow.use(camera, { disc: [...place, radius], darkness });
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }
    const cut = cutDepth(this.header, this.jointData, camera.T);
    const { light: gains, shadingRange } = lightUniforms(this.header, light);
    this.program.use(camera, { sizeRange: this.header.size_range, cutDepth: cut, shadingRange });
    gl.uniform3fv(this.program.at("light"), gains);
    const textures = { ...this.textures, restPlaces: this.places, drawOrder: this.order, joints: this.joints };
    Object.entries(textures).forEach(([name, texture], unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, texture.handle);
      gl.uniform1i(this.program.at(name), unit);
    });
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.corners);
    gl.drawElements(gl.TRIANGLES, 6 * this.count, gl.UNSIGNED_INT, 0);
  }
}

// Sorts splats from far to near by the depth of their skinned centres: 65536 buckets over the depth of the body.
export class Sorter {
  constructor(count, { bones, weights }) {
    this.bones = bones;
    this.weights = weights;
    this.depths = new Float32Array(count);
    this.keys = new Uint16Array(count);
    this.sorted = new Uint32Array(fullCount(count));
    this.starts = new Uint32Array(65537);
  }

  sort(rest, joints, T) {
    const { bones, weights, depths, keys, sorted, starts } = this;
    // The camera's depth of a point that follows one joint is a plane over rest space: four numbers per joint.
    const planes = new Float32Array(joints.length / 4);
    for (let j = 0; j < joints.length / 16; j++) {
      for (let k = 0; k < 4; k++) {
        planes[4 * j + k] = (T[8] * joints[16 * j + k] + T[9] * joints[16 * j + 4 + k] +
          T[10] * joints[16 * j + 8 + k] + (k === 3 ? T[11] : 0)) / 255;
      }
    }
    let near = Infinity, far = -Infinity;
    for (let i = 0; i < depths.length; i++) {
      let depth = 0;
      for (let k = 4 * i; k < 4 * i + 4; k++) {
        const p = 4 * bones[k];
        depth += weights[k] * (planes[p] * rest[4 * i] + planes[p + 1] * rest[4 * i + 1] +
          planes[p + 2] * rest[4 * i + 2] + planes[p + 3]);
      }
      depths[i] = depth;
      if (depth < near) near = depth;
      if (depth > far) far = depth;
    }
    const steps = 65535 / Math.max(far - near, 1e-9);
    starts.fill(0);
    for (let i = 0; i < depths.length; i++) {
      keys[i] = (far - depths[i]) * steps;
      starts[keys[i] + 1]++;
    }
    for (let b = 0; b < 65536; b++) starts[b + 1] += starts[b];
    for (let i = 0; i < depths.length; i++) sorted[starts[keys[i]]++] = i;
    return sorted;
  }
}

class Program {
  constructor(gl, vertex, fragment) {
    this.gl = gl;
    this.handle = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(this.handle, shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) {
        throw new Error(`A shader does not compile on this device: ${gl.getShaderInfoLog(shader)}`);
      }
    }
    gl.linkProgram(this.handle);
    this.locations = {};
  }

  at(name) {
    this.locations[name] ??= this.gl.getUniformLocation(this.handle, name);
    return this.locations[name];
  }

  // Makes it current with the camera and with uniforms that are numbers or short vectors.
  use(camera, uniforms) {
    const { gl } = this;
    gl.useProgram(this.handle);
    gl.uniformMatrix4fv(this.at("cameraFromWorld"), true, camera.T);
    gl.uniform4fv(this.at("intrinsics"), camera.K);
    gl.uniform2f(this.at("viewport"), camera.width, camera.height);
    for (const [name, value] of Object.entries(uniforms)) {
      if (typeof value === "number") gl.uniform1f(this.at(name), value);
      else gl[`uniform${value.length}fv`](this.at(name), value);
    }
  }
}

class Texture {
  // data: whole rows of `width` texels of `stride` numbers.
  constructor(gl, internal, format, type, data, width, stride) {
    Object.assign(this, { gl, format, type, width, height: data.length / stride / width });
    this.handle = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.handle);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.texStorage2D(gl.TEXTURE_2D, 1, internal, this.width, this.height);
    this.update(data);
  }

  update(data) {
    const { gl } = this;
    gl.bindTexture(gl.TEXTURE_2D, this.handle);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, this.width, this.height, this.format, this.type, data);
  }
}

// Splats padded to whole rows of a texture.
export function fullCount(count) {
  return Math.ceil(count / TEXTURE_WIDTH) * TEXTURE_WIDTH;
}

export function fullRows(array, stride, count) {
  const rows = new array.constructor(fullCount(count) * stride);
  rows.set(array);
  return rows;
}

export function cornerIndices(count) {
  const indices = new Uint32Array(6 * count);
  for (let i = 0; i < count; i++) indices.set([0, 1, 2, 2, 1, 3].map((corner) => 4 * i + corner), 6 * i);
  return indices;
}
