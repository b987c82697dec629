"""The page that follows a camera: the fit to landmarks, the recording, and MediaPipe's network in a real browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page

from avatar.body.skinning import joint_transforms
from avatar.exporters.html import PageOptions, write_page
from avatar.exporters.mirror import BLOCKS
from avatar.geometry import quat_from_rotation
from avatar.io.assets import asset_path
from avatar.io.videos import open_video
from avatar.landmark_layouts import LAYOUTS
from avatar.metrics.poses import pa_mpjpe
from avatar.model.avatar import Avatar
from avatar.motion import load_motion
from avatar.tracking.landmarks import landmark_points
from avatar.types import BodyTrack
from tests.browser import CHROMIUM, FLAGS, needs_browser
from tests.exporters.pages import open_page, until

pytestmark = [needs_browser, pytest.mark.timeout(180)]
PITCH, CAMERA_HEIGHT, DISTANCE, FOCAL = 0.15, 1.4, 3.0, 883.2  # the focal length that the page assumes
WIDTH, HEIGHT, FPS = 540, 960, 24.0
PATIENCE = 90.0
# A perfect detector has none of the biases that the page corrects in MediaPipe's.
FOLLOW = """([frames, width, height]) => {
  const words = structuredClone(mirror.words);
  for (const bone of words.bones) bone.fill(0, 2);
  for (const landmark of words.landmarks) landmark[3] = 0;
  const follower = new MirrorFollower(player.skeleton, words);
  return frames.map(({ result, time }) => {
    const pose = follower.follow(namedLandmarks(result, mirror.words.names, width, height), time);
    return player.skeleton.place(pose).places;
  });
}"""


@pytest.fixture(scope="module")
def live_page(person: Avatar, moves: dict[str, BodyTrack], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("live") / "me.html"
    write_page(person, moves, path, PageOptions("me"), live=True)
    return path


def truth(person: Avatar, track: BodyTrack) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Joints (frames, 24, 3), and what a perfect detector would see of them before a camera that looks down."""
    transforms = joint_transforms(person.rest.joints, person.body.parents, track.poses).double().detach()
    points, _ = landmark_points(person.body, "blazepose33")
    bone = points.weights.argmax(1)
    rest = points.rest - person.rest.joints[bone].double().detach()
    world = (transforms[:, bone, :3, :3] @ rest[..., None]).squeeze(-1) + transforms[:, bone, :3, 3]
    cosine, sine = np.cos(PITCH), np.sin(PITCH)
    # OpenCV's axes: x right, y down, z forward.
    to_camera = np.array([[1, 0, 0], [0, -cosine, sine], [0, -sine, -cosine]])
    camera = (world.numpy() - [0, CAMERA_HEIGHT, DISTANCE]) @ to_camera.T
    hips = [LAYOUTS["blazepose33"].names.index(f"{side}_hip") for side in ("left", "right")]
    centred = camera - camera[:, hips].mean(1, keepdims=True)
    pixels = FOCAL * camera[..., :2] / camera[..., 2:] + [WIDTH / 2, HEIGHT / 2]
    frames = [
        {
            "time": index / FPS,
            "result": {
                "worldLandmarks": [[dict(zip("xyz", place, strict=True)) for place in around.tolist()]],
                "landmarks": [[{"x": x / WIDTH, "y": y / HEIGHT, "visibility": 1.0} for x, y in flat.tolist()]],
            },
        }
        for index, (around, flat) in enumerate(zip(centred, pixels, strict=True))
    ]
    return transforms[..., :3, 3].numpy(), frames


def follow(tab: Page, frames: list[dict[str, Any]]) -> np.ndarray:
    """Places of the page's joints (frames, joints, 3) for the results of a detector."""
    return np.array(tab.evaluate(FOLLOW, [frames, WIDTH, HEIGHT]))


