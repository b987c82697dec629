"""`avatar create`: a video or a photo in, an avatar out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from avatar.cli.create_options import chosen_settings, entries, options_type, preset_in
from avatar.cli.options import Switch, optional
from avatar.errors import AvatarError, UsageError
from avatar.pipeline.settings import Settings, settings_for, to_toml

if TYPE_CHECKING:
    from avatar.pipeline.run_folder import RunFolder
    from avatar.viewer.live import LivePreview

Source = Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="VIDEO", help_behavior_hint="")]
Others = Annotated[
    tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[MORE VIDEOS]", help_behavior_hint="")
]
# What opens a page in the browser.
OPEN = {"win32": "start", "darwin": "open"}.get(sys.platform, "xdg-open")
# What a public dataset decides by itself.
FOR_OWN_SOURCES = ("observe.", "track.", "novel_views.")


def create_command(arguments: Sequence[str]) -> Callable[..., None]:
    """The command with the values of the preset that `arguments` name as its defaults.

    Raises:
        UsageError: there is no such preset.
    """
    options = options_type(settings_for("", preset_in(arguments)))

    def create_avatar(
        options: Any,
        source: Source = None,
        others: Others = (),
        out: Path | None = None,
        viewer: Switch = False,
        show_shape: Switch = False,
        overwrite: Switch = False,
        resume: Switch = False,
        print_config: Switch = False,
    ) -> None:
        """Make an avatar from a video, or from one photo, of a person.

        avatar create VIDEO makes runs/NAME OF THE VIDEO; avatar create --resume RUN finishes a run that was stopped;
        avatar create A B C makes one avatar of what several phones filmed together.

        Args:
            options: everything that decides how the avatar is made.
            source: video or photo of a person; with --resume the run, with --protocol the dataset's folder
            others: videos of the same moments by other phones, all standing still
            out: run folder to write
            viewer: show in the browser how the avatar is made; the page becomes the viewer when it is done
            show_shape: print the whole estimated shape of the body, not only the height
            overwrite: replace an older run in the same folder
            resume: finish a run that was stopped, with the configuration it was started with
            print_config: print the configuration as TOML, which can be used as a preset file, and exit
        """
        settings = chosen_settings("" if source is None else str(source), options, [str(other) for other in others])
        if print_config:
            print(to_toml(settings), end="")
            return
        if resume:
            run, configured = _run_to_resume(settings, source, out)
        else:
            run, configured = _new_run(settings, source, out), settings
        if viewer and settings.people is not None:
            raise UsageError("--viewer shows how one avatar is made: leave it out with --people.")
        preview = _preview(viewer)
        _print_reports(run, _make(run, configured, preview, overwrite, resume), show_shape)
        if preview is not None:
            _view(preview, run)

    create_avatar.__annotations__ |= {
        "options": Annotated[options, tyro.conf.arg(name="")],
        "out": optional(Path | None, "RUN", "(default: runs/NAME OF THE VIDEO)"),
        "source": Source,
        "others": Others,
        **dict.fromkeys(("viewer", "show_shape", "overwrite", "resume", "print_config"), Switch),
    }
    create_avatar.__defaults__ = (options(), *(create_avatar.__defaults__ or ()))
    return create_avatar


def _new_run(settings: Settings, source: Path | None, out: Path | None) -> RunFolder:
    from avatar.pipeline.run_folder import RunFolder

    if source is None:
        raise UsageError("Give a video or a photo: avatar create VIDEO.")
    if settings.protocol is not None:
        _refuse_what_a_dataset_decides(settings)
    return RunFolder(out or Path("runs") / source.stem)


def _refuse_what_a_dataset_decides(settings: Settings) -> None:
    usual = {entry.place: entry.value for entry in entries(settings_for("", settings.preset))}
    useless = [
        entry.flag
        for entry in entries(settings)
        if entry.place.startswith(FOR_OWN_SOURCES) and entry.value != usual[entry.place]
    ]
    if useless:
        raise UsageError(f"With --protocol the dataset decides this: leave out {', '.join(useless)}.")


def _run_to_resume(settings: Settings, source: Path | None, out: Path | None) -> tuple[RunFolder, Settings | None]:
    """The run that is named by --out, by itself, or by its video; and the settings, if they name the video."""
    from avatar.pipeline.run_folder import LOCK, RunFolder

    if out is not None:
        return RunFolder(out), None if source is None else settings
    if source is None:
        raise UsageError("Name the run to finish: avatar create --resume RUN.")
    run = RunFolder(source)
    if run.config.is_file() or (source / LOCK).is_file():
        return run, None
    usual = RunFolder(Path("runs") / source.stem)
    if not usual.folder.is_dir():
        raise UsageError(f"There is no run to resume in {source if not source.suffix else usual.folder}.")
    return usual, settings


def _make(
    run: RunFolder, settings: Settings | None, preview: LivePreview | None, overwrite: bool, resume: bool
) -> dict[str, Any]:
    """Make the avatar; Ctrl-C says what is kept and how to continue."""
    from avatar.pipeline.create import create_run

    try:
        return create_run(run, settings, overwrite, resume, preview)
    except KeyboardInterrupt:
        hint = ""
        if run.config.is_file():
            hint = f"{_kept(run)}Continue with: avatar create --resume {quote(str(run.folder))}"
        if preview is not None:
            preview.say_goodbye(f"Stopped. {hint}")
        raise KeyboardInterrupt(hint) from None
    except AvatarError as error:
        if preview is not None:
            preview.say_goodbye(str(error))
        raise


def _kept(run: RunFolder) -> str:
    """What a run that was stopped does not have to do again."""
    files = {
        "the frames and landmarks": [run.observations_file, run.videos / "1" / run.observations_file.name],
        "the body track": [run.estimated_track],
        "the training so far": [run.checkpoint, run.round_track(1), run.round_checkpoint(1)],
    }
    complete = [name for name, some in files.items() if any(file.is_file() for file in some)]
    return f"Kept: {', '.join(complete)}. " if complete else ""


def _preview(viewer: bool) -> LivePreview | None:
    if not viewer:
        return None
    from avatar.viewer.live import LivePreview

    return LivePreview()


def _view(preview: LivePreview, run: RunFolder) -> None:
    """The page of the training becomes the viewer, until Ctrl-C."""
    viewer = preview.become_viewer(run.folder)
    print(f"viewer:   http://localhost:{viewer.port}   Press Ctrl+C to stop.", flush=True)
    try:
        viewer.thread.join()
    finally:
        viewer.stop()


def _print_reports(run: RunFolder, report: dict[str, Any], show_shape: bool) -> None:
    """The results of one person, or of each of several."""
    if "persons" not in report:
        _print_results(run, report, show_shape)
        return
    from avatar.pipeline.people_folder import PeopleFolder

    for person, own in zip(PeopleFolder(run).load(), report["persons"], strict=True):
        print(f"{person.folder.name}:")
        _print_results(person, own, show_shape)
    print(f"together: avatar view {quote(str(run.folder))}")


def _print_results(run: RunFolder, report: dict[str, Any], show_shape: bool) -> None:
    held_out, shape = report["held_out"], report["shape"] or {}
    if held_out["frames"]:
        box = f", {held_out['psnr_box']:.1f} dB in the person's box" if "psnr_box" in held_out else ""
        print(
            f"PSNR:     {held_out['psnr']:.1f} dB over the full image on white{box} "
            f"(mean of {held_out['frames']} held-out frames)"
        )
    for name, one in shape.items():
        if name == "height" or show_shape:
            unit = {"height": " m", "age": " years"}.get(name, "")
            print(f"{name + ':':9} {one['value']:.2f}{unit} ± {one['spread']:.2f}")
    folder = quote(str(run.folder))
    print(f"avatar:   {run.avatar}")
    print(f"videos:   {run.turntable}  {run.overlay}")
    print(f"report:   {run.report_page}  {run.report}")
    page = quote(str(run.report_page))
    print(f"next:     avatar view {folder}   |   {OPEN} {page}   |   avatar animate {folder} --motion walk")
