// An avatar as an object of a three.js scene, hidden by what stands before it. The library is handed in, so that the page
// chooses its version and has it once.

import { cameraOfGl } from "./camera.js";
import { FILMED, lightNames, lightUniforms, noLight } from "./lights.js";
import { clipFromFile } from "./motion_files.js";
import { Playback } from "./playback.js";
import { poseFromJoints } from "./poses.js";
import { SPLAT_FRAGMENT, SPLAT_VERTEX } from "./shaders.js";
import { bytesOf } from "./sources.js";
import { Sorter, TEXTURE_WIDTH, cornerIndices, fullRows } from "./splats.js";

/**
 * @param {typeof import("three")} THREE
 * @param {import("./model.js").AvatarModel} model
 * @returns {import("three").Mesh} metres, Y up, facing +Z, on the floor at y = 0; with `update(seconds)`, `play(motion)`,
 *   `pause()`, `setMotion(file, name)`, `setPose(joints, {root})`, `motions`, `lights`, `light` and `playback`, whose events are the element's
 */
export function avatarObject3D(THREE, model) {
  class AvatarObject extends THREE.Mesh {
    constructor() {
      super(new THREE.BufferGeometry(), splatMaterial(THREE, model));
      this.geometry.setIndex(new THREE.BufferAttribute(cornerIndices(model.header.splats), 1));
      this.frustumCulled = false; // the geometry has no places of its own
      this.playback = new Playback(model);
      this.sorter = new Sorter(model.header.splats, model.arrays);
      const { rest, jointData } = this.playback.buffers, { uniforms } = this.material;
      uniforms.restPlaces.value = dataTexture(THREE, "RGBA32F", rest, TEXTURE_WIDTH);
      uniforms.joints.value = dataTexture(THREE, "RGBA32F", jointData, 4);
      uniforms.drawOrder.value = dataTexture(THREE, "R32UI", this.sorter.sorted, TEXTURE_WIDTH);
      this.light = model.header.start_light ?? FILMED;
      this.playback.set({ playing: true });
      this.update(0);
    }

    /** Names of the motions. */
    get motions() {
      return model.clips.map(({ name }) => name);
    }

    /** Move on by some seconds; call it once per frame. */
    update(seconds) {
      const { playback } = this, { uniforms } = this.material;
      if (playback.state.playing) playback.advance(seconds * playback.state.speed);
      if (playback.takePose()) uniforms.restPlaces.value.needsUpdate = uniforms.joints.value.needsUpdate = true;
    }

    /** Names of the lights. */
    get lights() {
      return lightNames(model.header);
    }

    /** Name of the light that shines. */
    get light() {
      return this.shines;
    }

    set light(name) {
      if (!this.lights.includes(name)) throw new Error(noLight(name, this.lights));
      const { light, shadingRange } = lightUniforms(model.header, name), { uniforms } = this.material;
      Object.assign(this, { shines: name });
      uniforms.light.value = light;
      uniforms.shadingRange.value = shadingRange;
    }

    play(motion) {
      const clip = motion === undefined ? this.playback.state.clip : model.find(motion);
      if (clip < 0) throw new Error(`There is no motion called ${motion}, only ${this.motions.join(", ")}.`);
      this.playback.set({ clip, playing: true });
    }

    pause() {
      this.playback.set({ playing: false });
    }

    async setMotion(source, name) {
      const { bytes, name: file } = await bytesOf(source, name ?? "motion");
      const clip = await clipFromFile(name ?? file, bytes, model.skeleton);
      this.playback.addClip(name ? { ...clip, name } : clip);
    }

    setPose(joints, { root } = {}) {
      this.playback.setPose(poseFromJoints(joints, root, model.skeleton));
    }

    // Sorted for the camera that is about to draw; the floor of the motion becomes y = 0.
    onBeforeRender(renderer, scene, camera) {
      const { uniforms } = this.material, { rest, jointData } = this.playback.buffers;
      const size = renderer.getCurrentViewport(new THREE.Vector4());
      const M = new THREE.Matrix4().makeTranslation(0, -this.playback.floor, 0)
        .premultiply(this.matrixWorld).premultiply(camera.matrixWorldInverse);
      const { T, K, depth } = cameraOfGl(M.elements, camera.projectionMatrix.elements, size.z, size.w);
      this.sorter.sort(rest, jointData, T);
      uniforms.drawOrder.value.needsUpdate = true;
      uniforms.cameraFromWorld.value.fromArray(T).transpose();
      uniforms.intrinsics.value.set(...K);
      uniforms.viewport.value.set(size.z, size.w);
      uniforms.depthTerms.value.set(...depth);
      this.material.uniformsNeedUpdate = true;
    }

    dispose() {
      for (const { value } of Object.values(this.material.uniforms)) value?.isTexture && value.dispose();
      this.material.dispose();
      this.geometry.dispose();
    }
  }
  return new AvatarObject();
}

function splatMaterial(THREE, { header, arrays }) {
  const texture = (name, kind, width) =>
    ({ value: dataTexture(THREE, kind, fullRows(arrays[name], width, header.splats), TEXTURE_WIDTH) });
  // three.js writes the version itself.
  const shader = (source) => source.slice(source.indexOf("\n") + 1);
  return new THREE.RawShaderMaterial({
    glslVersion: THREE.GLSL3,
    vertexShader: shader(SPLAT_VERTEX),
    fragmentShader: shader(SPLAT_FRAGMENT),
    transparent: true,
    depthWrite: false,
    side: THREE.DoubleSide,
    blending: THREE.CustomBlending,
    blendSrc: THREE.OneFactor,
    blendDst: THREE.OneMinusSrcAlphaFactor,
    uniforms: {
      restTurns: texture("turns", "RGBA8_SNORM", 4),
      sizes: texture("sizes", "RGBA8", 4),
      paints: texture("paints", "RGBA8", 4),
      restNormals: texture("normals", "RG8_SNORM", 2),
      bones: texture("bones", "RGBA8UI", 4),
      boneWeights: texture("weights", "RGBA8", 4),
      restPlaces: { value: null }, joints: { value: null }, drawOrder: { value: null },
      sizeRange: { value: header.size_range },
      light: { value: null }, shadingRange: { value: 0 },
      cameraFromWorld: { value: new THREE.Matrix4() },
      intrinsics: { value: new THREE.Vector4() },
      viewport: { value: new THREE.Vector2() },
      depthTerms: { value: new THREE.Vector2() },
    },
  });
}

function dataTexture(THREE, internal, data, width) {
  const [format, type, numbers] = {
    RGBA8_SNORM: [THREE.RGBAFormat, THREE.ByteType, 4],
    RG8_SNORM: [THREE.RGFormat, THREE.ByteType, 2],
    RGBA8: [THREE.RGBAFormat, THREE.UnsignedByteType, 4],
    RGBA8UI: [THREE.RGBAIntegerFormat, THREE.UnsignedByteType, 4],
    RGBA32F: [THREE.RGBAFormat, THREE.FloatType, 4],
    R32UI: [THREE.RedIntegerFormat, THREE.UnsignedIntType, 1],
  }[internal];
  const texture = new THREE.DataTexture(data, width, data.length / numbers / width, format, type);
  Object.assign(texture, { internalFormat: internal, unpackAlignment: 1, needsUpdate: true });
  return texture;
}
