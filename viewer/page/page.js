// Starts the program's own parts of the page, once per page; a server that was started anew only changes the inbox.

class AvatarPage {
  constructor(viser) {
    this.viser = viser;
    this.tab = Math.random();
    this.count = 0;
    const style = element("style", { textContent: CSS_TEXT });
    document.head.append(style);
    document.title = "avatar";
    this.banner = watchConnection(viser);
    tendPanel();
    this.state = {};
  }

  // inbox: the hidden field of viser's that carries our events; parts: which of our parts this server wants.
  connect({ inbox, maxBytes, parts }) {
    this.inbox = inbox;
    this.banner.textContent = GONE;
    this.uploads ??= new Uploads(this.viser, maxBytes);
    if (parts.includes("timeline")) {
      this.timeline ??= new Timeline(this);
      this.comparison ??= new Comparison(this);
    }
    // A page of a training becomes the viewer when that is done.
    if (parts.includes("progress")) this.progress ??= new ProgressBar(this);
    else {
      this.progress?.remove();
      this.progress = null;
    }
    if (this.viser.cameraControl) this.viser.cameraControl.dollyToCursor = true;
    this.tell("ready", { software: drawsInSoftware() });
  }

  // Sends one event to the server. viser drops a value that equals the last one, of whichever tab: tab and count make
  // each one differ.
  tell(type, values = {}) {
    this.count += 1;
    const value = JSON.stringify({ type, tab: this.tab, count: this.count, ...values });
    this.viser.sendMessage({ type: "GuiUpdateMessage", uuid: this.inbox, updates: { value } });
  }

  show(changes) {
    Object.assign(this.state, changes);
    this.timeline?.show(this.state, changes);
    if (changes.progress) this.progress?.show(changes.progress);
    if (changes.farewell !== undefined) this.banner.textContent = changes.farewell || GONE;
    if (changes.comparison) this.comparison?.show(changes.comparison);
  }
}

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  if (properties.role) node.setAttribute("role", properties.role);
  node.append(...children);
  return node;
}

function toast(text) {
  document.querySelector(".avatar-toast")?.remove();
  const node = element("div", { className: "avatar-toast", role: "alert", textContent: text });
  document.body.append(node);
  setTimeout(() => node.remove(), 8000);
}

// Whether the browser draws without a graphics card.
function drawsInSoftware() {
  const gl = document.createElement("canvas").getContext("webgl2");
  const info = gl?.getExtension("WEBGL_debug_renderer_info");
  const renderer = info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : "";
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|software|basic render/i.test(renderer);
}

// viser makes its scene after it connects, so wait for it.
function whenViserIsReady(then) {
  const viser = window.__viserMutable;
  if (viser?.canvas && viser.cameraControl) then(viser);
  else setTimeout(() => whenViserIsReady(then), 50);
}

// Calls that come before the page is ready wait.
if (!window.avatarPage) {
  const calls = [];
  window.avatarPage = {
    connect: (values) => calls.push(["connect", values]),
    show: (values) => calls.push(["show", values]),
  };
  whenViserIsReady((viser) => {
    window.avatarPage = new AvatarPage(viser);
    for (const [name, values] of calls) window.avatarPage[name](values);
  });
}
