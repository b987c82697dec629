// Tabs, the slider between source and avatar, and columns to sort by.
for (const tab of document.querySelectorAll("nav button")) {
  tab.onclick = () => {
    for (const other of document.querySelectorAll("nav button")) {
      other.setAttribute("aria-selected", String(other === tab));
      document.getElementById(other.dataset.tab).hidden = other !== tab;
    }
  };
}
document.querySelector("nav button")?.click();
const pair = document.querySelector(".pair");
if (pair) {
  const slider = document.getElementById("wipe");
  const wipe = (percent) => {
    slider.value = percent;
    pair.style.setProperty("--at", `${percent}%`);
  };
  slider.oninput = () => wipe(slider.value);
  const drag = (event) => {
    const { left, width } = pair.getBoundingClientRect();
    if (event.buttons) wipe(Math.min(Math.max((event.clientX - left) / width, 0), 1) * 100);
  };
  pair.addEventListener("pointerdown", drag);
  pair.addEventListener("pointermove", drag);
  pair.addEventListener("dragstart", (event) => event.preventDefault());
  for (const choice of document.querySelectorAll(".frames button")) {
    choice.onclick = () => {
      const [source, avatar] = choice.querySelectorAll("img");
      [pair.children[0].src, pair.children[1].src] = [source.src, avatar.src];
      for (const other of document.querySelectorAll(".frames button")) other.setAttribute("aria-pressed", String(other === choice));
    };
  }
}
for (const button of document.querySelectorAll("th button")) {
  button.onclick = () => {
    const column = button.closest("th").cellIndex, body = button.closest("table").tBodies[0];
    const key = (row) => row.cells[column]?.dataset.key ?? row.cells[column]?.textContent ?? "";
    const rows = Array.from(body.rows).sort((a, b) => key(a).localeCompare(key(b), undefined, { numeric: true }));
    const descending = button.dataset.order === "up";
    button.dataset.order = descending ? "down" : "up";
    body.append(...(descending ? rows.reverse() : rows));
  };
}
