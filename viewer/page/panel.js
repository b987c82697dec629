// viser's panel: its labels belong to their fields, and on a phone it is a drawer.

function tendPanel() {
  const button = element("button", {
    type: "button", className: "avatar-drawer-button", textContent: "☰ Controls", ariaExpanded: "false",
    onclick: () => setDrawer(!document.body.classList.contains("avatar-drawer-open")),
  });
  const setDrawer = (open) => {
    document.body.classList.toggle("avatar-drawer-open", open);
    button.ariaExpanded = String(open);
    button.textContent = open ? "✕ Close" : "☰ Controls";
  };
  document.body.append(button);
  document.addEventListener("keydown", (event) => event.key === "Escape" && setDrawer(false));
  const tend = () => {
    bindLabels();
    nameIcons();
    markPanel();
  };
  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      tend();
    });
  }).observe(document.body, { childList: true, subtree: true });
  tend();
}

const ICON_NAMES = { "list-search": "All commands", adjustments: "Settings of the viewer", "color-picker": "Pick a colour from the screen" };

// viser's buttons that have an icon alone.
function nameIcons() {
  for (const [icon, name] of Object.entries(ICON_NAMES)) {
    for (const image of document.querySelectorAll(`button:not([aria-label]) .tabler-icon-${icon}`)) {
      image.closest("button").setAttribute("aria-label", name);
    }
  }
}

// viser's labels point to a slider's track, or to nothing: its fields get their names here.
function bindLabels() {
  for (const label of document.querySelectorAll("label[for]")) {
    const name = label.textContent;
    for (const field of label.parentElement.parentElement.parentElement.querySelectorAll("input, [role=slider], textarea")) {
      if (field.type !== "hidden" && field.getAttribute("aria-label") !== name && field.id !== label.htmlFor) {
        field.setAttribute("aria-label", name);
      }
    }
  }
}

// The fixed sheet that viser shows on narrow screens, which has no name of its own.
function markPanel() {
  const tabs = document.querySelector(".mantine-Tabs-root");
  for (let node = tabs; node && node !== document.body; node = node.parentElement) {
    if (node.style.position === "fixed" && node.style.zIndex === "10") node.classList.add("avatar-panel");
  }
}
