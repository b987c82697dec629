"""Make a folder of broken, odd and hostile files, one subfolder for each reader of the program.

    python scripts/make_hostile_corpus.py corpus

Names that begin with `odd_` are sound though unusual and must be read; every other file must be refused in one
sentence. Pickles in it would write a file named RAN beside themselves; archives name paths outside of the folder.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro

DEEP = 10_000  # levels of nesting
BOMB_BYTES = 3 * 1024**3


class Trap:
    """What a hostile pickle holds: loading it would create `marker`."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (str(self.marker), "w")


def make_corpus(folder: Path) -> None:
    """Write everything; `folder/ran` and what the archives name must never appear."""
    sound = make_sound(folder / "sound")
    make_videos(folder / "video")
    for kind in ("track", "motion", "observations"):
        spoil_npz(folder / kind, sound["track" if kind == "motion" else kind])
    spoil_npz(folder / "body", sound["body"])
    spoil_npz(folder / "capture", sound["capture"])
    for kind in ("body", "motion"):
        make_pickles(folder / kind)
    make_safetensors(folder / "avatar", sound["avatar"])
    for kind in ("cameras", "motion", "settings"):
        make_json(folder / kind)
    make_images(folder / "image")


def make_sound(folder: Path) -> dict[str, Path]:
    """One small sound file for each reader, from which the broken ones are made."""
    from avatar.body import load_body
    from avatar.io.assets import asset_path
    from avatar.io.camera_file import save_cameras
    from avatar.io.track_file import save_track
    from avatar.model.avatar import Avatar
    from avatar.model.gaussians import sample_on_surface, triangle_frames
    from avatar.rendering.camera_paths import front
    from avatar.types import BodyPose, BodyTrack

    folder.mkdir(parents=True, exist_ok=True)
    body = load_body("open")
    betas, frames = torch.zeros(body.shape_dirs.shape[-1]), 4
    cameras = front(torch.tensor([-1.0, 0, -1]), torch.tensor([1.0, 2, 1]), frames, 32, 48)
    poses = BodyPose(torch.tensor([0.0, 1, 0]).repeat(frames, 1), torch.eye(3).repeat(frames, 24, 1, 1))
    times = torch.arange(frames) / 10
    save_track(
        BodyTrack("open", betas, poses, times, torch.ones(frames, 24), torch.arange(frames), cameras),
        folder / "track.npz",
    )
    save_cameras(folder / "cameras.json", cameras)
    surface = triangle_frames(body.rest(betas).vertices, body.faces)
    density, rng = torch.ones(len(body.faces)), torch.Generator().manual_seed(0)
    Avatar(body, betas, sample_on_surface(surface, density, 64, rng), deform=False).save(folder / "avatar.safetensors")
    joints = 33
    np.savez(
        folder / "observations.npz", version=1, layout="blazepose33", source="video.mp4", notes=np.array([""]),
        size=[32, 48], keypoints=np.zeros((frames, joints, 3)), keypoints_3d=np.zeros((frames, joints, 3)),
        instant=np.arange(frames), times=times.numpy(),
    )  # fmt: skip
    np.savez(
        folder / "capture.npz", joints=np.zeros((frames, 24, 3)), local_rotvec=np.zeros((frames, 24, 3)),
        K=cameras.K[0].numpy(), cam_R=np.eye(3)[None], cam_t=np.zeros((1, 3)), image_size=[32, 48],
    )  # fmt: skip
    names = ("track", "observations", "capture")
    files = {name: folder / f"{name}.npz" for name in names} | {"avatar": folder / "avatar.safetensors"}
    return files | {"body": asset_path("body", "open.npz"), "cameras": folder / "cameras.json"}


