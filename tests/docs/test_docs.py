"""The documentation holds what it says: links lead somewhere, commands and files exist."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "assets").rglob("README.md")])
OF_THE_SITE = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md", "security.md": "SECURITY.md"}
# Options of the program itself, of other programs and of scripts.
OTHER_OPTIONS = {
    "--help",
    "--version",
    "--no-deps",
    "--strict",
    "--counts",
    "--sizes",
    "--repeats",
    "--times",
    "--expected",
}
OTHER_OPTIONS |= {"--hypothesis-profile", "--hypothesis-show-statistics", "--tyro-print-completion", "--train.*"}


def code_spans(page: Path) -> list[str]:
    """The inline code of a page."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_and_images_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        address, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", address):
            continue
        file = page if not address else (page.parent / address).resolve()
        if not file.exists() and file.parent == ROOT / "docs":
            file = ROOT / OF_THE_SITE.get(file.name, address)
        if not file.exists() or (anchor and anchor not in anchors(file)):
            missing.append(target)
    assert not missing


@functools.cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as MkDocs makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.M)
    plain = [re.sub(r"[^\w\s-]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)) for heading in headings]
    return {re.sub(r"[\s-]+", "-", heading.strip().lower()) for heading in plain}


def test_extras_named_in_the_text_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {
        extra.strip()
        for page in PAGES
        for extras in re.findall(r"splat-avatar\[([\w, ]+)\]", page.read_text(encoding="utf-8"))
        for extra in extras.split(",")
    }
    assert named and not named - {*project["optional-dependencies"], "NAME"}


@functools.cache
def options(command: str) -> frozenset[str]:
    """The options of a command, from its help; asked once."""
    help_of = [sys.executable, "-m", "avatar", command, "--help"]
    answer = subprocess.run(help_of, capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0, f"avatar {command}: {answer.stderr}"
    return frozenset(re.findall(r"(?<![\w-])--[a-z][\w.-]*", answer.stdout))


@functools.cache
def commands() -> tuple[str, ...]:
    text = subprocess.run(
        [sys.executable, "-m", "avatar", "--help"], capture_output=True, text=True, cwd=ROOT
    ).stdout  # fmt: skip
    choices = re.search(r"\{([\w,-]+)\}", text)
    assert choices, text
    return tuple(choices[1].split(","))


def command_lines() -> list[tuple[str, str]]:
    """Every `avatar ...` line of a bash block, with the page that it stands on."""
    lines = []
    for page in PAGES:
        for block in re.findall(r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M):
            lines += [(name(page), line) for line in block.splitlines() if line.startswith("avatar ")]
    return lines


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_commands_and_their_options_exist(page: str, line: str) -> None:
    words = shlex.split(line.partition(">")[0], comments=True)
    if words[1].startswith("--"):
        return
    assert words[1] in commands()
    unknown = [word for word in words[2:] if word.startswith("--") and word not in options(words[1])]
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_in_the_text_exist(page: Path) -> None:
    spans = [span for span in code_spans(page) if "python " not in span]
    named = {option for span in spans for option in re.findall(r"(?<!\S)--[a-z][\w.*-]*", span)}
    available = OTHER_OPTIONS | {option for command in commands() for option in options(command)}
    assert not named - available


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name)
def test_files_named_in_the_text_exist(page: Path) -> None:
    rooms = r"(?:python )?((?:avatar|viewer|scripts|tests|configs|assets|examples|docs)/[^\s:]*)"
    files = [match[1] for span in code_spans(page) if (match := re.match(rooms, span))]
    assert not [file for file in files if not (ROOT / file).exists()]


@pytest.mark.parametrize(
    "message", re.findall(r"^\| `([^`]*)` \|", (ROOT / "docs/filming-guide.md").read_text(), flags=re.M)
)
def test_messages_of_the_filming_guide_are_those_of_the_program(message: str) -> None:
    """Each part between the dots stands in the source, where a message may be spread over several literals."""
    parts = [part.strip() for part in re.split("…", message)]
    assert not [part for part in parts if len(part) > 3 and part not in source()]


@functools.cache
def source() -> str:
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "avatar").rglob("*.py")))
    return re.sub(r'"\s*\n\s*f?"', "", text)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_snippets_exist(page: Path) -> None:
    """What `--8<--` lines include: a file, or a section of one."""
    for target in re.findall(r'^--8<-- "([^"]*)"$', page.read_text(encoding="utf-8"), flags=re.M):
        file, _, section = target.partition(":")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not section or all(f"# --8<-- [{edge}:{section}]" in text for edge in ("start", "end"))
    assert "\n--8 <" not in page.read_text(encoding="utf-8"), "a formatter changed it; fence it with ```{.python}"


def motion_table() -> list[list[str]]:
    """The rows of the table of motion formats: format, files, programs, what is used."""
    text = (ROOT / "docs" / "manual" / "animate.md").read_text(encoding="utf-8")
    table = text.partition("| `--format` |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def test_every_motion_format_is_in_the_manual() -> None:
    from avatar.motion import motion_formats

    assert sorted(row[0] for row in motion_table()) == sorted(motion_formats())


def test_every_program_in_the_table_of_motion_formats_has_a_fixture() -> None:
    """The tests write or hold a file as each of these programs does."""
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "motion").glob("*.py")).lower()
    programs = {program.strip() for row in motion_table() for program in row[2].split(",") if program.strip()}
    assert [program for program in sorted(programs) if program.lower() not in tests] == []


def test_every_tool_whose_skeletons_are_read_has_a_fixture() -> None:
    """Each name in the manual's list stands for a row of the table of rigs."""
    manual = (ROOT / "docs" / "manual" / "animate.md").read_text(encoding="utf-8")
    tools = re.split(r", | and ", manual.partition("by name: ")[2].partition(" and what is like them")[0])
    lines = (ROOT / "tests" / "motion" / "data" / "rigs.txt").read_text(encoding="utf-8").splitlines()
    rigs = "\n".join(line.partition("|")[0] for line in lines if not line.startswith("#"))
    assert len(tools) > 20
    assert [tool for tool in tools if tool.replace("Blender's", "Blender") not in rigs] == []


def test_every_example_is_in_the_manual() -> None:
    manual = (ROOT / "docs/manual/python.md").read_text(encoding="utf-8")
    assert not [
        file.name for file in (ROOT / "examples").glob("*.py") if f'--8<-- "examples/{file.name}"' not in manual
    ]


def test_every_room_has_a_page_in_the_reference() -> None:
    rooms = {folder.parent.name for folder in (ROOT / "avatar").glob("*/__init__.py")} | {"viewer"}
    pages = {page.stem for page in (ROOT / "docs/reference").glob("*.md")}
    assert rooms - {"cli", "types"} == pages - {"index", "nouns"}  # the nouns are those of `types`
    assert not [
        room for room in rooms if f"`{room}`" not in (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    ]


def test_every_file_that_the_architecture_names_exists() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(\w+)` \| (.*) \|$", text.split("### Files by subject")[1].split("| outside")[0], re.MULTILINE
    )
    assert len(rows) > 10
    for room, files in rows:
        folder = ROOT / ("viewer" if room == "viewer" else f"avatar/{room}")
        there = {file.stem for file in folder.rglob("*.py")}
        assert not [name for name in re.findall(r"`(\w+)`", files) if name not in there], room
