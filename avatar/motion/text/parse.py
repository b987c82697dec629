"""Poses in words, both ways: "left arm raised, right knee bent 90, looking left" (posecodes of PoseScript, Delmas et
al. 2022, turned round).

The pose starts as a person standing at ease. Clauses stand between commas or `and`, or end where the next body part
begins; each names a body part (with
`left`, `right` or `both`), what it does, and optionally the degrees:

| part | what it does |
|---|---|
| arm | crossed, raised, up, down, level, straight, bent, twisted; towards: forward, sideways, back, across |
| elbow | bent, straight |
| hand | on hip, up, down |
| leg | raised, forward, back, sideways, straight |
| knee | bent, straight, raised |
| foot | pointed, flexed |
| head | turned, tilted, nodding: left, right, up, down; also `looking left` |
| back (torso, body) | leaning, bent, turned, twisted: forward, back, left, right |
| (none) | standing, t-pose, a-pose, sitting, squatting, kneeling (left, right), facing left, right, back |

What fingers and faces do ("left fist", "smiling") is in `avatar.motion.text.hands_face`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from avatar.errors import UsageError
from avatar.motion.text.clauses import NUMBER, split_clauses
from avatar.motion.text.hands_face import PHRASES, take_hands_face
from avatar.motion.text.pose_angles import Arm, Leg, PoseAngles

# Word -> the word that the grammar below uses for it.
SAME = {
    "arms": "arm", "hands": "hand", "legs": "leg", "knees": "knee", "elbows": "elbow", "feet": "foot", "body":
    "back", "torso": "back", "chest": "back", "spine": "back", "neck": "head", "lifted": "raised", "raise":
    "raised", "lowered": "down", "hanging": "down", "horizontal": "level", "out": "sideways", "side":
    "sideways", "outstretched": "level", "outwards": "sideways", "sideway": "sideways", "forwards": "forward",
    "front": "forward", "backward": "behind", "backwards": "behind", "bend": "bent", "bending": "bent",
    "turning": "turned", "twisting": "twisted", "lean": "leaning", "look": "looking", "tilt": "tilted",
    "tilting": "tilted", "overhead": "up", "straightened": "straight", "tpose": "t-pose", "apose": "a-pose",
    "squat": "squatting", "sit": "sitting", "stand": "standing", "face": "facing", "hips": "hip", "spread":
    "sideways", "apart": "sideways", "kneel": "kneeling", "kneels": "kneeling", "sits": "sitting", "seated":
    "sitting", "crouch": "squatting", "crouching": "squatting", "crossing": "crossed", "cross": "crossed", "folded":
    "crossed", "stands": "standing", "raises": "raised", "raising": "raised", "looks": "looking", "leans": "leaning",
    "bends": "bent", "turn": "turned", "turns": "turned", "lift": "raised", "lifts": "raised", "upwards": "up",
    "downwards": "down",
}  # fmt: skip
# Words that change nothing.
FILLING = frozenset(
    ("upper", "degrees", "degree", "the", "a", "to", "is", "are", "at", "in", "of", "by", "with", "on", "his", "her",
     "their", "my", "your", "one", "person", "he", "she", "they")
)  # fmt: skip
PARTS = ("arm", "elbow", "hand", "leg", "knee", "foot", "head", "back")
ACTIONS = (
    "raised", "up", "down", "level", "straight", "bent", "twisted", "towards", "forward", "sideways", "behind",
    "across", "crossed", "hip", "pointed", "flexed", "turned", "tilted", "nodding", "looking", "leaning", "standing",
    "t-pose", "a-pose", "sitting", "squatting", "kneeling", "facing", "left", "right", "both",
)  # fmt: skip
WHOLE = ("standing", "t-pose", "a-pose", "sitting", "squatting", "kneeling", "looking", "facing", "leaning")
ON_ONE_KNEE = re.compile(r"kneel(?:s|ing)?(?: down)? on (?:the |his |her |their |my |your )?(left|right|one) knee")
VOCABULARY = (*PARTS, *ACTIONS)


def parse_pose(text: str) -> Float[Tensor, "24 3 3"]:
    """The rotations of the 24 joints of a pose described in words.

    Raises:
        UsageError: it holds a word outside the vocabulary; the message names it.
    """
    angles = PoseAngles()
    for clause in pose_clauses(text):
        apply_clause(angles, clause)
    return angles.rotations()


def pose_clauses(text: str) -> list[list[str]]:
    """The clauses of a pose in words, each as words of the vocabulary and numbers.

    Raises:
        UsageError: there are none.
    """
    rest, shown = take_hands_face(text.lower())
    plain = ON_ONE_KNEE.sub(lambda match: f"kneeling {match[1] if match[1] != 'one' else 'left'}", rest)
    clauses = split_clauses(plain, _normal, PARTS, WHOLE)
    if not clauses and shown.fingers is None and shown.face is None:
        raise UsageError("The pose has no words: write for example 'left arm raised, right knee bent 90'.")
    return clauses


def _normal(word: str) -> str | None:
    return None if word in FILLING else SAME.get(word, word)


def apply_clause(angles: PoseAngles, tokens: list[str]) -> None:
    """Change a pose as a clause says.

    Raises:
        UsageError: a word is unknown, or the clause does not say what to do; the message names it.
    """
    clause = " ".join(tokens)
    # "back" is a part where nothing else is named, and a direction beside another part or after "facing".
    amount = next((float(word) for word in tokens if NUMBER.fullmatch(word)), None)
    words = [word for word in tokens if not NUMBER.fullmatch(word)]
    unknown = next((word for word in words if word not in VOCABULARY), None)
    if unknown is not None:
        raise UsageError(
            f"The pose has the unknown word {unknown!r} in {clause!r}. The vocabulary is {', '.join(VOCABULARY)}; "
            f"for hands and face {', '.join(PHRASES)}."
        )
    part = next((word for word in words if word in PARTS and word != "back"), None)
    if part is None and "back" in words and not {"facing", "standing"} & set(words):
        part = "back"
        words.remove("back")
    words = ["behind" if word == "back" else word for word in words]
    handler: Callable[[PoseAngles, list[str], float | None], bool] = _HANDLERS.get(part or "", _whole)
    if not handler(angles, words, amount):
        raise UsageError(
            f"The pose does not state what to do in {clause!r}: {part or 'it'} needs a word such as "
            f"{_HINTS[part or '']}."
        )


def _sides(words: list[str]) -> list[str]:
    sides = ["left", "right"]
    named = [side for side in sides if side in words]
    return named if len(named) == 1 and "both" not in words else sides


def _arm(angles: PoseAngles, words: list[str], amount: float | None) -> bool:
    if "crossed" in words:
        angles.arms = {side: replace(CROSSED_ARM, raised=raised) for side, raised in (("left", 28.0), ("right", 34.0))}
        return True
    changed = [_one_arm(angles.arms[side], words, amount) for side in _sides(words)]
    return all(changed)


def _one_arm(limb: Arm, words: list[str], amount: float | None) -> bool:
    done = False
    for word, ahead in (("forward", 90.0), ("sideways", 0.0), ("behind", -90.0), ("across", 125.0)):
        if word in words:
            limb.ahead, done = ahead, True
            limb.raised = {"behind": 40.0, "across": 70.0}.get(word, 90.0) if amount is None else amount
    for word, raised in (("raised", 155.0), ("up", 175.0), ("level", 90.0), ("down", 8.0)):
        if word in words and not (done and word == "raised"):
            limb.raised, done = raised if amount is None or word != "raised" else amount, True
    if "towards" in words and amount is not None:
        limb.ahead, done = amount, True
    if "straight" in words:
        limb.bend, done = 0.0, True
    if "bent" in words:
        limb.bend, done = 90.0 if amount is None else amount, True
    if "twisted" in words:
        limb.twist, done = 45.0 if amount is None else amount, True
    return done


CROSSED_ARM = Arm(raised=28.0, ahead=120.0, bend=80.0, twist=-45.0)


def _elbow(angles: PoseAngles, words: list[str], amount: float | None) -> bool:
    for side in _sides(words):
        angles.arms[side].bend = (90.0 if amount is None else amount) if "bent" in words else 0.0
    return "bent" in words or "straight" in words


def _hand(angles: PoseAngles, words: list[str], amount: float | None) -> bool:
    for side in _sides(words):
        if "hip" in words:
            angles.arms[side] = Arm(raised=42.0, ahead=-22.0, bend=105.0, twist=-72.0)
        elif "up" in words or "raised" in words:
            angles.arms[side] = Arm(raised=95.0, ahead=15.0, bend=95.0, twist=80.0)
        elif "down" in words:
            angles.arms[side] = Arm()
    return bool({"hip", "up", "raised", "down"} & set(words))


def _leg(angles: PoseAngles, words: list[str], amount: float | None) -> bool:
    done = False
    for side in _sides(words):
        limb = angles.legs[side]
        if "behind" in words:
            limb.raised, done = -(25.0 if amount is None else amount), True
        elif "sideways" in words:
            limb.spread, done = 25.0 if amount is None else amount, True
        elif {"raised", "forward", "up"} & set(words):
            limb.raised, done = 60.0 if amount is None else amount, True
        if {"straight", "down"} & set(words):
            limb.bend, done = 0.0, True
            limb.raised = 0.0 if "down" in words else limb.raised
        if "bent" in words:
            limb.bend, done = 60.0 if amount is None else amount, True
    return done


def _knee(angles: PoseAngles, words: list[str], amount: float | None) -> bool:
    for side in _sides(words):
        limb = angles.legs[side]
        if "raised" in words or "up" in words:
            limb.raised = 85.0 if amount is None else amount
            limb.bend = max(limb.bend, 85.0)
        elif "bent" in words:
            limb.bend = 60.0 if amount is None else amount
        elif "straight" in words:
            limb.bend = 0.0
    return bool({"raised", "up", "bent", "straight"} & set(words))


def _foot(angles: PoseAngles, words: list[str], amount: float | None) -> bool:
    for side in _sides(words):
        angles.legs[side].point = (1 if "pointed" in words else -1) * (30.0 if amount is None else amount)
    return "pointed" in words or "flexed" in words


def _head(angles: PoseAngles, words: list[str], amount: float | None) -> bool:
    sign = 1.0 if "left" in words else -1.0 if "right" in words else 0.0
    if "up" in words or "down" in words or "nodding" in words:
        angles.down = (-1 if "up" in words else 1) * (30.0 if amount is None else amount)
        return True
    if "tilted" in words and sign:
        angles.tilt = sign * (20.0 if amount is None else amount)
    elif "forward" in words or "straight" in words:
        angles.look = angles.down = angles.tilt = 0.0
        return True
    elif sign:
        angles.look = sign * (50.0 if amount is None else amount)
    return bool(sign)


def _back(angles: PoseAngles, words: list[str], amount: float | None) -> bool:
    sign = 1.0 if "left" in words else -1.0 if "right" in words else 0.0
    if sign and ("turned" in words or "twisted" in words):
        angles.twist = sign * (35.0 if amount is None else amount)
    elif sign:
        angles.side_lean = sign * (20.0 if amount is None else amount)
    elif "forward" in words or "behind" in words or {"bent", "leaning"} & set(words):
        angles.lean = (-1 if "behind" in words else 1) * (25.0 if amount is None else amount)
    elif "straight" in words:
        angles.lean = angles.side_lean = angles.twist = 0.0
    return bool(sign) or bool({"forward", "behind", "bent", "leaning", "straight"} & set(words))


def _whole(angles: PoseAngles, words: list[str], amount: float | None) -> bool:
    if "looking" in words or "nodding" in words:
        return _head(angles, words, amount)
    if {"leaning", "twisted", "turned", "bent"} & set(words):
        return _back(angles, words, amount)
    if "facing" in words:
        turn = {"left": 90.0, "right": -90.0, "behind": 180.0, "forward": 0.0}
        word = next((word for word in turn if word in words), None)
        angles.facing = amount if word is None and amount is not None else turn.get(word or "", 0.0)
        return word is not None or amount is not None
    if "t-pose" in words or "a-pose" in words:
        angles.arms = {side: Arm(90.0 if "t-pose" in words else 45.0, 0.0, 0.0) for side in ("left", "right")}
    elif "sitting" in words or "squatting" in words:
        deep = "squatting" in words
        angles.legs = {
            side: Leg(100.0 if deep else 88.0, 12.0, 112.0 if deep else 90.0, -22.0 if deep else 0.0)
            for side in ("left", "right")
        }
        angles.lean = 32.0 if deep else 0.0
    elif "kneeling" in words:
        # With a side, that knee is on the floor and the other foot in front.
        down = _sides(words) if {"left", "right"} & set(words) else ["left", "right"]
        for side in ("left", "right"):
            angles.legs[side] = Leg(-4.0, 6.0, 92.0, 35.0) if side in down else Leg(88.0, 6.0, 90.0, 2.0)
    elif "crossed" in words:
        return _arm(angles, words, amount)
    elif "standing" in words:
        angles.legs = {"left": Leg(), "right": Leg()}
    else:
        return False
    return True


_HANDLERS: dict[str, Callable[[PoseAngles, list[str], float | None], bool]] = {
    "arm": _arm, "elbow": _elbow, "hand": _hand, "leg": _leg, "knee": _knee, "foot": _foot, "head": _head,
    "back": _back,
}  # fmt: skip
_HINTS = {
    "arm": "raised, forward, sideways or bent", "elbow": "bent or straight", "hand": "up or on hip",
    "leg": "raised, back or sideways", "knee": "bent or raised", "foot": "pointed or flexed",
    "head": "turned left, tilted right or down", "back": "leaning forward or turned left",
    "": "standing or looking left",
}  # fmt: skip
