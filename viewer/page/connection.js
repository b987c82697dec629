// A sentence while the server cannot be reached. viser retries every second, but only in a page that has the focus.

const GONE = "The viewer has stopped or cannot be reached. Start it again with avatar view RUN: this page reconnects by itself.";

// Returns the node that holds the sentence.
function watchConnection(viser) {
  const banner = element("div", { className: "avatar-banner", role: "alert", hidden: true });
  const text = element("span", { textContent: GONE });
  banner.append(
    text,
    element("button", { type: "button", textContent: "Reload", onclick: () => location.reload() }),
  );
  document.body.append(banner);
  document.hasFocus = () => true;
  // viser replaces this function when the connection opens and when it closes.
  let send = viser.sendMessage;
  const connected = () => !String(send).includes("not connected");
  const show = () => {
    banner.style.display = connected() ? "none" : "flex";
    document.body.classList.toggle("avatar-offline", !connected());
  };
  Object.defineProperty(viser, "sendMessage", {
    configurable: true,
    get: () => send,
    set: (next) => {
      send = next;
      show();
      if (!connected()) setTimeout(() => window.dispatchEvent(new Event("focus")), 200);
    },
  });
  show();
  return text;
}
