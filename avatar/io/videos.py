"""Reading and writing video through the ffmpeg program that imageio-ffmpeg brings.

imageio's own video readers are not used, because they cannot restrict containers and protocols, keep no time stamps
and apply no HDR tone mapping. A separate process also keeps the effects of a broken or hostile file outside ours, can
be stopped after a time limit, and holds at most a few frames in memory. GIFs are written here too, with a palette per
video.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import re
import subprocess
import threading
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Literal

import numpy as np
from jaxtyping import Float, Int, UInt8

from avatar.errors import AvatarError, UsageError
from avatar.io.ffmpeg import STALL_SECONDS, ffmpeg_program, messages, opened_safely
from avatar.io.files import atomic_write, require_file
from avatar.io.images import write_image
from avatar.io.video_header import VideoStream, duration, has_other_tracks, main_stream, video_streams

COMPLETE = 0.95  # of the frames that a file states; its mean rate and its duration are rounded
DEINTERLACE = "bwdif=mode=send_frame:deint=interlaced,"
TO_SDR = (
    "zscale=transfer=linear:npl=203,format=gbrpf32le,zscale=primaries=bt709,"
    "tonemap=mobius:desat=0,zscale=transfer=bt709:matrix=bt709:range=limited,format=yuv420p,"
)

Box = tuple[slice, slice]


@dataclass(frozen=True)
class Video:
    """A video that can be decoded. Nothing is held in memory: each call of `frames` decodes it again.

    Attributes:
        width, height: of the upright frames, pixels.
        stream: the track that is read.
        duration: seconds of its longest track as the file states it, or None.
        longest: the longer side that larger frames are scaled down to, or None.
        start, end: seconds of the part of the file that is read; None: to its end.
        content: the part of the frames that is used, or None for all.
        upright: ffmpeg's filters, with a comma, that turn and cut the stored frames; "" for none.
        notes: sentences about how the file is read: which of several tracks, and deinterlacing.
    """

    path: Path
    width: int
    height: int
    stream: VideoStream
    duration: float | None
    longest: int | None
    notes: tuple[str, ...] = ()
    start: float = 0.0
    end: float | None = None
    content: Box | None = None
    upright: str = ""

    @property
    def fps(self) -> float:
        """Mean frames per second as the file states it."""
        return self.stream.fps

    @property
    def hdr(self) -> bool:
        """Whether its colours are tone-mapped from high dynamic range."""
        return self.stream.hdr

    @property
    def expected_frames(self) -> int | None:
        """How many frames the file promises; one that is cut off or whose sound is longer holds fewer."""
        return None if self.duration is None else max(1, round(self._seconds(self.duration) * self.fps))

    def _seconds(self, duration: float) -> float:
        """How long the part is that is read."""
        return min(duration, np.inf if self.end is None else self.end) - self.start

    @property
    def trim(self) -> str:
        """The filter, with a comma, that passes only the part to be read."""
        if self.start == 0 and self.end is None:
            return ""
        return f"trim=start={self.start:.6f}" + ("" if self.end is None else f":end={self.end:.6f}") + ","

    def indices(self, times: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Which frames of the whole file are shown at these seconds from the first frame that `frames` gives."""
        first = int(np.ceil(self.start * self.fps - 0.1))  # the stated rate is rounded
        return first + np.rint(times * self.fps).astype(int)

    def part(self, start: float, end: float | None) -> Video:
        """The part between two times, in seconds from the first frame of this one; `end` is left out, None: to the end.

        Raises:
            UsageError: there is no such part.
        """
        length = None if self.duration is None else self._seconds(self.duration)
        if start < 0 or (end is not None and end <= start) or (length is not None and start >= length):
            last = "its end" if end is None else f"{end:g} s"
            lasts = "" if length is None else f": it lasts {length:.1f} s"
            raise UsageError(f"{self.path} has no part from {start:g} s to {last}{lasts}.")
        return replace(self, start=self.start + start, end=self.end if end is None else self.start + end)

    def frames(self, only: Collection[int] | None = None) -> Iterator[tuple[float, UInt8[np.ndarray, "h w 3"]]]:
        """Every frame in order: its true time in seconds from the first one, and the upright image.

        Times are those written in the file, so a variable frame rate is kept. Decoding stops where the data
        ends; `damage` says whether that is too early.

        Args:
            only: indices of the frames to give; the others are neither scaled nor converted, which takes longer than
                decoding them.

        Raises:
            AvatarError: the decoder gives no frame for a minute, or a frame is cut off.
        """
        # The first frame says when time begins.
        chosen = None if only is None else sorted({0, *only})
        select = "" if chosen is None else f"select='{_any_of(chosen)}',"
        start = None
        decoded = _decode(self.path, self.stream, self.longest, self.trim, select, self.upright)
        for index, (frame, image) in zip(chosen or itertools.count(), decoded, strict=False):
            time = index / self.fps if frame.seconds is None else frame.seconds
            start = time if start is None else start
            if only is None or index in only:
                yield time - start, image if self.content is None else np.ascontiguousarray(image[self.content])

    def damage(self, decoded: int) -> str | None:
        """A sentence about what is missing when only `decoded` frames could be read, or None for a whole file."""
        expected = self.expected_frames
        if expected is None or decoded >= COMPLETE * expected - 2 or _other_tracks_are_complete(self):
            return None
        return f"The file is damaged or cut off: {decoded} of about {expected} frames could be read and were used."