def make_videos(folder: Path) -> None:
    """Broken and unusual videos, made from ffmpeg's test pattern."""
    folder.mkdir(parents=True, exist_ok=True)
    pattern = ("-f", "lavfi", "-i", "testsrc=size=160x120:rate=10:duration=1.2")
    x264 = ("-c:v", "libx264", "-preset", "ultrafast")
    _ffmpeg(*pattern, *x264, "-pix_fmt", "yuv420p", folder / "odd_plain.mp4")
    plain = (folder / "odd_plain.mp4").read_bytes()
    _ffmpeg(*pattern, *x264, "-pix_fmt", "yuv420p10le", "-color_trc", "smpte2084", "-color_primaries", "bt2020",
            "-colorspace", "bt2020nc", folder / "odd_10_bit_hdr.mp4")  # fmt: skip
    _ffmpeg(*pattern, *x264, "-pix_fmt", "gray", folder / "odd_grayscale.mp4")
    _ffmpeg(*pattern, "-vf", "scale=161:121", *x264, "-pix_fmt", "yuv444p", folder / "odd_size.mp4")
    _ffmpeg("-f", "lavfi", "-i", "color=red:size=1x1:rate=10:duration=1", "-c:v", "ffv1", folder / "odd_one_pixel.mkv")
    _ffmpeg(*pattern, "-vf", "setpts=PTS*(1+0.3*mod(N\\,3))", "-fps_mode", "vfr", *x264, folder / "odd_vfr.mp4")
    _ffmpeg("-display_rotation", "90", "-i", folder / "odd_plain.mp4", "-c", "copy", folder / "odd_rotated.mp4")
    _ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", folder / "audio_only.mp4")
    _ffmpeg(*pattern, "-frames:v", "0", *x264, folder / "zero_frames.mp4")
    (folder / "zero_bytes.mp4").write_bytes(b"")
    (folder / "no_index.mp4").write_bytes(plain[: len(plain) // 2])
    (folder / "header_only.mp4").write_bytes(plain[:40])
    (folder / "text.mp4").write_text("This is a letter.\n" * 100, encoding="utf-8")
    (folder / "image_named_video.mp4").write_bytes(_png(4, 4))
    (folder / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", encoding="utf-8")
    (folder / "concat.mp4").write_text("ffconcat version 1.0\nfile odd_plain.mp4\n", encoding="utf-8")
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(20_000))
    size = struct.pack("<HH", 65535, 65535)
    gif = b"GIF89a" + size + b"\x80\x00\x00" + bytes(6) + b"\x2c" + bytes(4) + size + b"\x00\x02\x02\x44\x01\x00\x3b"
    (folder / "huge_dimension.gif").write_bytes(gif)


def spoil_npz(folder: Path, sound: Path) -> None:
    """An npz with NaN, infinity, another shape or another type in each array, and archives that are traps."""
    folder.mkdir(parents=True, exist_ok=True)
    with np.load(sound) as file:
        arrays = {name: file[name] for name in file.files}
    largest = max(arrays, key=lambda name: arrays[name].size if arrays[name].dtype.kind == "f" else 0)
    for label, value in (("nan", np.nan), ("inf", np.inf)):
        spoiled = arrays[largest].copy()
        spoiled.flat[spoiled.size // 2] = value
        np.savez(folder / f"{label}.npz", **{**arrays, largest: spoiled})
    np.savez(folder / "wrong_shape.npz", **{**arrays, largest: arrays[largest][..., :1]})
    np.savez(folder / "text_for_numbers.npz", **{**arrays, largest: np.array(["a", "b"])})
    np.savez(folder / "empty_array.npz", **{**arrays, largest: np.zeros((0, 3))})
    np.savez(folder / "no_arrays.npz")
    trap = np.array([Trap(folder / "RAN")], dtype=object)
    np.savez(folder / "objects.npz", allow_pickle=True, **{**arrays, largest: trap})
    data = sound.read_bytes()
    (folder / "truncated.npz").write_bytes(data[: len(data) // 2])
    (folder / "zero_bytes.npz").write_bytes(b"")
    (folder / "text.npz").write_text("This is a letter.", encoding="utf-8")
    with zipfile.ZipFile(folder / "escaping.npz", "w") as archive:
        for name in ("../escaped.npy", "/escaped.npy", "a/../../escaped.npy"):
            archive.writestr(name, _npy(np.zeros(3)))
    (folder / "bomb.npz").write_bytes(_bomb(largest))
    with zipfile.ZipFile(folder / "lying_array.npz", "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**13,)})
        archive.writestr(f"{largest}.npy", header.getvalue())


def make_pickles(folder: Path) -> None:
    """Pickles that run code, that ask for endless memory, that nest without end, and that are cut off."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runs_code.pkl").write_bytes(pickle.dumps({"v_template": Trap(folder / "RAN")}))
    torch.save({"poses": Trap(folder / "RAN")}, folder / "runs_code_in_torch.pkl")
    (folder / "system.pkl").write_bytes(b"cos\nsystem\n(S'touch RAN'\ntR.")
    (folder / "bytes_of_a_terabyte.pkl").write_bytes(b"c__builtin__\nbytes\n(L1000000000000L\ntR.")
    (folder / "deep.pkl").write_bytes(b"\x80\x02" + b"]" * DEEP + b"a" * (DEEP - 1) + b".")
    (folder / "cut_off.pkl").write_bytes(pickle.dumps({"v_template": np.zeros(100)})[:-20])
    (folder / "zero_bytes.pkl").write_bytes(b"")
    (folder / "number.pkl").write_bytes(pickle.dumps(7))


def make_safetensors(folder: Path, sound: Path) -> None:
    """Avatars whose header lies about lengths, places, shapes and types, and avatars with NaN."""
    from safetensors.torch import load_file, save_file

    folder.mkdir(parents=True, exist_ok=True)
    data = sound.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    metadata = header["__metadata__"]
    tensors = load_file(sound)
    for label, value in (("nan", float("nan")), ("inf", float("inf"))):
        for name in ("betas", "gaussians.quats"):
            spoiled = tensors[name].clone()
            spoiled.view(-1)[0] = value
            save_file({**tensors, name: spoiled}, folder / f"{label}_{name}.safetensors", metadata)
    triangles = torch.full_like(tensors["gaussians.face"], 10**9)
    save_file({**tensors, "gaussians.face": triangles}, folder / "no_such_triangle.safetensors", metadata)
    shorter = {**tensors, "betas": tensors["betas"][:3].contiguous()}
    save_file(shorter, folder / "few_betas.safetensors", metadata)
    save_file(tensors, folder / "other_version.safetensors", {**metadata, "format": "avatar-999"})
    save_file(tensors, folder / "no_header.safetensors")
    save_file(tensors, folder / "body_elsewhere.safetensors", {**metadata, "body": "../../etc/passwd"})
    (folder / "length_beyond_file.safetensors").write_bytes(struct.pack("<Q", 2**62) + data[8:])
    (folder / "length_zero.safetensors").write_bytes(struct.pack("<Q", 0) + data[8:])
    (folder / "truncated.safetensors").write_bytes(data[: len(data) // 2])
    (folder / "zero_bytes.safetensors").write_bytes(b"")
    (folder / "deep_header.safetensors").write_bytes(_with_header("[" * DEEP + "]" * DEEP, b""))
    for label, change in (
        ("offsets_beyond_file", {"data_offsets": [0, 2**60]}),
        ("offsets_backwards", {"data_offsets": [400, 0]}),
        ("shape_of_a_terabyte", {"shape": [10**12, 3]}),
        ("unknown_type", {"dtype": "OBJECT"}),
    ):
        lying = {**header, "gaussians.quats": {**header["gaussians.quats"], **change}}
        (folder / f"{label}.safetensors").write_bytes(_with_header(json.dumps(lying), data[8 + length :]))


def make_json(folder: Path) -> None:
    """JSON that is nested ten thousand deep, cut off, of another kind, or in no encoding."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "deep_list": "[" * DEEP + "]" * DEEP,
        "deep_table": '{"K":' * DEEP + "1" + "}" * DEEP,
        "cut_off": '{"K": [[1, 2',
        "number": "1e400",
        "nan": '{"width": 32, "height": 48, "K": [[[NaN,0,0],[0,1,0],[0,0,1]]], "T_camera_world": NaN}',
        "huge_number": '{"width": 1' + "0" * 6000 + "}",
        "wrong_types": '{"width": [], "height": {}, "K": "K", "T_camera_world": true, "train": 3, "source": null}',
        "empty": "",
    }
    for name, text in texts.items():
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    (folder / "not_utf8.json").write_bytes(b'{"K": "\xff\xfe"}')


def make_images(folder: Path) -> None:
    """Images with wrong or huge sizes, and files that are not images."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "odd_one_pixel.png").write_bytes(_png(1, 1))
    (folder / "huge_dimension.png").write_bytes(_png(100_000, 100_000))
    (folder / "truncated.png").write_bytes(_png(64, 64)[:60])
    (folder / "zero_bytes.png").write_bytes(b"")
    (folder / "text.png").write_text("This is a letter.", encoding="utf-8")


def _ffmpeg(*arguments: str | Path) -> None:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _with_header(header: str, rest: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header.encode() + rest


def _png(width: int, height: int) -> bytes:
    """A PNG that says it is so large; its pixels end after 64 rows."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compress((b"\x00" + bytes(3 * min(width, 64))) * min(height, 64))
    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _bomb(name: str) -> bytes:
    """A zip of a few megabytes with one array of three gigabytes of zeros, made by repeating one packed block."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (BOMB_BYTES // 4,)})
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(header.getvalue()) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = start + block * (BOMB_BYTES // 2**24) + zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    size, member = len(header.getvalue()) + BOMB_BYTES, f"{name}.npy".encode()
    fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, len(packed), size, len(member), 0)
    local = b"PK\x03\x04" + fields + member + packed
    central = b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + member
    return local + central + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)


def main(folder: tyro.conf.Positional[Path]) -> None:
    """Write the corpus into FOLDER."""
    make_corpus(folder)
    print(f"{sum(path.is_file() for path in folder.rglob('*'))} files in {folder}")


if __name__ == "__main__":
    tyro.cli(main)
