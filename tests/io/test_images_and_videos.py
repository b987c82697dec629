"""Images and videos through real files."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avatar.errors import AvatarError, UsageError
from avatar.io.ffmpeg import ffmpeg_program
from avatar.io.images import read_image, write_image
from avatar.io.videos import VideoWriter, open_video

DATA = Path(__file__).parent / "data"


def make(path: Path, *options: str, source: str = "testsrc=size=160x128:rate=10:duration=1") -> Path:
    command = [ffmpeg_program(), "-y", "-loglevel", "error", "-f", "lavfi", "-i", source, *options, str(path)]
    subprocess.run(command, check=True)
    return path


def ramp(height: int = 24, width: int = 32, channels: int = 3) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 7, columns * 5, rows + columns, columns * 8][:channels], -1).astype(np.uint8)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_an_image_is_read_as_written(tmp_path: Path, suffix: str, channels: int) -> None:
    if suffix == ".jpg" and channels == 4:
        pytest.skip("jpeg has no alpha")
    image = ramp(channels=channels)
    image[8:, :, 3:] = 255
    write_image(tmp_path / f"a{suffix}", image)
    again = read_image(tmp_path / f"a{suffix}")
    assert again.shape == image.shape
    assert np.abs(again.astype(int) - image).mean() < (0.1 if suffix == ".png" else 4)


def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path) -> None:
    deep = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.array_equal(read_image(tmp_path / "deep.png")[..., 1], (deep >> 8).astype(np.uint8))


def test_the_cameras_orientation_tag_is_applied(tmp_path: Path) -> None:
    image, exif = Image.fromarray(ramp()), Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").shape == (32, 24, 3)


@pytest.mark.parametrize("name", ["plain.heic", "tiled.heic"])
def test_heic_photos_are_read_under_any_name(tmp_path: Path, name: str) -> None:
    """Written by libheif: one image, and one in tiles as phones store them."""
    rows, columns = np.mgrid[:192, :128]
    path = tmp_path / "photo.jpg"
    path.write_bytes((DATA / name).read_bytes())
    image = read_image(path)
    assert image.shape == (192, 128, 3)
    assert np.abs(image[..., 0].astype(int) - columns * 255 // 128).mean() < 6
    assert np.abs(image[..., 1].astype(int) - rows * 255 // 192).mean() < 6


def test_a_broken_heic_photo_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes((DATA / "plain.heic").read_bytes()[:400])
    with pytest.raises(AvatarError, match=r"a\.heic is an HEIC photo that cannot be read: export it as JPEG"):
        read_image(tmp_path / "a.heic")


def test_avif_photos_are_read(tmp_path: Path) -> None:
    Image.fromarray(ramp(96, 128)).save(tmp_path / "a.avif", quality=90, subsampling="4:4:4")
    assert np.abs(read_image(tmp_path / "a.avif").astype(int) - ramp(96, 128)).mean() < 4


@pytest.mark.parametrize("kind", ["cmyk", "broken", "text", "bmp"])
def test_a_bad_image_gives_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    if kind == "cmyk":
        path = tmp_path / "a.jpg"
        Image.new("CMYK", (8, 8)).save(path)
    elif kind == "bmp":
        Image.new("RGB", (8, 8)).save(path, format="BMP")
    elif kind == "broken":
        write_image(path, ramp())
        path.write_bytes(path.read_bytes()[:60])
    else:
        path.write_text("hello")
    with pytest.raises(AvatarError, match=r"a\.(png|jpg)"):
        read_image(path)


def test_frames_have_the_files_own_times(tmp_path: Path) -> None:
    # Every third frame is dropped and the others keep their time stamps: a variable frame rate.
    path = make(tmp_path / "vfr.mp4", "-vf", "select='mod(n,3)'", "-fps_mode", "vfr")
    times = [time for time, _ in open_video(path).frames()]
    assert times == pytest.approx([0, 0.1, 0.3, 0.4, 0.6, 0.7], abs=1e-3)


def two_tracks(path: Path, *dispositions: str) -> Path:
    """A small track first, a large one second."""
    command = [ffmpeg_program(), "-y", "-loglevel", "error"]
    for source in ("testsrc=size=80x64:rate=5:duration=1", "testsrc2=size=160x128:rate=10:duration=1"):
        command += ["-f", "lavfi", "-i", source]
    subprocess.run([*command, "-map", "0:v", "-map", "1:v", *dispositions, str(path)], check=True)
    return path


@pytest.mark.parametrize(
    ("dispositions", "width"),
    [
        (["-disposition:v:0", "0", "-disposition:v:1", "default"], 160),
        (["-disposition:v:0", "default", "-disposition:v:1", "0"], 80),
        (["-disposition:v:0", "default", "-disposition:v:1", "default"], 160),
        (["-disposition:v:0", "0", "-disposition:v:1", "0"], 160),
    ],
)
def test_of_several_tracks_the_default_or_the_largest_is_read(
    tmp_path: Path, dispositions: list[str], width: int
) -> None:
    video = open_video(two_tracks(tmp_path / "a.mkv", *dispositions))
    assert video.width == width and "2 video tracks" in video.notes[0]
    assert sum(1 for _ in video.frames()) == (10 if width == 160 else 5)


def test_sound_that_is_longer_than_the_video_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    command = [ffmpeg_program(), "-y", "-loglevel", "error", "-f", "lavfi",
               "-i", "testsrc=size=160x128:rate=10:duration=1",
               "-f", "lavfi", "-i", "sine=duration=4", str(path)]  # fmt: skip
    subprocess.run(command, check=True)
    video = open_video(path)
    decoded = sum(1 for _ in video.frames())
    assert decoded == 10 and video.damage(decoded) is None


def test_a_video_with_sound_that_is_cut_off_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    command = [ffmpeg_program(), "-y", "-loglevel", "error", "-f", "lavfi",
               "-i", "testsrc=size=160x128:rate=10:duration=4",
               "-f", "lavfi", "-i", "sine=duration=4", "-c:v", "ffv1", str(path)]  # fmt: skip
    subprocess.run(command, check=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = open_video(path)
    decoded = sum(1 for _ in video.frames())
    assert "damaged or cut off" in (video.damage(decoded) or "")


def test_interlaced_video_is_deinterlaced(tmp_path: Path) -> None:
    """A bar that moves by 8 pixels per field: woven fields show it twice, comb by comb."""
    bar = ("color=white:size=40x128:rate=20:duration=1[bar];color=black:size=160x128:rate=20:duration=1[black];"
           "[black][bar]overlay=x=5*n:y=0")  # fmt: skip
    path = make(tmp_path / "a.mp4", "-vf", "tinterlace=mode=interleave_top,setfield=tff",
                "-flags", "+ilme+ildct", "-c:v", "mpeg2video", "-q:v", "2", source=bar)  # fmt: skip
    video = open_video(path)
    assert any("deinterlaced" in note for note in video.notes)
    _, image = list(video.frames())[5]
    combs = np.abs(np.diff(image[..., 0].astype(int), axis=0)).mean()
    assert combs < 2, combs


def test_a_phones_rotation_is_applied(tmp_path: Path) -> None:
    flat = make(tmp_path / "flat.mp4")
    turned = tmp_path / "turned.mp4"
    command = [ffmpeg_program(), "-y", "-loglevel", "error", "-display_rotation", "90", "-i", str(flat), "-c", "copy"]
    subprocess.run([*command, str(turned)], check=True)
    video = open_video(turned)
    assert (video.width, video.height) == (128, 160)
    _, upright = next(video.frames())
    _, lying = next(open_video(flat).frames())
    assert np.array_equal(upright, np.rot90(lying))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("odd.avi", ["-vf", "scale=161:129", "-c:v", "ffv1"]),
        ("grey.mkv", ["-pix_fmt", "gray", "-c:v", "ffv1"]),
        ("deep.mkv", ["-pix_fmt", "yuv420p10le", "-c:v", "ffv1"]),
        ("wide.mp4", ["-vf", "setsar=2"]),
        ("web.webm", ["-c:v", "libvpx-vp9", "-cpu-used", "8"]),
        ("moving.gif", []),
    ],
)
def test_unusual_videos_are_read(tmp_path: Path, name: str, options: list[str]) -> None:
    video = open_video(make(tmp_path / name, *options))
    frames = [image for _, image in video.frames()]
    assert len(frames) == 10 == video.expected_frames
    assert {image.shape for image in frames} == {(video.height, video.width, 3)}
    assert video.width == {"odd.avi": 161, "wide.mp4": 320}.get(name, 160)


def test_high_dynamic_range_is_tone_mapped(tmp_path: Path) -> None:
    # Reference white of BT.2408 is 58 % of the PQ signal; as standard video it must be bright but not burnt out.
    tags = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"
    options = ["-vf", f"format=yuv420p10le,{tags}", "-c:v", "ffv1"]
    path = make(tmp_path / "hdr.mkv", *options, source="color=0x949494:size=160x128:rate=10:duration=0.3")
    video = open_video(path)
    assert video.hdr
    _, image = next(video.frames())
    assert 160 < image.mean() < 255
    assert np.ptp(image.mean((0, 1))) < 4


def test_large_frames_are_scaled_down(tmp_path: Path) -> None:
    video = open_video(make(tmp_path / "a.mp4"), longest=80)
    assert (video.width, video.height) == (80, 64)


def test_a_truncated_video_gives_what_it_has(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", "-c:v", "ffv1")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = open_video(path)
    assert video.expected_frames is not None
    assert 1 <= sum(1 for _ in video.frames()) < video.expected_frames


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "empty file"), ("text", "not a video"), ("sound", "no video"), ("cut", "cut off"),
        ("playlist", "not a video"), ("image", "not a video"),
    ],
)  # fmt: skip
def test_what_is_not_a_video_gives_one_sentence(tmp_path: Path, kind: str, message: str) -> None:
    path = tmp_path / "a.mp4"
    if kind == "sound":
        make(path, source="sine=duration=1")
    elif kind == "cut":
        make(path).write_bytes(path.read_bytes()[:2000])
    elif kind == "image":
        write_image(tmp_path / "b.png", ramp())
        (tmp_path / "b.png").rename(path)
    elif kind == "playlist":
        real = make(tmp_path / "real.ts", "-c:v", "mpeg2video")
        path.write_text(f"#EXTM3U\n#EXTINF:1,\n{real}\n#EXT-X-ENDLIST\n")
    else:
        path.write_text("hello" if kind == "text" else "")
    with pytest.raises(AvatarError, match=message) as caught:
        open_video(path)
    assert "\n" not in str(caught.value)


def test_a_missing_video_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        open_video(tmp_path / "no.mp4")


def test_huge_frames_are_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "a.avi", "-c:v", "ffv1", "-pix_fmt", "gray",
                source="color=black:size=16000x8000:rate=1:duration=1")  # fmt: skip
    with pytest.raises(AvatarError, match=r"a\.avi"):
        open_video(path)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_a_written_video_is_read_again(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    image = ramp(129, 161)
    with VideoWriter(path, fps=10) as writer:
        for _ in range(5):
            writer.add(image)
    video = open_video(path)
    frames = [frame for _, frame in video.frames()]
    assert len(frames) == 5 and video.fps == pytest.approx(10)
    assert np.abs(frames[2][:129, :161].astype(int) - image).mean() < 16


def test_webm_keeps_alpha(tmp_path: Path) -> None:
    image = ramp(64, 64, 4)
    image[..., 3] = 0
    image[16:48, 16:48, 3] = 255
    with VideoWriter(tmp_path / "out.webm", fps=10) as writer:
        writer.add(image)
    command = [
        ffmpeg_program(),
        "-loglevel",
        "error",
        "-c:v",
        "libvpx-vp9",
        "-i",
        str(tmp_path / "out.webm"),
        "-frames:v",
        "1",
    ]
    subprocess.run([*command, str(tmp_path / "out.png")], check=True)
    alpha = read_image(tmp_path / "out.png")[..., 3]
    assert alpha[32, 32] > 240 and alpha[4, 4] < 15


def test_numbered_images(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "frames" / "%03d.png", fps=10) as writer:
        writer.add(ramp())
        writer.add(ramp())
    assert np.array_equal(read_image(tmp_path / "frames" / "001.png"), ramp())


def test_a_failed_video_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), VideoWriter(path, fps=10) as writer:
        writer.add(ramp())
        _ = 1 / 0
    with pytest.raises(AvatarError, match="no frame"), VideoWriter(path, fps=10):
        pass
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