def open_video(path: Path, longest: int | None = None, upright: str = "") -> Video:
    """Open a video, reading its header and first frame; frames with a side above `longest` are scaled down.

    Of several video tracks it takes the one that the file marks as default, else the one with the most pixels.
    Interlaced frames are deinterlaced. `upright`: see `Video`.

    Raises:
        UsageError: there is no such file.
        AvatarError: it is not a video, is cut off before any frame, has sound only, or its colours cannot be read.
    """
    require_file(path)
    header = messages(path)
    streams = video_streams(header)
    if not streams:
        raise AvatarError(_why_unreadable(path, header))
    if re.search(r"DOVI configuration.*profile: 5", header):
        raise AvatarError(f"{path} is in Dolby Vision profile 5: export it as HDR10, HLG or standard video.")
    stream = main_stream(streams)
    with contextlib.closing(_decode(path, stream, longest, upright=upright)) as decoder:
        frame, image = next(decoder, (None, None))
    if frame is None or image is None:
        raise AvatarError(f"{path} holds no frame that can be decoded: it is empty or broken.")
    # Some containers state the order of the fields only in the frames.
    stream = replace(stream, interlaced=stream.interlaced or frame.interlaced)
    notes = []
    if len(streams) > 1:
        notes.append(
            f"The file has {len(streams)} video tracks; the one with {stream.width}x{stream.height} pixels is used, "
            + ("which it marks as default." if stream.default else "the largest.")
        )
    if stream.interlaced:
        notes.append("The video is interlaced and was deinterlaced.")
    return Video(path, image.shape[1], image.shape[0], stream, duration(header), longest, tuple(notes), upright=upright)


def _other_tracks_are_complete(video: Video) -> bool:
    """Whether sound or data last for as long as the file states: then its video is merely shorter."""
    if video.duration is None or not has_other_tracks(messages(video.path)):
        return False
    # Copying reads the packets without decoding them, in a fraction of the time.
    report = messages(
        video.path, "-map", "0", "-map", "-0:v", "-c", "copy", "-f", "null", "-", seconds=10 * STALL_SECONDS
    )
    times = re.findall(r"time=(\d+):(\d+):([\d.]+)", report)
    if not times:
        return False
    hours, minutes, seconds = times[-1]
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds) >= COMPLETE * video.duration - 0.1


def _why_unreadable(path: Path, header: str) -> str:
    if path.stat().st_size == 0:
        return f"{path} is an empty file."
    with path.open("rb") as file:
        starts_as_mp4 = file.read(8)[4:] == b"ftyp"
    if starts_as_mp4 and "moov atom not found" in header:
        return f"{path} is cut off: the index at its end is missing. Copy it again from the camera."
    if "Audio:" in header:
        return f"{path} has sound but no video."
    return f"{path} is not a video that can be read."


@dataclass(frozen=True)
class _FrameInfo:
    """What ffmpeg prints about a frame: seconds (None where the file has no time), and whether it holds two fields."""

    seconds: float | None
    interlaced: bool


def _any_of(indices: list[int]) -> str:
    """An expression of ffmpeg's that is true for these frames; a tree, since a chain is limited to a hundred terms."""
    if len(indices) == 1:
        return f"eq(n,{indices[0]})"
    middle = len(indices) // 2
    return f"({_any_of(indices[:middle])}+{_any_of(indices[middle:])})"


