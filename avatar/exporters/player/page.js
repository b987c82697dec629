// A page that holds its avatar itself: nothing is loaded.

import "./avatar_player.js";
import { loadModel } from "./model.js";

function contentOf(script) {
  return Uint8Array.from(atob(script.textContent.trim()), (character) => character.charCodeAt(0));
}

async function openPage() {
  const element = document.querySelector("avatar-player");
  const page = document.documentElement;
  element.view = location.search;
  try {
    await element.load(contentOf(document.getElementById("avatar")));
    for (const other of document.querySelectorAll("script.companion")) element.player.join(await loadModel(contentOf(other)));
    window.player = element.player; // for the console and for tests
    window.controls = element.controls;
    page.dataset.state = "ready";
  } catch {
    page.dataset.state = "failed"; // the element says why
  }
}

openPage();
