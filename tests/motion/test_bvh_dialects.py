"""BVH as programs of all kinds write it, and texts in the encodings of Windows: the same motion, or the true reason."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avatar.errors import AvatarError
from avatar.io.files import decode_text, read_json, read_text
from avatar.motion import load_motion
from avatar.motion.joint_names import read_name_map
from avatar.pipeline.batch import find_videos
from tests.motion.rigs import Rig, walk, write_rig
from tests.motion.test_skeletons import check_read

NAMES = {"pelvis": "Hips", "left_hip": "LeftUpLeg", "head": "Kopf"}


def plain(path: Path) -> str:
    write_rig(path, Rig(names={"pelvis": "Hips"}), walk(frames=5))
    return path.read_text(encoding="utf-8")


def renamed(text: str, new: str) -> str:
    return text.replace("JOINT head\n", f"JOINT {new}\n")


DIALECTS: dict[str, Callable[[str], bytes]] = {
    "comments": lambda t: ("# by some tool\n; or another\n" + t.replace("MOTION", "// here it moves\nMOTION")).encode(),
    "lower case": lambda t: t.lower().encode(),
    "upper case": lambda t: t.replace("rotation", "ROTATION").replace("Frames", "FRAMES").encode(),
    "space before colon": lambda t: t.replace("Frames:", "Frames :").replace("Time:", "Time :").encode(),
    "no space after colon": lambda t: t.replace("Frames: ", "Frames:").replace("Time: ", "Time:").encode(),
    "decimal commas": lambda t: t.replace(".", ",").encode(),
    "commas between values": lambda t: (t.partition("MOTION")[0] + "MOTION" + re.sub(
        r"(\d) (-?\d)", r"\1, \2", t.partition("MOTION")[2])).encode(),
    "joint called MOTION": lambda t: renamed(t, "MOTION_head").encode(),
    "joint called MOTION alone": lambda t: renamed(t, "MOTION").encode(),
    "brace on the line of the name": lambda t: re.sub(r"\n\s*\{", " {", t).encode(),
    "Windows lines": lambda t: t.replace("\n", "\r\n").encode(),
    "lines of old Macs": lambda t: t.replace("\n", "\r").encode(),
    "byte order mark": lambda t: t.encode("utf-8-sig"),
    "UTF-16": lambda t: t.encode("utf-16"),
    "UTF-16 without mark": lambda t: t.encode("utf-16-le"),
    "Latin letters": lambda t: renamed(t, "tête_Schädel").encode("cp1252"),
    "Shift-JIS": lambda t: renamed(t, "頭").encode("cp932"),
    "UTF-8 names": lambda t: renamed(t, "頭").encode(),
    "empty lines and tabs": lambda t: ("\n\n" + t.replace("\n", "\n\n").replace(" ", "\t") + "\n\n").encode(),
    "ends without offset": lambda t: re.sub(r"End Site\s*\{\s*OFFSET 0 1 0\s*\}", "End Site\n{\n}", t).encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
def test_dialects_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.bvh"
    path.write_bytes(DIALECTS[name](plain(path)))
    motion = load_motion(path)
    assert motion.format == "bvh"
    check_read(motion, walk(frames=5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("MOTION\n", "MOTION\nhello\n"), "no MOTION section with frames"),
        (lambda t: t.rstrip().rsplit("\n", 1)[0], "cut off: it announces 5 frames of 69 channels and holds 4"),
        (lambda t: re.sub(r"\n(-?[\d.]+ .*)", r"\n\1 7.5", t.partition("Time")[0] + "Time" + t.partition("Time")[2]),
         "its joints have 69 channels, but its 5 frames hold 70 values each"),
        (lambda t: t.replace("CHANNELS 3 Zrotation", "CHANNELS 3 Wrotation", 1), "unknown channels wrotation"),
        (lambda t: t + "12.5 banana\n", "a value that is not a number .*banana"),
    ],
)  # fmt: skip
def test_the_true_reason_is_given(tmp_path: Path, change: Callable[[str], str], message: str) -> None:
    path = tmp_path / "a.bvh"
    path.write_text(change(plain(path)), encoding="utf-8")
    with pytest.raises(AvatarError, match=message):
        load_motion(path)


def test_frames_beyond_the_announced_ones_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.bvh"
    path.write_text(plain(path).replace("Frames: 5", "Frames: 3"), encoding="utf-8")
    motion = load_motion(path)
    assert len(motion.track) == 3
    assert motion.check is not None and "announces 3 frames, so 2 more were left out" in motion.check.summary


def test_translations_of_joints_replace_their_offset_or_come_on_top(tmp_path: Path) -> None:
    """Six channels at every joint; some programs repeat the offset there, others write what is added, mostly zero."""
    path = tmp_path / "a.bvh"
    text = plain(path)
    head, _, rows = text.partition("MOTION")
    offsets = [np.array(line.split()[1:], dtype=float) for line in head.splitlines() if "OFFSET" in line]
    joints = [o for o, line in zip(offsets, re.findall(r"OFFSET[^\n]*\n(.*)", head), strict=True) if "CHANNELS" in line]
    head = head.replace("CHANNELS 3 ", "CHANNELS 6 Xposition Yposition Zposition ")
    announced, *lines = rows.strip().split("\n")[1:]
    for repeated in (True, False):
        moved = []
        for line in lines:
            values = line.split()
            out = values[:6]
            for k, offset in enumerate(joints[1:]):
                out += [f"{x:.6f}" for x in (offset if repeated else 0 * offset)] + values[6 + 3 * k : 9 + 3 * k]
            moved.append(" ".join(out))
        path.write_text(f"{head}MOTION\nFrames: 5\n{announced}\n" + "\n".join(moved) + "\n", encoding="utf-8")
        check_read(load_motion(path), walk(frames=5))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_texts_of_windows(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('{"left_hip": "LeftUpLeg"}\r\n'.encode(encoding))
    assert read_name_map(path) == {"left_hip": "LeftUpLeg"}
    assert read_json(path)["left_hip"] == "LeftUpLeg"
    path.write_bytes("# mine\r\none.mp4\r\ntwo.mp4\r\n".encode(encoding))
    assert [video.name for video in find_videos(path)] == ["one.mp4", "two.mp4"]


def test_old_code_pages_and_what_is_no_text(tmp_path: Path) -> None:
    assert decode_text("Hüfte, genou gauche, tête".encode("cp1252")) == "Hüfte, genou gauche, tête"
    assert decode_text("左足 ひざ".encode("cp932")) == "左足 ひざ"
    (tmp_path / "a.txt").write_bytes(b"\x00\x01\x02\x03")
    with pytest.raises(AvatarError, match="not a readable text file: it holds control characters"):
        read_text(tmp_path / "a.txt")


def test_a_long_file_takes_little_time_and_memory(tmp_path: Path) -> None:
    """12,000 frames of 78 joints."""
    import time

    resource = pytest.importorskip("resource")
    rig = Rig()
    for number in range(78 - len(rig.places)):
        rig = rig.with_joint(f"face{number}", "head", (0.0, 1.65, 0.08), ())
    path = tmp_path / "a.bvh"
    write_rig(path, rig, walk(rig, frames=30))
    head, _, rows = path.read_text().partition("Frames: 30\n")
    step, _, rows = rows.partition("\n")
    path.write_text(f"{head}Frames: 12000\n{step}\n" + rows * 400, encoding="utf-8")
    load_motion(Path(__file__).parent / "data/mixamo.bvh")  # what is loaded once
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    assert len(load_motion(path).track) == 12000
    assert time.process_time() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 350_000  # kilobytes
