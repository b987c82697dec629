// The types of the three.js object.

import type { Joints, Source } from "./avatar_player.js";

/** An avatar and its motions, without a canvas. */
export interface AvatarModel {
  readonly height: number;
  find(motion: string): number;
}

/** A THREE.Mesh: metres, Y up, facing +Z, on the floor at y = 0. */
export interface AvatarObject3D {
  readonly motions: string[];
  readonly lights: string[];
  /** Name of the light that shines. */
  light: string;
  /** Dispatches "play", "pause", "ended" and "motion". */
  readonly playback: EventTarget;
  /** Move on by some seconds; call it once per frame. */
  update(seconds: number): void;
  play(motion?: string): void;
  pause(): void;
  setMotion(source: Source, name?: string): Promise<void>;
  setPose(joints: Joints, options?: { root?: [number, number, number] }): void;
  dispose(): void;
  [ofMesh: string]: any;
}

export function loadModel(source: Source, onProgress?: (share: number) => void): Promise<AvatarModel>;
export function avatarObject3D(THREE: unknown, model: AvatarModel): AvatarObject3D;
