// A frame of the video and the avatar from the same camera, over the whole scene.

class Comparison {
  constructor(page) {
    this.page = page;
    this.source = element("img", { alt: "frame of the video" });
    this.avatar = element("img", { alt: "avatar" });
    this.slider = element("input", { type: "range", min: 0, max: 100, value: 50 });
    this.slider.addEventListener("input", () => this.place());
    this.images = element("div", { className: "avatar-compare-images" }, this.source, this.avatar,
      this.line = element("div", { className: "avatar-wipe" }));
    this.avatar.addEventListener("load", () => this.place());
    this.images.addEventListener("pointermove", (event) => event.buttons && this.follow(event));
    this.images.addEventListener("pointerdown", (event) => this.follow(event));
    this.images.addEventListener("dragstart", (event) => event.preventDefault());
    this.caption = element("span", { className: "avatar-note" });
    const close = () => page.tell("compare off");
    const row = element("div", { className: "avatar-row" }, this.caption, this.slider,
      element("button", { type: "button", textContent: "✕ Close", ariaLabel: "Close the comparison", onclick: close }));
    this.node = element("div", { className: "avatar-compare", role: "dialog", ariaLabel: "Comparison" }, this.images, row);
    this.node.style.display = "none";
    document.body.append(this.node);
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.mode !== "off" && close());
    const fit = () => {
      const { left, top, width, height } = page.viser.canvas.getBoundingClientRect();
      const bar = document.querySelector(".avatar-bar")?.offsetHeight ?? 0;
      Object.assign(this.node.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height - bar}px` });
    };
    const observer = new ResizeObserver(fit);
    observer.observe(page.viser.canvas);
    fit();
    this.fit = fit;
    this.mode = "off";
  }

  show({ mode, caption, source, avatar }) {
    this.mode = mode;
    this.node.style.display = mode === "off" ? "none" : "";
    if (mode === "off") return;
    this.fit();
    this.node.dataset.mode = mode;
    this.source.src = source;
    this.avatar.src = avatar;
    this.caption.textContent = caption;
    this.slider.ariaLabel = mode === "wipe" ? "Where the avatar begins" : "Opacity of the avatar";
    this.slider.style.visibility = mode === "wipe" || mode === "overlay" ? "" : "hidden";
    this.place();
  }

  follow(event) {
    if (this.mode !== "wipe") return;
    const { left, width } = this.avatar.getBoundingClientRect();
    this.slider.value = Math.min(Math.max((event.clientX - left) / width, 0), 1) * 100;
    this.place();
  }

  place() {
    const at = Number(this.slider.value);
    this.avatar.style.clipPath = this.mode === "wipe" ? `inset(0 0 0 ${at}%)` : "";
    this.line.style.left = `${this.avatar.offsetLeft + this.avatar.offsetWidth * at / 100}px`;
    this.avatar.style.opacity = this.mode === "overlay" ? String(at / 100) : "";
  }
}
