"""The `avatar` program: one subcommand for each file in `avatar/cli`, and how a command ends."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

# Name of the command -> (module in avatar.cli, function in it). The order is the order in --help.
COMMANDS = {
    "create": ("create", "create"),
    "view": ("view", "view"),
    "animate": ("animate", "animate"),
    "motions": ("motions", "motions"),
    "describe": ("describe", "describe"),
    "export": ("export", "export"),
    "evaluate": ("evaluate", "evaluate"),
    "render": ("render", "render"),
    "track": ("track", "track"),
    "batch": ("batch", "batch"),
    "doctor": ("doctor", "doctor"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit: 0 well done, 1 the work failed, 2 wrong use, 130 stopped by Ctrl-C, 141 nobody
    reads the output any more."""
    import tyro

    from avatar.errors import AvatarError, short_message
    from avatar.runtime.logging import log_to_terminal

    log_to_terminal()

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # Only the asked-for command is imported, so that `avatar doctor` does not wait for torch.
        names = [arguments[0]] if arguments and arguments[0] in COMMANDS else list(COMMANDS)
        functions = {name: _function(*COMMANDS[name]) for name in names}
        tyro.extras.subcommand_cli_from_dict(functions, prog="avatar", args=arguments)
        sys.stdout.flush()
    except AvatarError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except BrokenPipeError:  # whoever read the output has seen enough, as `| head` does
        # Python flushes once more when it ends, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except OSError as error:  # what the system refuses, wherever it was met: a name too long, a folder closed to us
        place = "" if error.filename is None else f"{short_message(ValueError(error.filename))}: "
        print(f"error: {place}{error.strerror or short_message(error)}.", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        raise SystemExit(130) from None


def _function(module: str, name: str):
    return getattr(importlib.import_module(f"avatar.cli.{module}"), name)
