// The elements of the player: canvas, controls, and what appears over them.

const icon = (drawing) => `<svg viewBox="0 0 24 24" aria-hidden="true">${drawing}</svg>`;
const ICONS = {
  light: icon('<circle cx="12" cy="12" r="4"/><path d="M12 3v2m0 14v2M3 12h2m14 0h2M5.6 5.6 7 7m10 10 1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4"/>'),
  background: icon('<circle cx="12" cy="12" r="8"/><path class="solid" d="M12 4a8 8 0 0 1 0 16z"/>'),
  home: icon('<path d="M4.5 12a7.5 7.5 0 1 0 2.3-5.4L4 9.2M4 4.5v4.7h4.7"/>'),
  about: icon('<circle cx="12" cy="12" r="8.5"/><path d="M12 11v5m0-8.2v.1"/>'),
  add: icon('<path d="M12 5.5v13M5.5 12h13"/>'),
  draw: icon('<circle cx="12" cy="5" r="2"/><path d="M12 7v7m0 0-3.5 6m3.5-6 3.5 6M5.5 10.5 12 9l6.5-2.5"/>'),
  play: icon('<path class="solid on-paused" d="M8 5.5v13l10.5-6.5z"/><path class="solid on-playing" d="M7 5.5h3.6v13H7zM13.4 5.5H17v13h-3.6z"/>'),
  loop: icon('<path d="M17 3.5 20 6.5l-3 3M20 6.5H9a5 5 0 0 0-5 5M7 20.5 4 17.5l3-3M4 17.5h11a5 5 0 0 0 5-5"/>'),
  more: icon('<circle class="solid" cx="5.5" cy="12" r="1.6"/><circle class="solid" cx="12" cy="12" r="1.6"/><circle class="solid" cx="18.5" cy="12" r="1.6"/>'),
};

export const TEMPLATE = `
<div id="root" data-state="empty" data-playing="false">
  <canvas id="stage" tabindex="0" role="img" aria-label="The avatar"></canvas>
  <img id="poster" part="poster" alt="" hidden>

  <div id="ui">
    <div id="head">
      <div id="heading" role="heading" aria-level="2"></div>
      <nav aria-label="View">
        <button id="light" aria-label="Light" title="Light (T)">${ICONS.light}</button>
        <button id="background" aria-label="Background" title="Background (B)">${ICONS.background}</button>
        <button id="home" aria-label="Reset the view" title="Reset the view (R)">${ICONS.home}</button>
        <button id="more" aria-label="More" title="More" aria-expanded="false" aria-controls="menu">${ICONS.more}</button>
        <button id="about" aria-label="About and credits" title="About">${ICONS.about}</button>
      </nav>
      <div id="menu" hidden>
        <button id="rotate" aria-pressed="false">Turn slowly</button>
        <button id="fullscreen" hidden>Full screen</button>
        <button id="share">Copy a link to this view</button>
        <button id="screenshot">Save an image</button>
        <button id="record" aria-pressed="false" hidden>Record a video</button>
        <button id="immersive" hidden>Show in VR</button>
      </div>
    </div>

    <section id="drawing" aria-label="Draw a pose" hidden>
      <svg id="sheet"><image id="underlay" width="100%" height="100%"/></svg>
      <div class="row">
        <div id="depths" role="radiogroup" aria-label="Depth" title="Poses that fit the same drawing, the likeliest first"></div>
        <button id="load-image" class="word" title="An image to draw over">Image</button>
        <button id="at-ease" class="word" title="Figure at ease">Reset</button>
        <button id="save-points" class="word" title="Points for avatar animate --pose (.json)">Save</button>
        <button id="stop-drawing" class="word" aria-label="Close the drawing">Close</button>
      </div>
    </section>

    <div id="foot">
      <div class="motions">
        <div id="clips" role="radiogroup" aria-label="Motion"></div>
        <button id="add" aria-label="Add a motion: BVH, GLB, npz or JSON" title="Add a motion: BVH, GLB, npz or JSON">${ICONS.add}</button>
        <button id="draw" aria-label="Draw a pose" title="Draw a pose (D)">${ICONS.draw}</button>
      </div>
      <div class="bar">
        <button id="play" aria-label="Play" title="Play or pause (space)">${ICONS.play}</button>
        <input id="scrub" type="range" min="0" max="1" step="any" value="0" aria-label="Time">
        <span id="time"><span id="now">0.0</span><span class="total"> / <span id="whole">0.0</span></span> s</span>
        <button id="speed" class="word" aria-label="Speed 1×" title="Speed (S)">1×</button>
        <button id="loop" aria-pressed="true" aria-label="Loop" title="Loop (L)">${ICONS.loop}</button>
      </div>
      <p class="credits"></p>
    </div>
  </div>

  <div id="drop"><p>Drop a motion: <b>BVH, GLB, npz</b> or <b>JSON</b></p></div>
  <p id="message" role="status"></p>
  <input id="file" type="file" accept=".bvh,.json,.npz,.glb,.gltf,.vrm,.vrma" aria-label="Motion file" hidden>
  <input id="image" type="file" accept="image/*" aria-label="Image to draw over" hidden>
  <dialog id="info" aria-labelledby="info-heading">
    <h2 id="info-heading"></h2>
    <p id="info-text"></p>
    <ul>
      <li><b>Turn</b> drag with one finger or the left button, or press the arrow keys</li>
      <li><b>Zoom</b> pinch or scroll, or press + and -</li>
      <li><b>Move</b> two fingers, or the right button</li>
      <li><b>New motion</b> drop a BVH, GLB, npz or motion JSON on the page, or press +</li>
      <li><b>New pose</b> press the figure beside +: drag its points over an image of your own</li>
      <li class="keys"><b>Keys</b> space play, . and , one frame, S speed, L loop, B background, T light, R view, D draw, F full screen</li>
    </ul>
    <p class="credits"></p>
    <form method="dialog"><button class="word">Close</button></form>
  </dialog>
</div>`;
