// A page that holds its avatar itself: nothing is loaded.

import "./avatar_player.js";

async function openPage() {
  const element = document.querySelector("avatar-player");
  const page = document.documentElement;
  element.view = location.search;
  try {
    const text = document.getElementById("avatar").textContent.trim();
    await element.load(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)));
    window.player = element.player; // for the console and for tests
    window.controls = element.controls;
    page.dataset.state = "ready";
  } catch {
    page.dataset.state = "failed"; // the element says why
  }
}

openPage();
