// The look of the player, as a style sheet for its shadow root.

export const STYLE = `
/* The avatar, and the controls around it. Sizes follow the element, not the window. */
:host { display: block; position: relative; aspect-ratio: 3 / 4; min-width: 80px; min-height: 80px; }
:host([hidden]) { display: none; }
#root { position: absolute; inset: 0; overflow: hidden; border-radius: inherit; container-type: size; color: rgb(var(--ink));
  user-select: none; -webkit-user-select: none; -webkit-text-size-adjust: 100%;
  font: 15px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  --ink: 30 28 26; --paper: 255 255 255; --accent: #c8432b; --on-accent: #fff; }
#root[data-background="white"] { --paper: 244 243 242; }
#root[data-dark="true"] { --ink: 240 238 235; --paper: 40 42 48; --accent: #ff8a66; --on-accent: #1c1410; }
#root[data-background="black"] { --paper: 34 34 36; }

* { box-sizing: border-box; }
canvas { position: absolute; inset: 0; width: 100%; height: 100%; display: block; outline: none; touch-action: none; cursor: grab; opacity: 0; transition: opacity .5s; }
canvas:active { cursor: grabbing; }
#root[data-state="ready"] canvas { opacity: 1; }
#root[data-ui="off"] :is(canvas, #poster) { transition: none; }

#ui { position: absolute; inset: 0; display: flex; flex-direction: column; justify-content: space-between; pointer-events: none; opacity: 0; transition: opacity .4s .2s;
  padding: max(14px, env(safe-area-inset-top)) max(16px, env(safe-area-inset-right)) max(12px, env(safe-area-inset-bottom)) max(16px, env(safe-area-inset-left)); }
#root[data-state="ready"] #ui { opacity: 1; }
/* Without controls there is only the canvas; a bar lacks the tools of a whole page. */
#root[data-ui="off"] #ui, #root[data-controls="off"] #ui { display: none; }
#root[data-controls="bar"] :is(#heading, #light, #background, #about, #add, #draw, .credits) { display: none; }
#root[data-controls="bar"] #head { justify-content: end; }
#root[data-camera="off"] canvas { cursor: default; pointer-events: none; }
#root[data-cooperative="true"] canvas { touch-action: pan-y; }
#poster { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; pointer-events: none; }
#root[data-state="ready"] #poster { display: none; }
#root[data-poster="true"] canvas { transition: none; }
#ui button, #ui input, #clips { pointer-events: auto; }

#head { position: relative; display: flex; justify-content: space-between; align-items: center; gap: 12px; }
#heading { margin: 0 0 0 6px; font-size: 17px; font-weight: 650; letter-spacing: -.01em; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
nav, .motions, .bar { background: rgb(var(--paper) / .66); backdrop-filter: blur(18px) saturate(1.4); -webkit-backdrop-filter: blur(18px) saturate(1.4); border-radius: 999px; box-shadow: 0 0 0 1px rgb(var(--ink) / .06), 0 6px 24px rgb(0 0 0 / .10); }
nav { display: flex; padding: 3px; }

button { appearance: none; border: 0; background: none; color: inherit; font: inherit; cursor: pointer; -webkit-tap-highlight-color: transparent; }
nav button, .bar button { width: 42px; height: 42px; flex: none; padding: 0; border-radius: 50%; display: grid; place-items: center; transition: background .15s, opacity .15s; }
@media (hover: hover) { nav button:hover, .bar button:hover, #clips button:hover, #add:hover, #draw:hover, #menu button:hover, #drawing .row button:hover { background: rgb(var(--ink) / .08); } }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
canvas:focus-visible { outline: none; }
button[aria-pressed="false"] { opacity: .4; }
svg { width: 21px; height: 21px; fill: none; stroke: currentColor; stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round; }
svg .solid { fill: currentColor; stroke: none; }

#foot { display: flex; flex-direction: column; align-items: center; gap: 10px; }
.motions { display: flex; align-items: center; gap: 4px; max-width: 100%; padding: 1px 4px 1px 1px; }
#heading, #foot .credits { text-shadow: 0 0 5px rgb(var(--paper)), 0 0 2px rgb(var(--paper)); }
#clips { display: flex; gap: 4px; min-width: 0; overflow-x: auto; scrollbar-width: none; padding: 3px; border-radius: 999px; }
#clips::-webkit-scrollbar { display: none; }
#clips::after { content: ""; flex: 0 0 var(--fade, 0px); }
#clips button { flex: none; padding: 7px 14px; border-radius: 999px; font-size: 14px; color: rgb(var(--ink) / .72); transition: background .15s, color .15s; }
#clips button[aria-checked="true"] { background: rgb(var(--ink) / .88); color: rgb(var(--paper)); font-weight: 550; }
#menu { position: absolute; right: 0; top: 54px; z-index: 1; display: grid; padding: 6px; border-radius: 16px; background: rgb(var(--paper) / .92); box-shadow: 0 0 0 1px rgb(var(--ink) / .06), 0 6px 24px rgb(0 0 0 / .18); }
#menu[hidden] { display: none; }
#menu button { padding: 9px 14px; border-radius: 10px; font-size: 14px; text-align: left; }
#menu button[hidden] { display: none; }
#menu button[aria-pressed="false"] { opacity: 1; }
#menu button[aria-pressed="true"] { background: rgb(var(--ink) / .1); font-weight: 600; }
#add svg { width: 17px; height: 17px; }

.bar { display: flex; align-items: center; width: min(640px, 100%); padding: 4px; gap: 2px; }
#play { width: 48px; height: 48px; background: var(--accent); color: var(--on-accent); }
@media (hover: hover) { .bar #play:hover { background: var(--accent); filter: brightness(1.08); } }
#play svg { width: 28px; height: 28px; }
#root[data-playing="true"] .on-paused, [data-playing="false"] .on-playing { display: none; }
.word { font-size: 14px; font-weight: 600; font-variant-numeric: tabular-nums; }
#time { font-size: 13px; font-variant-numeric: tabular-nums; color: rgb(var(--ink) / .7); min-width: 82px; text-align: center; white-space: nowrap; }

input[type="range"] { --done: 0%; appearance: none; -webkit-appearance: none; flex: 1; min-width: 40px; height: 42px; margin: 0 4px 0 12px; background: none; cursor: pointer; touch-action: none; }
input[type="range"]::-webkit-slider-runnable-track { height: 4px; border-radius: 2px; background: linear-gradient(to right, var(--accent) var(--done), rgb(var(--ink) / .16) var(--done)); }
input[type="range"]::-webkit-slider-thumb { -webkit-appearance: none; width: 16px; height: 16px; margin-top: -6px; border-radius: 50%; background: #fff; box-shadow: 0 0 0 1px rgb(0 0 0 / .08), 0 1px 5px rgb(0 0 0 / .35); }
input[type="range"]::-moz-range-track { height: 4px; border-radius: 2px; background: rgb(var(--ink) / .16); }
input[type="range"]::-moz-range-progress { height: 4px; border-radius: 2px; background: var(--accent); }
input[type="range"]::-moz-range-thumb { width: 16px; height: 16px; border: 0; border-radius: 50%; background: #fff; box-shadow: 0 1px 5px rgb(0 0 0 / .35); }

#add, #draw { flex: none; width: 36px; height: 36px; padding: 0; border-radius: 50%; display: grid; place-items: center; }
#draw svg { width: 20px; height: 20px; }
#root[data-drawing="on"] #draw { background: rgb(var(--ink) / .12); }

#drawing { position: absolute; left: max(16px, env(safe-area-inset-left)); top: 72px; bottom: 168px; width: min(380px, 40vw); display: flex; flex-direction: column; gap: 8px; padding: 10px; border-radius: 22px; pointer-events: auto; background: rgb(var(--paper) / .8); backdrop-filter: blur(18px); -webkit-backdrop-filter: blur(18px); box-shadow: 0 0 0 1px rgb(var(--ink) / .06), 0 6px 24px rgb(0 0 0 / .10); }
#drawing[hidden] { display: none; }
#sheet { flex: 1; min-height: 0; width: 100%; height: auto; border-radius: 14px; background: rgb(var(--ink) / .04); touch-action: none; }
#sheet line { stroke: rgb(var(--ink) / .75); stroke-width: calc(var(--unit) * .7px); stroke-linecap: round; }
#sheet circle { r: calc(var(--unit) * 1.3px); fill: rgb(var(--ink)); stroke: transparent; stroke-width: calc(var(--unit) * 2px); cursor: grab; outline: none; }
#sheet circle.left { fill: #2463eb; }
#sheet circle.right { fill: var(--accent); }
#sheet circle:active { cursor: grabbing; }
#sheet circle:focus-visible { stroke: rgb(var(--ink) / .35); }
#drawing .row { display: flex; flex-wrap: wrap; gap: 2px; align-items: center; }
#drawing .row button { padding: 6px 7px; border-radius: 999px; font-size: 13px; font-weight: 600; }
#depths { display: flex; flex: 1; }
#depths button[aria-checked="true"] { background: rgb(var(--ink) / .88); color: rgb(var(--paper)); }

.credits { margin: 0; font-size: 11.5px; color: rgb(var(--ink) / .74); text-align: center; }

#drop { position: absolute; inset: 12px; border-radius: 22px; border: 2px dashed var(--accent); background: rgb(var(--paper) / .55); display: grid; place-items: center; font-size: 20px; opacity: 0; pointer-events: none; transition: opacity .15s; }
#root[data-dragging="true"] #drop { opacity: 1; }
/* Over the legs: a sentence must not hide the face. */
#message { position: absolute; left: 50%; bottom: 168px; transform: translateX(-50%); margin: 0; width: max-content; max-width: min(520px, calc(100% - 32px)); padding: 10px 18px; border-radius: 14px; background: rgb(var(--ink) / .9); color: rgb(var(--paper)); font-size: 14px; opacity: 0; pointer-events: none; transition: opacity .25s; }
#message.shown, #root[data-state="failed"] #message { opacity: 1; }
#root[data-state="failed"] #message { bottom: 45%; font-size: 16px; text-align: center; }

dialog { border: 0; border-radius: 22px; padding: 24px 28px; max-width: min(440px, calc(100% - 32px)); color: rgb(var(--ink)); background: rgb(var(--paper)); box-shadow: 0 20px 60px rgb(0 0 0 / .3); }
dialog::backdrop { background: rgb(0 0 0 / .35); }
dialog h2 { margin: 0 0 6px; font-size: 20px; letter-spacing: -.01em; }
dialog ul { list-style: none; margin: 16px 0; padding: 0; display: grid; gap: 7px; font-size: 14px; }
dialog li { display: grid; grid-template-columns: 112px 1fr; }
dialog form { margin-top: 14px; text-align: right; }
dialog .word { padding: 8px 18px; border-radius: 999px; background: rgb(var(--ink) / .08); }
dialog .credits { text-align: left; }
@media (hover: none) { .keys { display: none; } }

@container (max-width: 560px) {
  /* The sheet above, the avatar below it. */
  #drawing { left: 8px; right: 8px; width: auto; top: 64px; bottom: 52%; }
  .bar { gap: 0; }
  #time { min-width: 48px; }
  #time .total { display: none; }
  #foot .credits { font-size: 10.5px; }
  .motions { width: 100%; }
  /* Fades where more motions can be scrolled to. */
  #clips { --fade: 28px; flex: 1; mask-image: linear-gradient(to right, #000 calc(100% - 32px), transparent); -webkit-mask-image: linear-gradient(to right, #000 calc(100% - 32px), transparent); }
}
/* A phone on its side: all controls in one row. */
@container (max-height: 480px) and (min-width: 561px) {
  #foot { flex-direction: row; gap: 12px; }
  .motions { flex: 1 1 40%; min-width: 0; }
  .bar { flex: 1 1 60%; width: auto; }
  #foot .credits { display: none; }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
`;
