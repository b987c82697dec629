"""The documentation holds what it says: links lead somewhere, commands and files exist, words are the agreed ones."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "assets").rglob("README.md")])
OF_THE_SITE = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md", "security.md": "SECURITY.md"}
# What commands of the documentation stand for by a word instead of a name.
OTHER_OPTIONS = {"--help", "--no-deps", "--strict", "--counts", "--sizes", "--repeats", "--times", "--expected"}
OTHER_OPTIONS |= {"--hypothesis-profile", "--hypothesis-show-statistics", "--tyro-print-completion", "--train.*"}
NOT_YET = {"--print-config", "--version"}  # options that the rebuilt command line brings

TREES = ("docs",)  # whose comments and messages are held to the words as well; more join as they are edited
FSTRING_MIDDLE = getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)  # f-strings are split from Python 3.12 on

PER = "second|frame|joint|vertex|instant|camera|pixel|view|video|step|splat|Gaussian"
# Banned word or phrase -> what to write.
BANNED = {
    r"\bpictur\w*": "image",
    r"\b(?:a|an|the|this|that|each|every|one|its|your|turntable|short|long) films?\b": "video",
    r"\bfilms? of\b": "video of",
    rf"\b(?:frames|images|poses|times|updates|joints|steps|once|one|pose|line|offset|index) an? (?:{PER})\b": "per ...",
    r"\bpixels a side\b": "per side",
    r"\b(?:re)?sow(?:n|s|ed|ing)?\b": "sample, resample",
    r"\b(?:un)?told\b": "given, known",
    r"\brenew\w*": "resample",
    r"\boverlook\w*": "no constraint, missed",
    r"\b(?:the|what is|of the) unseen\b": "unobserved",
    r"\bso many\b": "a maximum of, up to",
    r"\bbelieved\b": "weighted, trusted",
}


def prose(text: str) -> str:
    """A page without code, links' addresses and HTML comments; lines keep their numbers."""
    text = re.sub(r"^```.*?^```", blank, text, flags=re.S | re.M)
    text = re.sub(r"`[^`\n]+`", blank, text)
    return re.sub(r"\]\([^)\s]*\)", blank, text)


def blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def banned_words(text: str) -> list[str]:
    """Each banned word with its line, and what to write instead."""
    return [
        f"line {text[: match.start()].count(chr(10)) + 1}: {match[0]!r} -> {instead}"
        for pattern, instead in BANNED.items()
        for match in re.finditer(pattern, text, flags=re.I)
    ]


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


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_words_are_the_agreed_ones(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page == ROOT / "docs" / "conventions.md":  # its table names the words to avoid
        text = text.partition("## Prose")[0]
    assert not banned_words(prose(text))


def test_banned_words_are_found() -> None:
    """Each rule fires, and the verb "to film" and code do not."""
    bad = "a picture; the film; 30 frames a second; sown anew; untold; we renew; overlooked; so many; a film of it"
    assert len(banned_words(bad)) >= 9
    assert not banned_words(prose("Film a person. The filmed motion. `picture` [x](docs/pictures/film.png)"))


@pytest.mark.parametrize("file", [file for tree in TREES for file in sorted((ROOT / tree).rglob("*.py"))], ids=name)
def test_comments_and_messages_use_the_agreed_words(file: Path) -> None:
    assert not banned_words(words_of(file))


def words_of(file: Path) -> str:
    """The comments and the sentences (strings with a space, docstrings included) of a source file, on their lines."""
    lines: dict[int, str] = {}
    with tokenize.open(file) as stream:
        for token in tokenize.generate_tokens(stream.readline):
            sentence = token.type in (tokenize.STRING, FSTRING_MIDDLE) and " " in token.string
            if token.type == tokenize.COMMENT or sentence:
                for offset, line in enumerate(token.string.splitlines()):
                    lines[token.start[0] + offset] = f"{lines.get(token.start[0] + offset, '')} {line}"
    return prose("\n".join(lines.get(number, "") for number in range(1, max(lines, default=0) + 1)))


def test_comments_and_messages_are_read(tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    file.write_text(
        '"""A picture."""\nx = 1  # sown anew\nraise ValueError(f"{x} frames a second")\npicture = "picture"\n'
    )
    assert len(banned_words(words_of(file))) == 3


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
    known = OTHER_OPTIONS | NOT_YET | {option for command in commands() for option in options(command)}
    assert not named - known


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