def _decode(
    path: Path, stream: VideoStream, longest: int | None, trim: str = "", select: str = "", upright: str = ""
) -> Generator[tuple[_FrameInfo, UInt8[np.ndarray, "h w 3"]], None, None]:
    """Upright square-pixelled RGB frames of a track; `trim`, `select`, `upright`: filters, each with a comma."""
    factor = "1" if longest is None else f"min(1,{longest}/max(iw*sar,ih))"
    size = f"w='iw*sar*{factor}':h='ih*{factor}'"
    scale = f"scale={size}:flags=bicubic+accurate_rnd,setsar=1,showinfo=checksum=0"
    chain = (
        trim + (DEINTERLACE if stream.interlaced else "") + select + upright + (TO_SDR if stream.hdr else "") + scale
    )
    command = [
        *opened_safely(path), "-map", f"0:{stream.index}", "-fps_mode", "passthrough", "-vf", chain,
        "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    infos: queue.SimpleQueue[_FrameInfo] = queue.SimpleQueue()
    # ffmpeg prints one line per frame; if nothing read them, the full pipe would block it.
    reader = threading.Thread(target=_collect_infos, args=(process.stderr, infos), daemon=True)
    reader.start()
    try:
        count = 0
        while (image := _read_ppm(process, path)) is not None:
            yield infos.get(timeout=STALL_SECONDS), image
            count += 1
        if select and not count and process.wait() != 0:
            raise AvatarError(f"{path}: the decoder gives none of the chosen frames.")
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
        reader.join()
        process.stderr.close()


def _collect_infos(lines: IO[bytes], infos: queue.SimpleQueue[_FrameInfo]) -> None:
    for line in lines:
        if match := re.search(rb"Parsed_showinfo.* n: *\d+ .*pts_time:(\S+)", line):
            fields = re.search(rb" i:([PTB])", line)
            seconds = None if match[1] == b"NOPTS" else float(match[1])
            infos.put(_FrameInfo(seconds, fields is not None and fields[1] != b"P"))


def _read_ppm(process: subprocess.Popen[bytes], path: Path) -> UInt8[np.ndarray, "h w 3"] | None:
    """The next image of a stream of binary PPMs, or None at its end."""
    assert process.stdout is not None
    stalled = threading.Event()

    def give_up() -> None:
        stalled.set()
        process.kill()

    watchdog = threading.Timer(STALL_SECONDS, give_up)
    watchdog.start()
    try:
        if process.stdout.readline() != b"P6\n":
            if stalled.is_set():
                raise AvatarError(f"{path} cannot be read further: no frame came in {STALL_SECONDS:.0f} s.")
            return None
        width, height = map(int, process.stdout.readline().split())
        process.stdout.readline()
        data = process.stdout.read(width * height * 3)
    finally:
        watchdog.cancel()
    if len(data) < width * height * 3:
        return None
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


class VideoWriter:
    """Writes frames as a video, in the format of the suffix; the file appears when the block succeeds.

    `.mp4` is H.264 in yuv420p, which plays everywhere (odd sizes are padded by one pixel); `.webm` is VP9 and
    keeps alpha; `.gif` loops; a name with a number pattern such as `frames/%04d.png` writes one image per frame.

    Usage: `with VideoWriter(path, fps) as video: video.add(frame)`.

    Raises:
        AvatarError: the suffix is not one of these, or the file cannot be written.
    """

    def __init__(self, path: Path, fps: float | int) -> None:
        if path.suffix not in CODECS:
            raise AvatarError(f"Cannot write a video as {path.name}: use .mp4, .webm, .gif or frames/%04d.png.")
        if (path.suffix == ".png") != bool(re.search(r"%\d*d", path.name)):
            raise AvatarError(f"{path.name}: frames are written by a pattern such as %04d.png, and only as png.")
        self.path, self.fps, self.count = path, fps, 0
        self._stack = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._shape: tuple[int, ...] = ()

    def __enter__(self) -> VideoWriter:
        if self.path.suffix != ".png":
            self._temporary = self._stack.enter_context(atomic_write(self.path))
        return self

    def add(self, frame: UInt8[np.ndarray, "h w c"]) -> None:
        """Append one (h, w, 3) frame, or (h, w, 4) with straight alpha. All frames have the first one's shape."""
        if self.path.suffix == ".png":
            write_image(self.path.with_name(self.path.name % self.count), frame)
        else:
            self._process = self._process or self._start(frame)
            if frame.shape != self._shape:
                raise ValueError(f"frame {self.count} has shape {frame.shape}, the first one {self._shape}")
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # ffmpeg has ended; closing says why
                self._process.stdin.write(np.ascontiguousarray(frame).data)
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        failed = None
        if self._process is not None:
            if error is not None:
                self._process.kill()
            _, message = self._process.communicate()
            if self._process.returncode and error is None:
                failed = message.decode(errors="replace").strip().splitlines() or ["ffmpeg failed"]
        elif error is None and self.path.suffix != ".png":
            failed = ["no frame was given"]
        if failed:
            write_error = AvatarError(f"Cannot write {self.path}: {failed[-1]}.")
            self._stack.__exit__(AvatarError, write_error, None)
            raise write_error
        self._stack.__exit__(kind, error, trace)
        return False

    def _start(self, frame: UInt8[np.ndarray, "h w c"]) -> subprocess.Popen[bytes]:
        self._shape = frame.shape
        height, width, channels = frame.shape
        command = [
            ffmpeg_program(), "-y", "-loglevel", "error", "-f", "rawvideo",
            "-pix_fmt", {3: "rgb24", 4: "rgba"}[channels],
            "-s", f"{width}x{height}", "-r", f"{self.fps}", "-i", "pipe:0", *CODECS[self.path.suffix],
            str(self._temporary),
        ]  # fmt: skip
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)


CODECS = {
    ".mp4": [
        "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2,scale=out_color_matrix=bt709", "-c:v", "libx264", "-crf", "18",
        "-preset", "veryfast", "-pix_fmt", "yuv420p", "-colorspace", "bt709", "-color_primaries", "bt709",
        "-color_trc", "bt709", "-movflags", "+faststart",
    ],
    ".webm": [
        "-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-crf", "24", "-b:v", "0", "-row-mt", "1", "-cpu-used", "4",
    ],
    ".gif": ["-vf", "split[a][b];[a]palettegen[p];[b][p]paletteuse"],
    ".png": [],
}  # fmt: skip
