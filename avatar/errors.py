"""The two ways a command ends badly. Both carry one clear sentence for the user and never a traceback."""


class AvatarError(Exception):
    """The work failed: a broken file, no person in view, a full disk. The command exits with code 1."""

    exit_code = 1


class UsageError(AvatarError):
    """The command was asked for something that cannot be: a wrong option or path. It exits with code 2."""

    exit_code = 2


def short_message(error: BaseException) -> str:
    """What a library said, fit to stand in a sentence: its first line, printable and no longer than that.

    Libraries quote what they found in a broken file, which may be anything of any length.
    """
    line = (str(error).splitlines() or [""])[0] or type(error).__name__
    return "".join(c if c.isprintable() else "?" for c in line[:200]).rstrip(".")
