// What is going on while an avatar is made: a bar with the time that is left, and an image until there are splats.

class ProgressBar {
  constructor(page) {
    this.image = element("img", { alt: "what is being worked on" });
    this.frame = element("div", { className: "avatar-working" }, this.image);
    this.title = element("strong");
    this.note = element("span", { className: "avatar-note" });
    this.bar = element("progress", { max: 1, ariaLabel: "Progress" });
    this.node = element("div", { className: "avatar-bar", role: "status" },
      element("div", { className: "avatar-row" }, this.title, element("span", { className: "avatar-space" }), this.note), this.bar);
    document.body.append(this.frame, this.node);
    const { canvas } = page.viser;
    const place = () => {
      const { left, top, width, height } = canvas.getBoundingClientRect();
      Object.assign(this.node.style, { left: `${left}px`, width: `${width}px`, bottom: "0" });
      Object.assign(this.frame.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`,
        height: `${height - this.node.offsetHeight}px` });
      document.body.style.setProperty("--avatar-bar-height", `${this.node.offsetHeight}px`);
    };
    const observer = new ResizeObserver(place);
    observer.observe(canvas);
    observer.observe(this.node);
    place();
  }

  show({ title, share, note, image }) {
    this.title.textContent = title;
    this.note.textContent = note;
    if (share === null) this.bar.removeAttribute("value");
    else this.bar.value = share;
    this.frame.style.display = image ? "" : "none";
    if (image && image !== this.image.src) this.image.src = image;
  }

  remove() {
    this.node.remove();
    this.frame.remove();
  }
}