def test_the_avatar_takes_the_pose_that_the_landmarks_show(
    person: Avatar, moves: dict[str, BodyTrack], live_page: Path, tab: Page
) -> None:
    open_page(tab, live_page)
    joints, frames = truth(person, moves["wave"])
    places = follow(tab, frames)
    limbs = [
        i for i, name in enumerate(person.body.joint_names) if re.search("hip|knee|ankle|shoulder|elbow|wrist", name)
    ]
    ours, theirs = (torch.from_numpy(at[:, limbs]) for at in (places, joints))
    assert float(pa_mpjpe(ours, theirs).mean()) < 0.03
    # Left and right are those of the person, and the avatar stands upright on its feet.
    left, right = (person.body.joint_names.index(f"{side}_shoulder") for side in ("left", "right"))
    assert (places[:, left, 0] > places[:, right, 0] + 0.2).all()
    neck, pelvis = (places[:, person.body.joint_names.index(name)] for name in ("neck", "pelvis"))
    trunk = neck - pelvis
    lean = np.degrees(np.arctan2(trunk[:, 2], trunk[:, 1]))
    assert abs(lean.mean()) < 6
    foot = person.body.joint_names.index("right_foot")  # the other leg moves
    assert np.ptp(places[:, foot], axis=0).max() < 0.06 and 0 < places[-1, foot, 1] < 0.08


def test_standing_feet_stay_where_they_are_though_the_landmarks_tremble(
    person: Avatar, moves: dict[str, BodyTrack], live_page: Path, tab: Page
) -> None:
    open_page(tab, live_page)
    _, frames = truth(person, moves["wave"])
    generator = np.random.default_rng(0)
    still = [frames[0] | {"time": index / FPS} for index in range(36)]
    trembling = json.loads(json.dumps(still))
    for frame in trembling:
        for point in frame["result"]["landmarks"][0]:
            point["x"] += generator.normal() * 2 / WIDTH
            point["y"] += generator.normal() * 2 / HEIGHT
        for point in frame["result"]["worldLandmarks"][0]:
            for axis in "xyz":
                point[axis] += generator.normal() * 0.02
    places = follow(tab, trembling)[12:]
    feet = [person.body.joint_names.index(name) for name in ("left_foot", "right_foot", "left_ankle", "right_ankle")]
    speed = np.linalg.norm(np.diff(places[:, feet], axis=0)[..., [0, 2]], axis=-1) * FPS
    assert speed.mean() < 0.1


def test_a_held_foot_stays_when_the_fit_jumps_and_returns_to_it_only_while_it_moves(live_page: Path, tab: Page) -> None:
    open_page(tab, live_page)
    fits, shown = np.array(
        tab.evaluate("""() => {
          const fit = new MirrorFit(player.skeleton, mirror.words), { chain, soles } = fit;
          const feet = new FootLock(fit), clip = player.clips[0];
          const { root, quats } = samplePose(clip, 0, player.skeleton.size);
          const own = (name) => 4 * player.skeleton.index[name];
          const turns = chain.joints.map((name) => Array.from(quats.slice(own(name), own(name) + 4)));
          const placesOf = (state) => soles.map((sole) => chain.locate(chain.place(state), sole));
          // Still, then 3 cm and 9 cm beside it, then walking on.
          const ways = [0, 0.03, 0.09].flatMap((way) => Array(5).fill(way));
          for (let i = 0; i < 15; i++) ways.push(0.09 + 0.06 * i);
          const pairs = ways.map((way, i) => {
            const state = { root: [root[0] + way, root[1], root[2]], turns };
            const marks = soles.map(() => ({ speed: i < 15 ? 0.05 : 1.5, confidence: 1 }));
            return [placesOf(state), placesOf(feet.settle(state, marks, 1 / 25))];
          });
          return [pairs.map(([fit]) => fit), pairs.map(([, shown]) => shown)];
        }""")
    )
    moved = np.abs(np.diff(shown[..., 0], axis=0)).max(1)
    assert moved[:9].max() < 0.005, "a jump within the leash"
    assert moved[9] < 0.055 and moved[10:14].max() < 0.005, "what exceeds the leash, and no more"
    assert moved[14:].max() < 2 * 0.06
    np.testing.assert_allclose(shown[-1], fits[-1], atol=0.002)


