// The avatar in a room: on the floor in front of the wearer of a headset, or in a phone's camera (WebXR).

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
    player.takePose();
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
      if (eye === 0) splats.sort(camera); // the eyes are close enough for one order
      splats.drawView(camera, look);
    });
  }
}

// Our camera (x right, y down, z forward) from one of WebXR (x right, y up, z back, column by column). Both worlds have
// the floor at zero; the avatar is AHEAD of where the wearer's space begins.
export function cameraOf(view, { width, height }, floor) {
  const M = view.transform.inverse.matrix, P = view.projectionMatrix;
  const row = (r, sign) => {
    const [x, y, z] = [sign * M[r], sign * M[r + 4], sign * M[r + 8]];
    return [x, y, z, sign * M[r + 12] - y * floor - z * AHEAD];
  };
  return {
    T: Float32Array.from([...row(0, 1), ...row(1, -1), ...row(2, -1), 0, 0, 0, 1]),
    K: [(P[0] * width) / 2, (P[5] * height) / 2, ((1 - P[8]) * width) / 2, ((1 + P[9]) * height) / 2],
    width,
    height,
  };
}
