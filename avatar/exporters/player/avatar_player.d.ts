// The types of <avatar-player> for TypeScript and for editors.

/** An address, a file that the user chose, or bytes. */
export type Source = string | URL | Blob | ArrayBuffer | Uint8Array;

/** By SMPL's names of joints, relative to the parent: quaternions [w, x, y, z], or rotation vectors [x, y, z] in degrees. */
export type Joints = Record<string, number[]>;

/** Events: progress, load, error, play, pause, ended, motion, change; see docs/manual/web.md. */
export class AvatarPlayer extends HTMLElement {
  /** Names of the motions. */
  readonly motions: string[];
  /** Name of the motion that plays. */
  motion: string | null;
  /** Names of the lights: "filmed", "even", "above", "window", and one that the file was written with. */
  readonly lights: string[];
  /** Name of the light that shines. */
  light: string | null;
  readonly paused: boolean;
  /** Seconds into the motion. */
  currentTime: number;
  readonly duration: number;
  playbackRate: number;
  loop: boolean;
  /** "dawn", "white", "dusk", "black", "auto", or a colour of CSS. */
  background: string | null;
  readonly heading: string;
  /** Motion, moment and camera as text, such as "clip=walk&t=1.2&yaw=30". */
  view: string;
  load(source: Source): Promise<void>;
  play(motion?: string): void;
  pause(): void;
  /** Add a motion (BVH, GLB, VRMA, npz or motion JSON) and play it; resolves to its name. */
  setMotion(source: Source, name?: string): Promise<string>;
  setPose(joints?: Joints, options?: { root?: [number, number, number] }): void;
  toBlob(options?: { background?: boolean; type?: string }): Promise<Blob>;
  /** The avatar as an object of a three.js scene: pass the library as the page has it. */
  object3D(THREE: unknown): import("./three_object.js").AvatarObject3D;
}

declare global {
  interface HTMLElementTagNameMap {
    "avatar-player": AvatarPlayer;
  }
}
