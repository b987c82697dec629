// Buttons, keys, files dropped on the page, and what they show.

function bindControls(player) {
  const { page, camera } = player;
  const element = (id) => document.getElementById(id);
  const actions = {
    play: () => {
      const atEnd = !player.state.playing && player.state.time >= clipDuration(player.clip);
      player.set({ playing: !player.state.playing, ...(atEnd ? { time: 0 } : {}) });
    },
    speed: () => {
      player.set({ speed: SPEEDS[(SPEEDS.indexOf(player.state.speed) + 1) % SPEEDS.length] });
    },
    loop: () => player.set({ loop: !player.state.loop }),
    light: () => player.set({ lit: !player.state.lit }),
    home: () => {
      camera.fixedDistance = undefined;
      camera.reset();
    },
    background: () => {
      document.body.style.background = "";
      page.dataset.background = BACKGROUNDS[(BACKGROUNDS.indexOf(page.dataset.background) + 1) % BACKGROUNDS.length];
    },
    about: () => element("info").showModal(),
    add: () => element("file").click(),
  };
  for (const [id, act] of Object.entries(actions)) element(id).addEventListener("click", act);
  player.drawing = bindDrawing(player);
  const stepFrames = (count) => () => player.set({ playing: false, time: player.state.time + count / player.clip.fps });
  const keys = {
    " ": actions.play, ".": stepFrames(1), ",": stepFrames(-1), s: actions.speed, l: actions.loop,
    b: actions.background, t: actions.light, r: actions.home,
    d: () => player.drawing.open(!player.drawing.isOpen),
  };
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || element("info").open) return;
    // A focused button is pressed by the space bar already.
    if (event.key === " " && event.target instanceof HTMLButtonElement) return;
    const act = keys[event.key.toLowerCase()];
    if (act) {
      event.preventDefault();
      act();
    }
  });
  element("scrub").addEventListener("input", (event) => {
    player.set({ playing: false, time: Number(event.target.value) * clipDuration(player.clip) });
  });
  element("file").addEventListener("change", (event) => {
    for (const file of event.target.files) player.openFile(file);
    event.target.value = "";
  });
  element("info").addEventListener("click", (event) => {
    if (event.target === element("info")) element("info").close();
  });
  bindDrop(player);
  window.addEventListener("resize", () => player.set({}));
}

function bindDrop(player) {
  const { page } = player;
  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    page.dataset.dragging = "true";
  });
  window.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) page.dataset.dragging = "false";
  });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    page.dataset.dragging = "false";
    for (const file of event.dataTransfer.files) player.openFile(file);
  });
}

function updateControls(player) {
  const { state, page, clip } = player;
  const duration = clipDuration(clip);
  const done = duration ? state.time / duration : 0;
  page.dataset.playing = state.playing;
  const scrub = document.getElementById("scrub");
  scrub.value = done;
  scrub.style.setProperty("--done", `${100 * done}%`);
  document.getElementById("time").innerHTML =
    `${state.time.toFixed(1)}<span class="total"> / ${duration.toFixed(1)}</span> s`;
  document.getElementById("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
  document.getElementById("speed").textContent = `${state.speed}×`.replace("0.", ".");
  document.getElementById("loop").setAttribute("aria-pressed", state.loop);
  document.getElementById("light").setAttribute("aria-pressed", state.lit);
  const list = document.getElementById("clips");
  if (list.children.length !== player.clips.length) listClips(player, list);
  [...list.children].forEach((chip, i) => chip.setAttribute("aria-checked", i === state.clip));
}

function listClips(player, list) {
  const chips = player.clips.map(({ name }, i) => {
    const chip = document.createElement("button");
    chip.setAttribute("role", "radio");
    chip.textContent = name;
    chip.addEventListener("click", () => player.set({ clip: i }));
    return chip;
  });
  list.replaceChildren(...chips);
  chips[player.state.clip].scrollIntoView({ block: "nearest", inline: "center" });
}

let messageTimer;

// One sentence for the user, for as long as it takes to read it.
function showMessage(text) {
  const message = document.getElementById("message");
  message.textContent = text;
  message.classList.toggle("shown", Boolean(text));
  clearTimeout(messageTimer);
  messageTimer = setTimeout(() => message.classList.remove("shown"), 7000);
}
