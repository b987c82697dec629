"""The two ways a command ends badly. Both carry one clear sentence for the user and never a traceback."""


class AvatarError(Exception):
    """The work failed: a broken file, no person in view, a full disk. The command exits with code 1."""

    exit_code = 1


class UsageError(AvatarError):
    """The command was asked for something that cannot be: a wrong option or path. It exits with code 2."""

    exit_code = 2