def test_a_mirror_swaps_left_and_right(live_page: Path, tab: Page) -> None:
    open_page(tab, live_page)
    once, twice, first = tab.evaluate("""() => {
      const pose = samplePose(player.clips[0], 0.2, player.skeleton.size);
      const at = (pose) => player.skeleton.place(pose).places;
      const flipped = mirroredPose(pose, player.skeleton);
      return [at(flipped), at(mirroredPose(flipped, player.skeleton)), at(pose)];
    }""")
    names = tab.evaluate("player.skeleton.joints.map(({name}) => name)")
    swapped = [
        names.index(re.sub("left|right", lambda side: {"left": "right", "right": "left"}[side[0]], name))
        for name in names
    ]
    np.testing.assert_allclose(np.array(once)[swapped] * [-1, 1, 1], first, atol=0.02)
    np.testing.assert_allclose(twice, first, atol=1e-6)


def test_the_filter_is_calm_at_rest_and_quick_in_motion(live_page: Path, tab: Page) -> None:
    open_page(tab, live_page)
    tremor, step = tab.evaluate("""() => {
      const run = (values) => {
        const filter = new OneEuro({ cutoff: 1, slope: 3 });
        return values.map((value, i) => filter.next([value], i / 30)[0]);
      };
      const tremble = Array.from({ length: 90 }, (_, i) => 0.01 * (-1) ** i);
      return [run(tremble), run(Array.from({ length: 90 }, (_, i) => (i < 60 ? 0 : (i - 59) / 10)))];
    }""")
    assert np.abs(tremor[30:]).max() < 0.004
    assert step[80] > 0.9 * 2.1


def test_a_recording_is_a_motion_that_replays_identically(live_page: Path, tab: Page, tmp_path: Path) -> None:
    open_page(tab, live_page)
    motion, places, replayed = tab.evaluate("""() => {
      const { skeleton, clips } = player;
      const recorder = new Recorder(skeleton);
      // Cameras deliver their frames unevenly.
      const times = [0, 0.04, 0.1, 0.13, 0.2, 0.2, 0.27, 0.3, 0.36, 0.4];
      for (const time of times) recorder.add(samplePose(clips[0], time, skeleton.size), 5 + time);
      const motion = recorder.motion();
      const clip = clipFromJson("recording", JSON.stringify(motion), skeleton);
      const at = (pose) => skeleton.place(pose).places;
      const moments = motion.root.map((_, i) => i / 30);
      const recorded = moments.map((time) => at(recorder.at(5 + time)));
      return [motion, recorded, moments.map((time) => at(samplePose(clip, time, skeleton.size)))];
    }""")
    assert len(motion["root"]) == 13 and motion["fps"] == 30
    np.testing.assert_allclose(replayed, places, atol=1e-4)
    path = tmp_path / "recording.json"
    path.write_text(json.dumps(motion), encoding="utf-8")
    track = load_motion(path).track
    assert track.fps == pytest.approx(30) and len(track) == 13
    np.testing.assert_allclose(track.poses.root_position.numpy(), motion["root"], atol=1e-5)
    quats = quat_from_rotation(track.poses.rotations).numpy()
    theirs = np.array(motion["quats"])
    assert np.abs((quats * theirs).sum(-1)).min() > 1 - 1e-5


def test_without_a_camera_the_page_says_so_in_one_sentence(live_page: Path, tab: Page) -> None:
    open_page(tab, live_page)
    tab.click("#mirror-start")
    until(tab, "mirror.state === 'off' && controls.element('message').textContent !== ''")
    text = tab.evaluate("controls.element('message').textContent")
    assert "camera" in text and text.count(".") == 1 and text.endswith(".")
    assert tab.locator("#mirror-start").is_visible() and not tab.locator("#mirror-tools").is_visible()


