// The avatar in a room: on the floor in front of the wearer of a headset, or in a phone's camera (WebXR).

import { cameraOfGl } from "./camera.js";

const AHEAD = 1.6; // metres from the wearer to the avatar
const MODES = { "immersive-ar": "Show in the room (AR)", "immersive-vr": "Show in VR" };

export class Immersive {
  constructor(player) {
    this.player = player;
  }

  // Shows a button where the device has a headset or augmented reality.
  async offer(button) {
    for (const [mode, label] of Object.entries(MODES)) {
      if (await navigator.xr?.isSessionSupported(mode).catch(() => false)) {
        this.mode = mode;
        button.textContent = label;
        button.hidden = false;
        return;
      }
    }
  }

  async enter() {
    const { player } = this;
    const { gl } = player.splats;
    const session = await navigator.xr.requestSession(this.mode, { requiredFeatures: ["local-floor"] });
    await gl.makeXRCompatible();
    session.updateRenderState({ baseLayer: new XRWebGLLayer(session, gl, { antialias: false }) });
    const floor = await session.requestReferenceSpace("local-floor");
    player.elsewhere = true;
    session.addEventListener("end", () => {
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
      player.elsewhere = false;
      player.changed = true;
    });
    const frame = (now, xr) => {
      session.requestAnimationFrame(frame);
      this.draw(xr.getViewerPose(floor), session.renderState.baseLayer);
    };
    session.requestAnimationFrame(frame);
    this.session = session;
  }

  // The window's loop goes on and moves the time.
  draw(pose, layer) {
    const { player } = this;
    if (!pose || !player.splats) return;
    player.poseSplats();
    const { splats } = player, { gl } = splats;
    gl.bindFramebuffer(gl.FRAMEBUFFER, layer.framebuffer);
    gl.viewport(0, 0, layer.framebufferWidth, layer.framebufferHeight);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const look = player.look();
    pose.views.forEach((view, eye) => {
      const area = layer.getViewport(view);
      const camera = cameraOf(view, area, player.floor);
      gl.viewport(area.x, area.y, area.width, area.height);
      if (eye === 0) player.sortEverybody(camera); // the eyes are close enough for one order
      player.drawView(camera, look);
    });
  }
}

// The avatar stands on the wearer's floor, AHEAD of where their space begins.
function cameraOf({ transform, projectionMatrix }, area, floor) {
  const M = Float32Array.from(transform.inverse.matrix);
  for (let row = 0; row < 3; row++) M[12 + row] -= M[4 + row] * floor + M[8 + row] * AHEAD;
  return cameraOfGl(M, projectionMatrix, area.width, area.height);
}
