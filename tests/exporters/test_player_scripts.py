"""The player's modules: complete on their own, and one scope without clashes when they are joined."""

import posixpath
import re
from importlib import resources

import pytest

from avatar.exporters.mirror import ENTRY
from avatar.exporters.player_scripts import modules, script, source

DECLARED = re.compile(r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)(?:,? |\()", re.MULTILINE)
IMPORTED = re.compile(r'^import \{([^}]*)\} from "(\.{1,2}/[\w/]+\.js)";', re.MULTILINE)


def code(name: str) -> str:
    """The module without what stands in template strings, where shaders and styles are."""
    return re.sub(r"`[^`]*`", "``", source(name))


@pytest.mark.parametrize("entry", ["page.js", ENTRY])
def test_each_import_is_exported_and_used(entry: str) -> None:
    for name in modules(entry):
        text = code(name)
        for names, path in IMPORTED.findall(text):
            other = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
            for word in filter(None, (word.strip() for word in names.split(","))):
                declared = rf"^export (?:async )?(?:function|class|const) (?:.*\b)?{word}\b"
                assert re.search(declared, code(other), re.MULTILINE), (name, word)
                assert len(re.findall(rf"\b{word}\b", source(name))) > 1, (name, word)


@pytest.mark.parametrize("entry", ["page.js", ENTRY])
def test_the_joined_modules_share_no_name_and_keep_no_module_syntax(entry: str) -> None:
    names = [name for module in modules(entry) for name in DECLARED.findall(code(module))]
    assert len(names) == len(set(names)) > 150
    joined = script(entry)
    assert not re.search(r"^\s*(?:import|export)\b", joined, re.MULTILINE) and "import.meta" not in joined
    assert "</script" not in joined


def test_every_module_is_needed() -> None:
    folder = resources.files("avatar.exporters").joinpath("player")
    files = {entry.name for entry in folder.iterdir() if entry.name.endswith(".js")}
    files |= {f"mirror/{entry.name}" for entry in (folder / "mirror").iterdir()}
    assert files == set(modules(ENTRY)) | set(modules("three.js"))
