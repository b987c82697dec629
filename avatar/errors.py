"""The two errors that end a command. Both carry one clear sentence for the user and never a traceback."""


class AvatarError(Exception):
    """The work failed: a broken file, no person in view, a full disk. The command exits with code 1."""

    exit_code = 1


class UsageError(AvatarError):
    """The command was used wrongly: a wrong option or path. It exits with code 2."""

    exit_code = 2


def short_message(error: BaseException) -> str:
    """The first line of an error message, printable and at most 200 characters long, to quote inside a sentence.

    Libraries quote the content of broken files, which may be anything of any length.
    """
    line = (str(error).splitlines() or [""])[0] or type(error).__name__
    return "".join(c if c.isprintable() else "?" for c in line[:200]).rstrip(".")
