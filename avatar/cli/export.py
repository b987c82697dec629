"""`avatar export`: an avatar as files for other programs and other people."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from avatar.cli.options import Backend, Device, Run, Switch, Up, option_group
from avatar.cli.scene import NO_SCENE, Scene
from avatar.errors import UsageError

if TYPE_CHECKING:
    from avatar.exporters.html import PageOptions
    from avatar.model.environment import ChosenLight
    from avatar.types import Gaussians

# What ends the name of each kind of file; nothing: it is a folder.
SUFFIXES = {
    "turntable": (".mp4", ".webm", ".gif", ".webp"), "html": (".html", ".htm"), "ply_sequence": ("",), "web": ("",),
    "dataset": ("",), "control": ("",), "motion_file": (".bvh", ".json"), "compressed_ply": (".compressed.ply",),
    "glb_splats": (".glb",), "glb_rigged_splats": (".glb",),
}  # fmt: skip
SURROUNDED = {"html", "web", "turntable"}
# Only what renders is worth a GPU, whose renderer may have to be compiled first.
RENDERED = {"turntable", "dataset", "control"}
PAGES = {"html", "web"}
SPLATS = {"ply", "ply_sequence", "splat", "spz", "sog", "ksplat", "compressed_ply"}
MOVING = PAGES | {"ply_sequence", "glb", "glb_rigged_splats", "motion_file", "dataset", "control"}
# The kinds of files that an option is for; any other is for all.
PURPOSE = {
    "motion": MOVING, "pose": SPLATS - {"ply_sequence"} | {"glb", "glb_splats", "turntable"},
    "title": PAGES, "credits": PAGES, "springs": PAGES, "up": SPLATS, "flip": SPLATS,
    "size": RENDERED, "count": {"dataset"}, "backgrounds": {"dataset"}, "seed": {"dataset"}, "camera": {"control"},
}  # fmt: skip


@option_group
@dataclass(frozen=True)
class FileOptions:
    """What to write, and where.

    Attributes:
        html: one HTML page with the avatar and its motions; opens anywhere, phones included, without a network.
        web: folder for a web server: the avatar as a file, <avatar-player>, the element that shows it in any page, and
            a page that uses both.
        ply: splats of one pose, with the fields of 3D Gaussian splatting that all splat viewers read.
        ply_sequence: folder for a motion as one PLY per frame, which SuperSplat and Blender add-ons play.
        splat: splats of one pose as .splat (needs the extra "splats").
        spz: splats of one pose as .spz, a sixth of the size of a PLY (needs the extra "splats").
        sog: splats of one pose as .sog, an eighth of the size (needs the extra "splats").
        ksplat: splats of one pose as .ksplat (needs the extra "splats").
        compressed_ply: splats of one pose as .compressed.ply, a quarter of the size of a PLY (needs the extra
            "splats").
        glb: the person as a rigged mesh with texture, made from the splats, with the motions as animations and the 52
            units of the face as morph targets. Takes about half a minute.
        glb_splats: splats of one pose as glTF with KHR_gaussian_splatting.
        glb_rigged_splats: the same at rest, with skeleton, skinning weights and the motions as animations.
        motion_file: a motion as .bvh, or as the .json that can be dropped on a page.
        turntable: the avatar turning once, as .mp4, .webm, .gif or .webp.
        dataset: folder for images with masks, depth, normals, parts with surface coordinates, keypoints and SMPL
            parameters, in random poses.
        control: folder for control videos of the first motion, for networks that make videos: pose (in OpenPose's
            style), depth, normals, mask and the avatar itself.
    """

    html: Path | None = None
    web: Path | None = None
    ply: Path | None = None
    ply_sequence: Path | None = None
    splat: Path | None = None
    spz: Path | None = None
    sog: Path | None = None
    ksplat: Path | None = None
    compressed_ply: Path | None = None
    glb: Path | None = None
    glb_splats: Path | None = None
    glb_rigged_splats: Path | None = None
    motion_file: Path | None = None
    turntable: Path | None = None
    dataset: Path | None = None
    control: Path | None = None

    def requested(self) -> dict[str, Path]:
        """The file or folder of each kind that is asked for.

        Raises:
            UsageError: there is none, or one has the name of another kind of file.
        """
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        requested = {kind: path for kind, path in given.items() if path is not None}
        if not requested:
            flags = ", ".join(map(_flag, given))
            raise UsageError(f"Pass what to write and where, for example --html me.html; there are {flags}.")
        for kind, path in requested.items():
            _check_suffix(kind, path)
        return requested


@option_group
@dataclass(frozen=True)
class PageFlags:
    """The page of --html, and that of --web.

    Attributes:
        live: the page also follows a camera ("Mirror me"): with MediaPipe's pose network, 11 MB more. Images of the
            camera stay in the browser.
        title: heading of the page; by default the name of the run folder.
        credits: line at the bottom of the page, such as the name of the person and the licence.
        springs: auto lets skirts, coats and long hair swing in the page, off leaves them to the limbs.
        url: address where the folder of --web, or that of the page of --html, will be, such as https://example.org/me:
            previews of links need it for their image. With --html the image is written beside the page, as .jpg.
    """

    live: Switch = False
    title: str | None = None
    credits: str | None = None
    springs: Literal["auto", "off"] = "auto"
    url: str | None = None

    def check(self, files: FileOptions) -> None:
        """Refuse what no page can have.

        Raises:
            UsageError: there is no such page, or --url is no address.
        """
        if self.live and files.html is None:
            raise UsageError(
                "--live makes a page that follows a camera: pass --html FILE with it, or use `avatar live`."
            )
        if self.url is None:
            return
        if files.web is None and files.html is None:
            raise UsageError("--url says where a page will be: pass --web DIR or --html FILE too.")
        if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", self.url):
            raise UsageError(f"--url must be an address such as https://example.org/me, not {self.url!r}.")

    def page(self, run: Path, light: ChosenLight | None, scene: Gaussians | None) -> PageOptions:
        """The same for the exporters, with what the page shows around the person."""
        from avatar.exporters.html import CREDITS, PageOptions

        return PageOptions(self.title or run.resolve().name, self.credits or CREDITS, light, scene, self.url)


@option_group
@dataclass(frozen=True)
class SplatFlags:
    """Files of splats.

    Attributes:
        up: the axis that points up in files of splats: y; minus-y for SuperSplat and PlayCanvas, which turn what they
            read; z for programs whose floor is the XY plane. Other files, glTF among them, keep Y up.
        flip: the person faces the other way in files of splats.
    """

    up: Up = "y"
    flip: Switch = False


@option_group
@dataclass(frozen=True)
class ImageFlags:
    """The images of --turntable, --dataset and --control.

    Attributes:
        size: WIDTHxHEIGHT of the images of --turntable, --dataset and --control.
        count: number of images of --dataset.
        backgrounds: folder of images that stand behind the person in --dataset, instead of plain colours.
        camera: of --control: follow, front or orbit, or a camera file.
        seed: seed of the random poses and cameras of --dataset.
    """

    size: str = "540x960"
    count: int = 100
    backgrounds: Path | None = None
    camera: str = "follow"
    seed: int = 0


def export_avatar(
    run: Run,
    files: Annotated[FileOptions, tyro.conf.arg(name="file")] = FileOptions(),
    motion: tuple[str, ...] = (),
    pose: str | None = None,
    light: str | None = None,
    lit: Switch = False,
    body: str | None = None,
    shape: str | None = None,
    page: Annotated[PageFlags, tyro.conf.arg(name="page")] = PageFlags(),
    splats: Annotated[SplatFlags, tyro.conf.arg(name="splat")] = SplatFlags(),
    images: Annotated[ImageFlags, tyro.conf.arg(name="image")] = ImageFlags(),
    surroundings: Scene = NO_SCENE,
    device: Device = "auto",
    backend: Backend = "auto",
) -> None:
    """Write an avatar as files that other programs open. Everything is Y up, in metres, facing +Z; see --up.

    Args:
        run: run folder made by `avatar create`.
        motion: motions: "filmed", built-in names (walk, wave, ...) or files. --ply-sequence and --motion-file take the
            first. By default pages and data sets take the filmed and some built-in ones, the others the filmed.
        pose: pose to write: rest (the T-pose) or MOTION:FRAME, such as walk:12. The default is rest, and for a
            turntable the middle of the filmed motion.
        light: the light that the avatar stands in: filmed, even, above, window, window:left (right, front, behind, or
            degrees to the right), window:left:WARMTH (-1 to 1), or an equirectangular image (.hdr, .exr, .png, .jpg),
            with :DEGREES to turn it. By default splats and meshes are in even light and images as filmed; pages
            start with it and offer others too.
        lit: keep the light of the recording in the colours of splats and meshes; the same as --light filmed.
        body: path of the body file, if it has moved since the avatar was made.
        shape: another shape for the body, in words, such as height=1.82,weight=0.6. The words are height (metres), age
            (years), weight, gender (0 male to 1 female), muscle and proportions (0 to 1); the others stay as they are.
            Not available for SMPL files.
        device: where --turntable, --dataset and --control are rendered; auto takes CUDA where it works.
        backend: renderer of --turntable, --dataset and --control.
    """
    requested = files.requested()
    page.check(files)
    if lit and light not in (None, "filmed"):
        raise UsageError("--lit keeps the light of the recording: leave it out, or --light.")
    if surroundings.scene is not None and not SURROUNDED & requested.keys():
        raise UsageError("--scene surrounds the person in --html, --web and --turntable: pass one of them.")
    _refuse_useless(requested, {"motion": motion or None, "pose": pose}, page, splats, images)
    if images.count < 1:
        raise UsageError(f"--count must be at least 1, not {images.count}.")

    from avatar.body.shape_attributes import parse_shape
    from avatar.exporters.splats import Orientation
    from avatar.exporters.synthetic_dataset import background_files
    from avatar.io.files import require_writable
    from avatar.pipeline.animation import parse_size
    from avatar.pipeline.export import ExportOptions
    from avatar.pipeline.finished_run import open_run
    from avatar.pipeline.lights import read_light
    from avatar.pipeline.people_folder import require_people
    from avatar.rendering.devices import resolve_device

    name = "filmed" if lit else light
    words, chosen = parse_shape(shape), None if name is None else read_light(name)
    scene = surroundings.read()
    about = page.page(run, chosen, scene)
    if require_people(run) > 1:
        alone: dict[str, object] = {"--live": page.live, "--shape": shape}
        _export_people(run, requested, motion, about, body, page.springs == "auto", alone)
        return
    size, backgrounds = parse_size(images.size), images.backgrounds
    finished = open_run(run, body, resolve_device(device, backend) if RENDERED & requested.keys() else "cpu")
    finished.avatar.reshape_by(words)
    if page.springs == "auto" and PAGES & requested.keys():
        finished.with_springs()
    job = ExportOptions(
        finished.run, finished.avatar, motion, pose, about, page.live, size, images.count,
        images.seed, backend, Orientation(splats.up, splats.flip),
        () if backgrounds is None else tuple(background_files(backgrounds)), images.camera,
    )  # fmt: skip
    for path in requested.values():
        require_writable(path)
    for kind, path in requested.items():
        print(f"{kind.replace('_', ' ') + ':':13} {path}  ({getattr(job, kind)(path)})", flush=True)


def _export_people(
    run: Path,
    requested: dict[str, Path],
    motions: tuple[str, ...],
    page: PageOptions,
    body: str | None,
    springs: bool,
    of_one: dict[str, object],
) -> None:
    """Write the page of several people; `of_one` are options that only one person has."""
    flags = [_flag(kind) for kind in requested if kind != "html"]
    flags += [flag for flag, value in of_one.items() if value]
    if flags:
        raise UsageError(f"{run} holds several people, whom --html shows together: {flags[0]} takes {run}/person-1.")
    from avatar.exporters.html import write_page
    from avatar.pipeline.people_folder import open_people
    from avatar.pipeline.together import motions_together

    people = open_people(run, body=body)
    for person in people if springs else ():
        person.with_springs()
    clips = motions_together(people, motions)
    first, *others = [
        (person.avatar, {name: tracks[place] for name, tracks in clips.items()}) for place, person in enumerate(people)
    ]
    report = write_page(*first, requested["html"], page, companions=others)
    size = f"{report.bytes / 1e6:.2f} MB, {report.splats} splats, {len(people)} people, {len(clips)} motions"
    print(f"{'html:':14}{requested['html']}  ({size})", flush=True)


def _refuse_useless(requested: dict[str, Path], alone: dict[str, object], *groups: Any) -> None:
    """Refuse options that none of the requested files uses; `alone` are those of no group, None where not given."""
    given = [name for name, value in alone.items() if value is not None]
    given += [one.name for group in groups for one in fields(group) if getattr(group, one.name) != one.default]
    for name in given:
        kinds = PURPOSE.get(name, set(requested))
        if not kinds & requested.keys():
            flags = [_flag(one.name) for one in fields(FileOptions) if one.name in kinds]
            pass_it = "pass it too" if len(flags) == 1 else "pass one of them too"
            raise UsageError(f"{_flag(name)} is for {', '.join(flags)}: {pass_it}, or leave {_flag(name)} out.")


def _check_suffix(kind: str, path: Path) -> None:
    allowed = SUFFIXES.get(kind, (f".{kind}",))
    name = path.name.lower()
    suffix = ".compressed.ply" if name.endswith(".compressed.ply") else path.suffix.lower()
    if suffix not in allowed:
        expected = " or ".join(allowed) if allowed != ("",) else "a folder"
        raise UsageError(f"{_flag(kind)} writes {expected}, not {path.name}.")


def _flag(kind: str) -> str:
    return f"--{kind.replace('_', '-')}"
