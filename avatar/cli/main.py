"""The `avatar` program: one subcommand for each file in `avatar/cli`, and how a command ends."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Command(NamedTuple):
    """Where a command stands, module in avatar.cli and function there, and its line in `avatar --help`."""

    module: str
    function: str
    summary: str


# The order is the order in --help. The summaries stand here so that `avatar --help` imports no command.
COMMANDS = {
    "create": Command("create", "create_avatar", "make an avatar from a video or a photo"),
    "view": Command("view", "view_avatar", "look at an avatar in the browser, play motions, pose it"),
    "live": Command("live", "live_avatar", "let an avatar follow your camera, in the browser"),
    "animate": Command("animate", "animate_avatar", "drive an avatar with a motion or a pose and write a video"),
    "motions": Command("motions", "list_motions", "list the built-in motions and the readable motion files"),
    "describe": Command("describe", "describe_motion", "describe a pose or a motion in words"),
    "edit": Command("edit", "edit_avatar", "give an avatar other colours, clothes or another head"),
    "export": Command("export", "export_avatar", "write an avatar as files for other programs"),
    "prop": Command("prop", "change_props", "put a cup into a hand, a hat on the head, a pack on the back"),
    "scene": Command("filmed_scene", "make_scene", "make splats of the room in which the person was filmed"),
    "evaluate": Command("evaluate", "evaluate_avatar", "measure an avatar on images it was not trained on"),
    "render": Command("render", "render_images", "render images with alpha for any cameras and poses"),
    "track": Command("track", "track_video", "estimate the motion of the person in a video"),
    "batch": Command("batch", "create_avatars", "make an avatar of each of many videos"),
    "doctor": Command("doctor", "check_machine", "check what is installed and how to get the rest"),
}
HELP = ("-h", "--help", "-H", "--help-verbose", "help")
# Commands that may be mistaken for ones that take several videos, and what they take.
ONE_SOURCE = {"track": "one video", "batch": "one folder or list of videos"}
COMPLETION = ("--tyro-print-completion", "--tyro-write-completion")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit: 0 well done, 1 the work failed, 2 wrong use, 130 stopped by Ctrl-C, 141 nobody
    reads the output any more."""
    from avatar.errors import AvatarError, short_message
    from avatar.runtime.logging import log_to_terminal

    log_to_terminal()
    try:
        _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except AvatarError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except BrokenPipeError:  # the reader of the output is gone, as with `| head`
        # Python flushes once more when it ends, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except OSError as error:  # whatever the system refuses: a name that is too long, a folder without permission
        place = "" if error.filename is None else f"{short_message(ValueError(error.filename))}: "
        print(f"error: {place}{error.strerror or short_message(error)}.", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt as stop:
        print(" ".join(["stopped.", *map(str, stop.args)]).strip(), file=sys.stderr)
        raise SystemExit(130) from None


def _run(arguments: list[str]) -> None:
    """Do what the arguments ask for. Only the command in question is imported."""
    from avatar.errors import UsageError

    if arguments[:1] and arguments[0].startswith(COMPLETION):
        import tyro

        commands = {name: _function(name, []) for name in COMMANDS}
        tyro.extras.subcommand_cli_from_dict(commands, prog="avatar", args=arguments)
        return
    if not arguments or arguments[0] in HELP:
        print(help_text())
        return
    if arguments[0] in ("-V", "--version"):
        from avatar import __version__

        print(f"avatar {__version__}")
        return
    name = arguments[0]
    if name not in COMMANDS:
        similar = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {similar[0]}?" if similar else f"the commands are {', '.join(COMMANDS)}."
        raise UsageError(f"There is no command {name!r}: {hint}")
    if name in ONE_SOURCE and len(arguments) > 2 and not any(word.startswith("-") for word in arguments[1:3]):
        raise UsageError(
            f"avatar {name} takes {ONE_SOURCE[name]}, not also {arguments[2]}; videos of one moment by several phones "
            "go to avatar create."
        )
    import tyro

    tyro.cli(
        _function(name, arguments[1:]), prog=f"avatar {name}", args=arguments[1:], config=(tyro.conf.DisallowNone,)
    )


def _function(name: str, arguments: Sequence[str]) -> Callable[..., None]:
    from avatar.cli.options import with_plain_help

    command = COMMANDS[name]
    module = importlib.import_module(f"avatar.cli.{command.module}")
    if name == "create":  # its defaults are those of the preset in its arguments
        function: Callable[..., None] = module.create_command(arguments)
        return function
    return with_plain_help(getattr(module, command.function))


def help_text() -> str:
    """What `avatar` alone and `avatar --help` print."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: avatar {{{','.join(COMMANDS)}}} [OPTIONS]",
            "",
            "Film a person with a phone, run one command, get a Gaussian-splat avatar.",
            "",
            "Start with:",
            "  avatar create me.mp4        make an avatar, in runs/me",
            "  avatar view runs/me         look at it in the browser",
            "",
            "Commands:",
            *lines,
            "",
            "Options of a command:  avatar COMMAND --help",
            "Version:               avatar --version",
            "Completion in a shell: avatar --tyro-print-completion bash   (or zsh; see docs/manual/completion.md)",
        ]
    )
