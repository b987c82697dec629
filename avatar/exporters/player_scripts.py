"""The player's ES modules as one classic script, for pages that open as files, where browsers load no modules."""

from __future__ import annotations

import posixpath
import re
from importlib import resources

_IMPORT = re.compile(r'^(?:import|export) (?:\{[^}]*\} from )?"(?P<file>\.{1,2}/[\w/]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const)\b)", re.MULTILINE)


def source(name: str) -> str:
    """One file of the player."""
    return resources.files("avatar.exporters").joinpath("player", name).read_text(encoding="utf-8")


def modules(entry: str) -> list[str]:
    """Names of all modules that `entry` needs, itself included, each after those that it imports."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name in order:
            return
        for match in _IMPORT.finditer(source(name)):
            visit(posixpath.normpath(posixpath.join(posixpath.dirname(name), match["file"])))
        order.append(name)

    visit(entry)
    return order


def script(entry: str) -> str:
    """The modules in one scope: their names are distinct, so imports and exports can be dropped."""
    return "\n".join(('"use strict";', *(_EXPORT.sub("", _IMPORT.sub("", source(name))) for name in modules(entry))))
