// The bar along the bottom: play, the strip of confidence to click on, the range that plays, keyframes, undo.

class Timeline {
  constructor(page) {
    this.page = page;
    this.state = {};
    const tell = (type, values) => page.tell(type, values);
    const button = (text, label, onclick, className = "") =>
      element("button", { type: "button", textContent: text, title: label, ariaLabel: label, onclick, className });
    this.play = button("▶ Play", "Play or pause (space)", () => tell("play"), "avatar-play");
    this.frame = element("input", { type: "number", min: 0, step: 1, ariaLabel: "Frame", title: "Go to a frame (G)" });
    this.frame.addEventListener("keydown", (event) => {
      event.stopPropagation();  // keys of the page must not act while a number is typed
      if (event.key === "Escape") this.leaveField();
      if (event.key === "Enter") {
        if (this.frame.value !== "" && this.frame.checkValidity()) tell("seek", { frame: Number(this.frame.value) });
        this.leaveField();
      }
    });
    this.frame.addEventListener("blur", () => this.showFrame());
    this.total = element("span", { className: "avatar-note avatar-wide" });
    this.note = element("span", { className: "avatar-note" });
    // Above the strip, since the bar stands on its lower edge: a message moves nothing that the pointer is about to press.
    this.message = element("div", { className: "avatar-note is-problem", role: "status" });
    this.undo = button("↶", "Undo (Ctrl+Z)", () => tell("undo"));
    this.redo = button("↷", "Redo (Ctrl+Shift+Z)", () => tell("redo"));
    const row = element("div", { className: "avatar-row" },
      this.play,
      button("◀", "Previous frame (,)", () => tell("step", { by: -1 })),
      button("▶", "Next frame (.)", () => tell("step", { by: 1 })),
      this.frame, this.total,
      button("[", "Play from here (I)", () => tell("limit", { end: 0 }), "avatar-wide"),
      button("]", "Play up to here (O)", () => tell("limit", { end: 1 }), "avatar-wide"),
      this.undo, this.redo,
      element("span", { className: "avatar-space" }),
      this.note,
      button("⌂", "Look at the whole person again (R)", () => this.resetView()),
    );
    this.strip = this.makeStrip();
    // A slider holds no other: the ends of the range lie beside the strip.
    this.track = element("div", { className: "avatar-track" }, this.strip, ...this.limits);
    this.keys = element("div", { className: "avatar-row", role: "group", ariaLabel: "Keyframes" });
    this.bar = element("div", { className: "avatar-bar", role: "toolbar", ariaLabel: "Timeline" },
      this.message, this.keys, this.track, row);
    // The space bar presses the button that has the focus, and must not play as well.
    this.bar.addEventListener("keydown", (event) => event.key === " " && event.stopPropagation());
    document.body.append(this.bar);
    this.followCanvas();
    document.addEventListener("keydown", (event) => this.press(event));
  }

  // Under the scene, beside viser's panel.
  followCanvas() {
    const { canvas } = this.page.viser;
    const place = () => {
      const { left, width } = canvas.getBoundingClientRect();
      Object.assign(this.bar.style, { left: `${left}px`, width: `${width}px`, bottom: "0" });
      document.body.style.setProperty("--avatar-bar-height", `${this.bar.offsetHeight}px`);
    };
    const observer = new ResizeObserver(place);
    observer.observe(canvas);
    observer.observe(this.bar);
    window.addEventListener("resize", place);
    place();
  }

