"""Every format of splats in other viewers, in Chromium: upright and facing the viewer, without an option."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Page

from avatar.exporters.splats import write_packed, write_ply
from avatar.model.avatar import Avatar
from avatar.rendering.camera_paths import intrinsics, look_at
from avatar.rendering.renderer import render
from avatar.types import BodyTrack, Cameras, Gaussians
from tests.browser import needs_browser
from tests.exporters.pages import served
from tests.node_packages import node_modules

pytestmark = [needs_browser, pytest.mark.timeout(300)]
SIZE, FOV, AWAY, HEIGHT = 160, 35.0, 3.6, 0.95
SPARK = f"""<!doctype html><script type="importmap">{{"imports": {{"three": "/modules/three/build/three.module.js",
"three/addons/": "/modules/three/examples/jsm/",
"@sparkjsdev/spark": "/modules/@sparkjsdev/spark/dist/spark.module.js"}}}}</script><script type="module">
import * as THREE from "three"; import {{SparkRenderer, SplatMesh}} from "@sparkjsdev/spark";
const renderer = new THREE.WebGLRenderer({{preserveDrawingBuffer: true}}), scene = new THREE.Scene();
renderer.setSize({SIZE}, {SIZE}); scene.background = new THREE.Color(0xffffff);
const camera = new THREE.PerspectiveCamera({FOV}, 1, 0.1, 20); camera.position.set(0, {HEIGHT}, {AWAY});
scene.add(new SparkRenderer({{renderer}}));
let mesh;
window.open_file = async (url) => {{ if (mesh) scene.remove(mesh);
  mesh = new SplatMesh({{url}}); await mesh.initialized; scene.add(mesh); }};
window.image = () => {{ renderer.render(scene, camera); return renderer.domElement.toDataURL("image/png"); }};
</script>"""
PLAYCANVAS = f"""<!doctype html><link rel="icon" href="data:,"><canvas width="{SIZE}" height="{SIZE}"></canvas>
<script type="importmap">{{"imports": {{"playcanvas": "/modules/playcanvas/build/playcanvas.mjs"}}}}</script>
<script type="module">
import * as pc from "playcanvas";
const canvas = document.querySelector("canvas");
const app = new pc.Application(canvas, {{graphicsDeviceOptions: {{preserveDrawingBuffer: true, antialias: false}}}});
app.setCanvasFillMode(pc.FILLMODE_NONE, {SIZE}, {SIZE});
app.start();
const camera = new pc.Entity();
camera.addComponent("camera", {{clearColor: new pc.Color(1, 1, 1), fov: {FOV}, nearClip: 0.1, farClip: 20}});
camera.setPosition(0, {HEIGHT}, {AWAY});
app.root.addChild(camera);
let entity;
window.open_file = (url) => new Promise((resolve, reject) => {{
  entity?.destroy();
  const asset = new pc.Asset(url, "gsplat", {{url}});
  asset.on("error", reject);
  asset.ready(() => {{
    entity = new pc.Entity();
    entity.addComponent("gsplat", {{asset}});
    app.root.addChild(entity);
    resolve();
  }});
  app.assets.add(asset);
  app.assets.load(asset);
}});
window.image = () => canvas.toDataURL("image/png");
</script>"""
# The page of each viewer, its packages, and the formats that it reads.
VIEWERS = {
    "spark": (
        SPARK, ("three@0.187.0", "@sparkjsdev/spark@2.2.0"), ("ply", "compressed.ply", "splat", "sog", "spz", "ksplat"),
    ),
    "playcanvas": (PLAYCANVAS, ("playcanvas@2.23.3",), ("ply", "compressed.ply", "sog")),
}  # fmt: skip


@pytest.fixture(scope="module")
def posed(person: Avatar, moves: dict[str, BodyTrack]) -> Gaussians:
    return person.pose(moves["wave"].poses[6]).detach()


@pytest.fixture(scope="module", params=VIEWERS)
def viewer(
    browser: Browser, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Page, Path, tuple[str, ...]]]:
    """The viewer's tab, the folder that it reads, and its formats."""
    content, packages, kinds = VIEWERS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "index.html").write_text(content, encoding="utf-8")
    (folder / "modules").symlink_to(node_modules(tmp_path_factory.mktemp("packages"), *packages))
    with served(folder) as address:
        tab = browser.new_page(viewport={"width": SIZE, "height": SIZE})
        tab.set_default_timeout(120_000)
        tab.goto(f"{address}/index.html")
        tab.wait_for_function("window.image")
        yield tab, folder, kinds
        tab.close()


def ours(gaussians: Gaussians) -> np.ndarray:
    eye = torch.tensor([[0.0, HEIGHT, AWAY]])
    camera = Cameras(intrinsics(SIZE, SIZE, FOV)[None], look_at(eye, torch.tensor([[0.0, HEIGHT, 0.0]])), SIZE, SIZE)
    return render(gaussians, camera).on_white()[0].numpy()


def test_files_open_as_the_person_stands(viewer: tuple[Page, Path, tuple[str, ...]], posed: Gaussians) -> None:
    page, folder, kinds = viewer
    truth = ours(posed)
    wrong = [np.abs(truth - other).mean() for other in (truth[::-1], truth[:, ::-1])]  # upside down, mirrored
    for kind in kinds:
        path = folder / f"me.{kind}"
        (write_ply if kind == "ply" else write_packed)(posed, path)
        page.evaluate("url => open_file(url)", f"/me.{kind}")

        def difference() -> float:
            content = base64.b64decode(page.evaluate("image()").split(",")[1])
            return float(np.abs(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) / 255 - truth).mean())

        for _ in range(60):  # splats are sorted and drawn some frames later
            if difference() < min(wrong) / 3:
                break
            page.wait_for_timeout(200)
        assert difference() < min(wrong) / 3, kind
