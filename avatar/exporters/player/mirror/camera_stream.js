// The camera of this device. Whatever fails becomes one sentence.

const AGAIN = "then press Mirror me again.";
const NO_CAMERA = {
  NotFoundError: `There is no camera on this device: connect one, ${AGAIN}`,
  OverconstrainedError: `There is no camera on this device: connect one, ${AGAIN}`,
  NotAllowedError: `This page may not use the camera: allow it beside the address, ${AGAIN}`,
  NotReadableError: `The camera does not answer: close the program that uses it, ${AGAIN}`,
};

export class CameraStream {
  /**
   * @param {HTMLVideoElement} video shows the camera
   * @param {function(string)} onLost is called with a sentence when the camera goes away
   */
  constructor(video, onLost) {
    Object.assign(this, { video, onLost });
    this.devices = [];
  }

  /** Ask for a camera, the one towards the person unless another is named; throws an Error with a sentence. */
  async open(deviceId) {
    if (!navigator.mediaDevices) {
      throw new Error("A browser gives its camera only to pages on this device or with https: try avatar live RUN --lan.");
    }
    this.close();
    const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { ...which, width: { ideal: 640 } }, audio: false });
      this.video.srcObject = this.stream;
      await this.video.play();
    } catch (error) {
      this.close();
      throw new Error(NO_CAMERA[error.name] ?? `The camera cannot be used: ${error.message}`);
    }
    this.stream.getVideoTracks()[0].addEventListener("ended", () => this.onLost(`The camera is gone: connect it, ${AGAIN}`));
    this.devices = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
  }

  /** The camera after the one in use. */
  async next() {
    const used = this.stream.getVideoTracks()[0].getSettings().deviceId;
    const index = this.devices.findIndex(({ deviceId }) => deviceId === used);
    await this.open(this.devices[(index + 1) % this.devices.length].deviceId);
  }

  close() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
  }

  /** Call a function once, at the next image. */
  onImage(act) {
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(act);
    else requestAnimationFrame(act);
  }
}
