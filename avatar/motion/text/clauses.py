"""Text of poses split into clauses: one body part, or the whole body, and what it does.

People write commas or leave them out: "left arm raised right knee bent", "left arm and right leg raised",
"squatting arms forward". A clause ends where the next body part begins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_WORD = re.compile(r"-?\d+(?:\.\d+)?|[a-z]+(?:-[a-z]+)?")
_SIDES = ("left", "right", "both")
# Words after which a side is a direction, even before a body part.
_AIMED = ("looking", "facing", "turned", "tilted", "leaning")


def split_clauses(
    text: str, normal: Callable[[str], str | None], parts: Collection[str], whole: Collection[str]
) -> list[list[str]]:
    """The words of each clause.

    Args:
        text: in lower case.
        normal: the word that the grammar uses for a word, or None for one that changes nothing.
        parts: words for body parts; "back" counts where it is followed by what a back does.
        whole: words that begin a clause about the whole body.
    """
    result: list[list[str]] = []
    waiting: list[list[str]] = []  # parts whose action follows: "left arm and right leg raised"
    for piece in re.split(r",|;|\.(?!\d)|\b(?:and|with|while)\b", text):
        words = [word for word in map(normal, _WORD.findall(piece)) if word is not None]
        for clause in _pieces(words, parts, whole):
            if all(word in parts or word in _SIDES for word in clause) and "back" not in clause:
                waiting.append(clause)
                continue
            action = [word for word in clause if word not in parts and word not in _SIDES]
            sided = action if any(word in _AIMED for word in action) else None
            result += [] if sided else [[*part, *action] for part in waiting]
            result.append(clause)
            waiting = waiting if sided else []
    return result + waiting


def _pieces(words: list[str], parts: Collection[str], whole: Collection[str]) -> list[list[str]]:
    """The clauses in words without commas."""
    clauses: list[list[str]] = []
    current: list[str] = []
    for index, word in enumerate(words):
        after = words[index + 1] if index + 1 < len(words) else ""
        is_part = word in parts and (word != "back" or after in ("leaning", "bent", "turned", "twisted", "straight"))
        starts = is_part or word in whole or (word in _SIDES and after in parts and after != "back")
        complete = any(other not in parts and other not in _SIDES for other in current)
        aimed = bool(current) and current[-1] in _AIMED and word in _SIDES
        # "raised left arm": what it does may come first, but for the whole body and for numbers.
        first = not any(other in parts for other in current) and not any(other in whole for other in current)
        if starts and complete and not aimed and not (first and not any(NUMBER.fullmatch(o) for o in current)):
            clauses.append(current)
            current = []
        current.append(word)
    return [*clauses, current] if current else clauses