def test_the_page_says_whose_network_it_holds(
    live_page: Path, person: Avatar, moves: dict[str, BodyTrack], tmp_path: Path
) -> None:
    text = live_page.read_text(encoding="utf-8")
    assert "MediaPipe Authors, Apache License 2.0" in text and asset_path("live", "LICENSE").is_file()
    assert all(f'id="mirror-{name}"' in text for name in (*BLOCKS, "model", "words"))
    write_page(person, moves, tmp_path / "plain.html", PageOptions("me"))
    plain = (tmp_path / "plain.html").read_text(encoding="utf-8")
    assert "wasm" not in plain and "mirror-" not in plain


@pytest.fixture(scope="module")
def camera_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person before a camera, as Chromium's fake camera plays it: uncompressed YUV."""
    path = tmp_path_factory.mktemp("camera") / "person.y4m"
    size = "C420jpeg"
    with path.open("wb") as file:
        for index, (_, image) in enumerate(open_video(asset_path("clips", "turn.mp4"), longest=480).frames(range(8))):
            height, width = (side // 2 * 2 for side in image.shape[:2])
            if index == 0:
                file.write(f"YUV4MPEG2 W{width} H{height} F15:1 Ip A1:1 {size}\n".encode())
            file.write(b"FRAME\n" + yuv420(image[:height, :width]))
    return path


def yuv420(image: np.ndarray) -> bytes:
    """An image as planes of brightness and of halved colour differences (JPEG's own, in full range)."""
    red, green, blue = np.moveaxis(image.astype(float), -1, 0)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    differences = [(part - y) * factor + 128 for part, factor in ((blue, 0.564), (red, 0.713))]
    halved = [plane.reshape(plane.shape[0] // 2, 2, -1, 2).mean((1, 3)) for plane in differences]
    return b"".join(np.rint(plane.clip(0, 255)).astype(np.uint8).tobytes() for plane in (y, *halved))


@pytest.fixture
def watched(browser: Browser, camera_file: Path) -> Iterator[tuple[Page, list[str]]]:
    """A tab with a camera, and the addresses of all its requests."""
    camera = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    arguments = [*FLAGS, *camera, f"--use-file-for-fake-video-capture={camera_file}"]
    with_camera = browser.browser_type.launch(executable_path=CHROMIUM, args=arguments)
    tab, requests = (
        with_camera.new_context(viewport={"width": 320, "height": 480}, offline=True).new_page(),
        list[str](),
    )
    tab.on("request", lambda request: requests.append(request.url))
    yield tab, requests
    with_camera.close()


def test_the_avatar_follows_a_camera_and_nothing_leaves_the_page(
    watched: tuple[Page, list[str]], live_page: Path, tmp_path: Path
) -> None:
    tab, requests = watched
    open_page(tab, live_page, "?ratio=0.5")
    tab.click("#mirror-start")
    until(tab, "mirror.poses > 2", PATIENCE)
    assert tab.locator("#mirror-video").is_visible() and not tab.locator("#mirror-start").is_visible()
    tab.click("#mirror-record")
    until(tab, "mirror.recorder.frames.length > 3", PATIENCE)
    tab.click("#mirror-record")
    with tab.expect_download() as download:
        tab.click("#mirror-save")
    download.value.save_as(tmp_path / "recording.json")
    track = load_motion(tmp_path / "recording.json").track
    up = track.poses.rotations[:, 0, 1, 1]
    assert (up > 0.9).all(), "the person stands upright"
    assert tab.evaluate("document.querySelector('avatar-player').motions").count("recording") == 1
    tab.click("#mirror-stop")
    until(tab, "mirror.state === 'off' && mirror.camera.stream === null")
    assert not [address for address in requests if not re.match("file:|blob:|data:", address)]