  makeStrip() {
    this.columns = element("canvas");
    this.head = element("div", { className: "avatar-head" });
    this.outside = [0, 1].map(() => element("div", { className: "avatar-outside" }));
    this.limits = [0, 1].map((end) => this.makeLimit(end));
    const strip = element("div", { className: "avatar-strip", role: "slider", tabIndex: 0, ariaLabel: "Position in the motion",
      title: "Confidence of the pose of each frame: high and green is reliable" },
      this.columns, ...this.outside, this.head);
    this.drag(strip, (frame) => this.page.tell("seek", { frame }));
    strip.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10 }[event.key];
      if (by !== undefined) this.page.tell("step", { by });
    });
    return strip;
  }

  // One end of the range that plays.
  makeLimit(end) {
    const limit = element("div", { className: "avatar-limit", role: "slider", tabIndex: 0,
      ariaLabel: end ? "End of the range that plays" : "Start of the range that plays" });
    this.drag(limit, (frame) => this.page.tell("limit", { end, frame }));
    limit.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by === undefined) return;
      event.stopPropagation();
      this.page.tell("limit", { end, by });
    });
    return limit;
  }

  // Calls `act` with the frame under the pointer, at most once per animation frame.
  drag(node, act) {
    let waiting = null;
    const move = (event) => {
      if (!node.hasPointerCapture(event.pointerId)) return;
      const scheduled = waiting !== null;
      waiting = this.frameAt(event.clientX);
      if (!scheduled) {
        requestAnimationFrame(() => {
          const frame = waiting;
          waiting = null;
          act(frame);
        });
      }
    };
    node.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      node.setPointerCapture(event.pointerId);
      move(event);
    });
    node.addEventListener("pointermove", move);
  }

  frameAt(x) {
    const { left, width } = this.strip.getBoundingClientRect();
    const last = Math.max(this.state.frames - 1, 0);
    return Math.round(Math.min(Math.max((x - left) / width, 0), 1) * last);
  }

  press(event) {
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName ?? "")) return;
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
      event.preventDefault();
      this.page.tell(key === "y" || event.shiftKey ? "redo" : "undo");
    } else if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    } else if (key === "g") {
      event.preventDefault();
      this.frame.focus();
      this.frame.select();
    } else if (key === "i" || key === "o") {
      this.page.tell("limit", { end: key === "o" ? 1 : 0 });
    } else if (key === "r") {
      this.resetView();
    }
  }

  leaveField() {
    this.frame.blur();
    this.showFrame();
  }

  resetView() {
    this.page.tell("reset view");
  }

  show(state, changes) {
    this.state = state;
    const still = state.frames < 2;
    this.play.textContent = state.playing ? "❚❚ Pause" : "▶ Play";
    this.play.disabled = still;
    this.undo.disabled = !state.undo;
    this.redo.disabled = !state.redo;
    this.frame.max = Math.max(state.frames - 1, 0);
    if (document.activeElement !== this.frame) this.showFrame();
    this.total.textContent = `of ${Math.max(state.frames - 1, 0)} · ${(state.frames / state.fps).toFixed(1)} s`;
    // A phone has room for the number alone.
    const caption = matchMedia("(max-width: 36em)").matches ? state.caption.replace("confidence ", "") : state.caption;
    this.note.textContent = caption;
    this.note.title = state.caption;
    this.message.textContent = state.message;
    this.message.style.display = state.message ? "" : "none";
    const place = (frame) => `${100 * frame / Math.max(state.frames - 1, 1)}%`;
    this.head.style.left = place(state.frame);
    this.strip.setAttribute("aria-valuenow", state.frame);
    this.strip.setAttribute("aria-valuemax", Math.max(state.frames - 1, 0));
    state.range.forEach((frame, end) => {
      this.limits[end].style.left = place(frame);
      this.limits[end].style.display = still ? "none" : "";
      this.limits[end].setAttribute("aria-valuenow", frame);
    });
    Object.assign(this.outside[0].style, { left: "0", width: place(state.range[0]) });
    Object.assign(this.outside[1].style, { right: "0", width: `calc(100% - ${place(state.range[1])})` });
    if (changes.confidence) drawConfidence(this.columns, changes.confidence);
    if ("keyframes" in changes || "views" in changes) this.showKeys(state);
  }

  showFrame() {
    this.frame.value = Math.round(this.state.frame ?? 0);
  }

  // Poses and views that were collected: a click shows one, the cross deletes it.
  showKeys({ keyframes, views }) {
    const chips = (name, kind, count) => count === 0 ? [] : [
      element("span", { className: "avatar-note", textContent: `${name}:` }),
      ...Array.from({ length: count }, (_, index) => element("span", { className: "avatar-chip" },
        element("button", { type: "button", textContent: String(index + 1), ariaLabel: `Show ${kind} ${index + 1}`,
          onclick: () => this.page.tell("show key", { kind, index }) }),
        element("button", { type: "button", textContent: "×", ariaLabel: `Delete ${kind} ${index + 1}`,
          onclick: () => this.page.tell("delete key", { kind, index }) }))),
      ...(count < 2 ? [] : [element("button", { type: "button", textContent: "▶ Preview", ariaLabel: `Preview the ${kind}s`,
        onclick: () => this.page.tell("preview", { kind }) })]),
    ];
    this.keys.replaceChildren(...chips("Keyframes", "keyframe", keyframes), ...chips("Camera path", "view", views));
    this.keys.style.display = keyframes + views > 0 ? "" : "none";
  }
}

// One column per entry, from 0 to 100: high and green is reliable, low and red is not; plain where nothing was estimated.
function drawConfidence(canvas, values) {
  canvas.width = Math.max(values.length, 1);
  canvas.height = 20;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  values.forEach((value, column) => {
    context.fillStyle = `hsl(${1.2 * value} 55% 52%)`;
    const height = Math.max(value / 5, 1);
    context.fillRect(column, 20 - height, 1, height);
  });
}
