// A page that holds its avatar and follows the camera.

import "../page.js";
import { Mirror } from "./mirror.js";

function openMirror() {
  const host = document.querySelector("avatar-player");
  host.addEventListener("load", () => {
    const words = JSON.parse(document.getElementById("mirror-words").textContent);
    window.mirror?.close(); // another avatar was shown before
    window.mirror = new Mirror(host, words); // for the console and for tests
  });
}

openMirror();
