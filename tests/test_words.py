"""Words that the project does not use, in names, code and documentation; docs/conventions.md says what to write."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".md", ".toml", ".yml", ".html", ".js", ".glsl", ".css", ".txt", ".cff", ".svg", ""}

PER = "second|frame|joint|finger|vertex|instant|camera|pixel|view|video|step|splat|Gaussian|metre"
COUNTED = (
    "frames|images|poses|times|updates|bytes|megabytes|MB|milliseconds|ms|splats|Gaussians|joints|landmarks|steps|turns"
    "|degrees|radians|metres|pixels|numbers|weights|rows?|entries|units|once|one|pose|line|offset|index"
)
DETERMINERS = "a|an|the|this|that|each|every|its|your|one|no|short|long|turntable"
# What follows the verb "to film".
OBJECTS = r"(?=(?i: (?:an?|the|one|alone|again|yourself|people|somebody|as)\b| with a\b))"
# Word -> what to write instead.
BANNED = {
    r"(?:re)?sow(?:n|s|ed|ing)?": "sample, resample",
    r"(?:un)?told": "given; a noun for what is given: prior, constraint, option",
    r"renew(?:s|ed|ing|al)?": "resample",
    r"overlook(?:s|ed|ing)?": "no constraint, missed",
    r"unseen": "unobserved, held-out",
    r"pictur(?:e|es|ed|ing)": "image",
    rf"(?<!to )films?(?!{OBJECTS})": "video",
    rf"(?:{DETERMINERS}) films?": "video",
    r"believed": "weighted, trusted",
    r"so many": "a number of, at most N",
    r"left[ -]out (?:frames?|poses?|views?|images?)": "held-out",
    r"(?<!there )is (?:that is )?(?-i:none)(?! of)": "is not one",
    rf"(?:a|an|one|every) (?:{PER}) an? (?:{PER})": "one ... per ...",
    rf"(?:{COUNTED}) an? (?:{PER})": "per ...",
    r"(?:pixels|vertices|bins|cells) a side": "per side",
}  # fmt: skip
# Identifiers count too: a word ends at an underscore, at a capital letter or where letters end.
START, END = r"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))", r"(?![a-z])(?!(?<=[A-Z])[A-Z])"
RULES = [(re.compile(f"{START}(?i:{word}){END}"), instead) for word, instead in BANNED.items()]

# Keys of evaluation.json, which keep their first names because scripts read them.
EVALUATION_KEYS = {"pictures", "left-out frames"}
# File -> words that may stand there ("*": all of them), and why.
ALLOWED: dict[str, set[str]] = {
    "tests/test_words.py": {"*"},  # this list
    "LICENSE": {"*"},  # the words of others
    "docs/conventions.md": {"picture", "film", "frames a second", "a camera a frame", "left out", "renew", "sow"},
    "CHANGELOG.md": {"picture", "pictures", "renew", "unseen"},  # old names, in its tables
    "avatar/pipeline/settings.py": {"renew", "unseen"},  # old names of settings
    "tests/pipeline/test_settings.py": {"renew", "unseen"},
    "scripts/ablation.py": EVALUATION_KEYS,
    "avatar/evaluation/evaluate.py": EVALUATION_KEYS,
    "avatar/evaluation/report.py": EVALUATION_KEYS,
    "avatar/evaluation/scores.py": EVALUATION_KEYS,
    "avatar/evaluation/targets.py": EVALUATION_KEYS,
    "tests/evaluation/test_evaluate.py": EVALUATION_KEYS,
    "tests/evaluation/test_multicamera.py": EVALUATION_KEYS,
    "tests/datasets/test_published.py": EVALUATION_KEYS,
}


def tracked_files() -> list[Path]:
    """The text files that git tracks and that are written by hand."""
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, encoding="utf-8").split("\0")
    files = [ROOT / name for name in names if name and Path(name).suffix in SUFFIXES]
    return [file for file in files if file.is_file() and not file.is_symlink() and "data" not in file.parts]


def banned_words(text: str) -> list[tuple[int, str, str]]:
    """Line number, word and what to write instead, for each banned word."""
    return [
        (number, match[0], instead)
        for number, line in enumerate(text.splitlines(), 1)
        for rule, instead in RULES
        for match in rule.finditer(line)
    ]


def test_banned_words_are_not_used() -> None:
    findings = []
    for file in tracked_files():
        name = file.relative_to(ROOT).as_posix()
        allowed = ALLOWED.get(name, set())
        words = [] if "*" in allowed else banned_words(f"{name}\n{file.read_text(encoding='utf-8')}")
        words = [entry for entry in words if entry[1].lower() not in allowed]
        findings += [f"{name}:{number - 1}: {word} -> {instead}" for number, word, instead in words]
    counts = Counter(line.split(":")[0].rsplit("/", 1)[0] for line in findings)
    assert not findings, f"{len(findings)} banned words, by folder {dict(counts)}:\n" + "\n".join(findings)


@pytest.mark.parametrize(
    "text",
    [
        "so many pictures", "renew_unseen(x)", "class PictureBox", "30 frames a second", "the film", "told", "untold",
        "film = read(path)", "a film", "sown anew", "resown", "overlooked", "a camera a frame", "64 pixels a side",
        "a file that is none", "left-out frames", "_Film(path)", "two films",
    ],
)  # fmt: skip
def test_banned_words_are_found(text: str) -> None:
    assert banned_words(text)


@pytest.mark.parametrize(
    "text",
    [
        "film a person", "filming guide", "shadows sowie", "a frame of the clip", "depicture", "toldo", "film the back",
        "film again", "Film a person. The filmed motion.", "30 frames per second", "if box is None",
    ],
)  # fmt: skip
def test_other_words_are_not(text: str) -> None:
    assert not banned_words(text)
