"""Every format of splats in Spark, in Chromium: upright and facing the viewer, without an option.

Needs `npm install three @sparkjsdev/spark` in some folder, and NODE_PATH=FOLDER/node_modules.
"""

import base64
import io
import os
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

MODULES = next(
    (folder for folder in map(Path, filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep)))
     if (folder / "@sparkjsdev/spark").is_dir() and (folder / "three").is_dir()), None,
)  # fmt: skip
pytestmark = [
    needs_browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(MODULES is None, reason="needs three and @sparkjsdev/spark in NODE_PATH"),
]
SIZE, FOV, AWAY, HEIGHT = 160, 35.0, 3.6, 0.95
PAGE = f"""<!doctype html><script type="importmap">{{"imports": {{"three": "/modules/three/build/three.module.js",
"three/addons/": "/modules/three/examples/jsm/",
"@sparkjsdev/spark": "/modules/@sparkjsdev/spark/dist/spark.module.js"}}}}</script><script type="module">
import * as THREE from "three"; import {{SparkRenderer, SplatMesh}} from "@sparkjsdev/spark";
from tests.browser import needs_browser
from tests.exporters.pages import served
const renderer = new THREE.WebGLRenderer({{preserveDrawingBuffer: true}}), scene = new THREE.Scene();
renderer.setSize({SIZE}, {SIZE}); scene.background = new THREE.Color(0xffffff);
const camera = new THREE.PerspectiveCamera({FOV}, 1, 0.1, 20); camera.position.set(0, {HEIGHT}, {AWAY});
scene.add(new SparkRenderer({{renderer}}));
let mesh;
window.open_file = async (url) => {{ if (mesh) scene.remove(mesh);
  mesh = new SplatMesh({{url}}); await mesh.initialized; scene.add(mesh); }};
window.image = () => {{ renderer.render(scene, camera); return renderer.domElement.toDataURL("image/png"); }};
</script>"""


@pytest.fixture(scope="module")
def posed(person: Avatar, moves: dict[str, BodyTrack]) -> Gaussians:
    return person.pose(moves["wave"].poses[6]).detach()


@pytest.fixture(scope="module")
def site(posed: Gaussians, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spark")
    (folder / "index.html").write_text(PAGE, encoding="utf-8")
    assert MODULES is not None
    (folder / "modules").symlink_to(MODULES)
    return folder


@pytest.fixture(scope="module")
def page(browser: Browser, site: Path) -> Iterator[Page]:
    with served(site) as address:
        tab = browser.new_page(viewport={"width": SIZE, "height": SIZE})
        tab.set_default_timeout(120_000)
        tab.goto(f"{address}/index.html")
        tab.wait_for_function("window.image")
        yield tab
        tab.close()


def ours(gaussians: Gaussians) -> np.ndarray:
    eye = torch.tensor([[0.0, HEIGHT, AWAY]])
    camera = Cameras(intrinsics(SIZE, SIZE, FOV)[None], look_at(eye, torch.tensor([[0.0, HEIGHT, 0.0]])), SIZE, SIZE)
    return render(gaussians, camera).on_white()[0].numpy()


@pytest.mark.parametrize("kind", ["ply", "compressed.ply", "splat", "sog", "spz", "ksplat"])
def test_a_file_opens_as_the_person_stands(page: Page, posed: Gaussians, site: Path, kind: str) -> None:
    path = site / f"me.{kind}"
    (write_ply if kind == "ply" else write_packed)(posed, path)
    page.evaluate("url => open_file(url)", f"/me.{kind}")
    truth = ours(posed)
    wrong = [np.abs(truth - other).mean() for other in (truth[::-1], truth[:, ::-1])]  # upside down, mirrored

    def difference() -> float:
        content = base64.b64decode(page.evaluate("image()").split(",")[1])
        return float(np.abs(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) / 255 - truth).mean())

    for _ in range(60):  # splats are sorted and drawn some frames later
        if difference() < min(wrong) / 3:
            break
        page.wait_for_timeout(200)
    assert difference() < min(wrong) / 3
