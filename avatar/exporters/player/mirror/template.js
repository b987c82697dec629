// The elements of the mirror, and their look.

export const MIRROR_TEMPLATE = `
<section id="mirror" aria-label="Mirror">
  <button id="mirror-start" class="word" title="The avatar follows your camera. Nothing leaves this page. (M)">
    <svg viewBox="0 0 24 24" aria-hidden="true"><rect x="3" y="7" width="12" height="10" rx="2.5"/><path d="m15 11 5.5-3v8L15 13"/></svg>
    <span id="mirror-label">Mirror me</span>
  </button>
  <div id="mirror-tools" hidden>
    <button id="mirror-record" class="word" aria-pressed="false" title="Record the motion (E)"><i></i><span id="mirror-seconds">Record</span></button>
    <button id="mirror-save" class="word" title="The recording as a file for avatar animate" hidden>Save</button>
    <button id="mirror-flip" class="word" aria-pressed="true" title="As in a mirror, or as others see you">Flip</button>
    <button id="mirror-camera" class="word" title="The next camera" hidden>Camera</button>
    <button id="mirror-stop" class="word" title="Back to the motions (M)">Stop</button>
  </div>
  <figure id="mirror-image" hidden>
    <video id="mirror-video" muted playsinline aria-label="Your camera"></video>
    <figcaption id="mirror-hint" role="status"></figcaption>
  </figure>
</section>`;

export const MIRROR_HELP = "<li><b>Mirror</b> press Mirror me, or M: the avatar follows your camera; E records</li>";

export const MIRROR_STYLE = `
#mirror { display: contents; }
#mirror-start { display: inline-flex; align-items: center; gap: 8px; padding: 9px 18px; border-radius: 999px; background: var(--accent); color: var(--on-accent, #fff); box-shadow: 0 6px 24px rgb(0 0 0 / .15); }
#mirror-start[aria-busy="true"] { cursor: progress; }
#mirror-tools { display: flex; gap: 2px; padding: 3px; border-radius: 999px; background: rgb(var(--paper) / .8); backdrop-filter: blur(18px); -webkit-backdrop-filter: blur(18px); box-shadow: 0 0 0 1px rgb(var(--ink) / .06), 0 6px 24px rgb(0 0 0 / .10); }
#mirror-tools button { display: inline-flex; align-items: center; gap: 7px; padding: 8px 14px; border-radius: 999px; }
#mirror-start[hidden], #mirror-tools[hidden], #mirror-tools button[hidden] { display: none; }
@media (hover: hover) { #mirror-tools button:hover { background: rgb(var(--ink) / .08); } }
#mirror-flip[aria-pressed="true"] { background: rgb(var(--ink) / .12); }
#mirror-tools button[aria-pressed="false"] { opacity: 1; }
#mirror-record i { width: 11px; height: 11px; border-radius: 50%; background: #d92d20; }
#mirror-record[aria-pressed="true"], #mirror-tools #mirror-record[aria-pressed="true"]:hover { background: #d92d20; color: #fff; font-variant-numeric: tabular-nums; }
#mirror-record[aria-pressed="true"] i { border-radius: 2px; background: #fff; }
#mirror-image { position: absolute; left: max(16px, env(safe-area-inset-left)); top: 72px; width: 148px; margin: 0; border-radius: 16px; overflow: hidden; background: #000; box-shadow: 0 6px 24px rgb(0 0 0 / .2); }
#mirror-image[hidden] { display: none; }
#mirror-video { display: block; width: 100%; }
#mirror-video.flipped { transform: scaleX(-1); }
#mirror-hint { position: absolute; inset: auto 0 0; padding: 5px 9px; font-size: 12px; line-height: 1.3; color: #fff; background: rgb(0 0 0 / .65); }
#mirror-hint:empty { display: none; }
@container (max-width: 560px) { #mirror-image { top: 64px; width: 96px; } }
@container (max-height: 480px) and (min-width: 561px) { #mirror-image { width: 84px; } }
`;
