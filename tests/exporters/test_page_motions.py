"""The page reads motion files by the rules of the program: one table of rigs, forms and dialects, one truth."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from tests.browser import needs_browser
from tests.exporters.pages import open_page
from tests.motion.glb_files import ROTATIONS, TRANS, write_glb
from tests.motion.rigs import LIMBS, Rig, Truth, rotated, walk, write_rig
from tests.motion.test_bvh_dialects import DIALECTS, plain
from tests.motion.test_joint_names import RIGS as NAMES
from tests.motion.test_motion_glb import FORMS
from tests.motion.test_motion_readers import Y_TO_Z, amass, turned
from tests.motion.test_skeletons import RIGS, limb_degrees

pytestmark = [needs_browser, pytest.mark.timeout(120)]
Array = np.ndarray


@pytest.fixture(scope="module")
def reader(browser: Browser, page_file: Path) -> Iterator[Page]:
    tab = browser.new_page()
    open_page(tab, page_file, "?t=0")
    yield tab
    tab.close()


def read(tab: Page, path: Path) -> dict[str, Array]:
    """Places of the page's joints in the clip that it makes of a file, by forward kinematics of this test's own."""
    clip = tab.evaluate(
        """async ([name, data]) => {
          const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
          const clip = await clipFromFile(name, bytes, player.skeleton);
          return {roots: Array.from(clip.roots), quats: Array.from(clip.quats), joints: player.skeleton.joints};
        }""",
        [path.name, base64.b64encode(path.read_bytes()).decode()],
    )
    joints = clip["joints"]
    roots = np.array(clip["roots"]).reshape(-1, 3)
    quats = np.array(clip["quats"]).reshape(len(roots), len(joints), 4)
    places: dict[str, Array] = {}
    turns: list[Array] = []
    for index, joint in enumerate(joints):
        own = rotated(quats[:, index])
        if joint["parent"] < 0:
            turns.append(own)
            places[joint["name"]] = roots
        else:
            above = joints[joint["parent"]]
            bone = np.subtract(joint["position"], above["position"])
            turns.append(turns[joint["parent"]] @ own)
            places[joint["name"]] = places[above["name"]] + turns[joint["parent"]] @ bone
    return places


def check(ours: dict[str, Array], truth: Truth, most_degrees: float = 0.7) -> None:
    """Limbs as in the truth, and a path as long, in lengths of the leg."""
    angles = limb_degrees(ours, truth.places)
    assert angles.shape[1] == len(truth.places["pelvis"])
    assert angles.max() < most_degrees

    def way(at: dict[str, Array]) -> float:
        hips = (at["left_hip"] + at["right_hip"]) / 2
        bones = [np.linalg.norm(at[b] - at[a], axis=-1).mean() for a, b in LIMBS[:2]]
        return float(np.linalg.norm(hips[-1] - hips[0]) / sum(bones))

    assert way(ours) == pytest.approx(way(dict(truth.places)), rel=0.05)
    up = (ours["left_shoulder"] + ours["right_shoulder"] - ours["left_hip"] - ours["right_hip"])[:, 1]
    assert (up > 0.5).all()


@pytest.mark.parametrize("name", RIGS)
def test_rest_poses_axes_and_units(reader: Page, tmp_path: Path, name: str) -> None:
    truth = walk()
    write_rig(tmp_path / "a.bvh", RIGS[name], truth)
    check(read(reader, tmp_path / "a.bvh"), truth)


def test_names_of_all_rigs(reader: Page, tmp_path: Path) -> None:
    truth = walk(frames=6)
    for name, names in NAMES.items():
        write_rig(tmp_path / f"{name}.bvh", Rig(names=names), truth)
        check(read(reader, tmp_path / f"{name}.bvh"), truth)
    codes = {joint: f"bone{number:03d}" for number, joint in enumerate(Rig().places)}
    write_rig(tmp_path / "codes.bvh", Rig(names=codes), truth)
    check(read(reader, tmp_path / "codes.bvh"), truth)


@pytest.mark.parametrize("name", DIALECTS)
def test_dialects(reader: Page, tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.bvh"
    path.write_bytes(DIALECTS[name](plain(path)))
    check(read(reader, path), walk(frames=5))


def truth_of_glb() -> Truth:
    """The truth of the GLB and npz fixtures, by the forward kinematics of this test."""
    from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
    from avatar.motion.bone_lengths import model_rest

    rest, R = model_rest().numpy(), ROTATIONS.double().numpy()
    places: dict[str, Array] = {}
    turns: list[Array] = []
    for joint, parent in enumerate(SMPL_PARENTS):
        if parent < 0:
            turns.append(R[:, joint])
            places[SMPL_JOINTS[joint]] = TRANS.astype(float)
        else:
            turns.append(turns[parent] @ R[:, joint])
            places[SMPL_JOINTS[joint]] = places[SMPL_JOINTS[parent]] + turns[parent] @ (rest[joint] - rest[parent])
    return Truth({}, places)


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_glb(reader: Page, tmp_path: Path, name: str) -> None:
    write_glb(tmp_path / "a.glb", FORMS[name])
    check(read(reader, tmp_path / "a.glb"), truth_of_glb())


FRAMES = len(TRANS)
POSES = np.load(Path(__file__).parents[1] / "motion/data/truth.npz")["poses"]
ARCHIVES: dict[str, Callable[[Path], None]] = {
    "amass.npz": lambda path: amass(path, 52, "mocap_framerate"),
    "amass_x.npz": lambda path: amass(path, 55, "mocap_frame_rate"),
    "poses.npz": lambda path: np.savez(path, poses=POSES.reshape(FRAMES, 72), trans=TRANS, fps=60.0),
    "packed.npz": lambda path: np.savez_compressed(path, poses=POSES.reshape(1, FRAMES, 72), trans=TRANS),
    "parts.npz": lambda path: np.savez(path, global_orient=POSES[:, 0], body_pose=POSES[:, 1:22], transl=TRANS),
    "matrices.npz": lambda path: np.savez(path, poses=ROTATIONS.numpy(), trans=TRANS),
    "z_up.npz": lambda path: np.savez(path, poses=turned(POSES, Y_TO_Z).reshape(FRAMES, 72), trans=TRANS @ Y_TO_Z.T),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(reader: Page, tmp_path: Path, name: str) -> None:
    ARCHIVES[name](tmp_path / name)
    check(read(reader, tmp_path / name), truth_of_glb())


def test_our_own_track(reader: Page, tmp_path: Path) -> None:
    from avatar.io.track_file import save_track
    from avatar.motion import load_motion

    save_track(load_motion(Path(__file__).parents[1] / "motion/data/motion.smpl").track, tmp_path / "track.npz")
    check(read(reader, tmp_path / "track.npz"), truth_of_glb())


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.npz", b"PK\x03\x04junk", "a.npz is cut off"),
        ("a.glb", b"glTF" + bytes(60), "a.glb is broken"),
        ("a.txt", b"hello", "a.txt is no motion that this page reads"),
        ("a.bvh", b"HIERARCHY\nROOT a\n{\n}\n", "no MOTION section"),
    ],
)
def test_broken_files_give_one_sentence(reader: Page, tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Exception, match=sentence):
        read(reader, tmp_path / name)
