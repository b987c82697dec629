"""Poses in words, both ways: "left arm raised, right knee bent 90, looking left" (posecodes of PoseScript, Delmas et
al. 2022, turned round).

The pose starts as a person standing at ease. Clauses stand between commas or `and`; each names a body part (with
`left`, `right` or `both`), what it does, and if wanted by how many degrees:

| part | what it does |
|---|---|
| arm | raised, up, down, level, straight, bent, twisted; towards: forward, sideways, back, across |
| elbow | bent, straight |
| hand | on hip, up, down |
| leg | raised, forward, back, sideways, straight |
| knee | bent, straight, raised |
| foot | pointed, flexed |
| head | turned, tilted, nodding: left, right, up, down; also `looking left` |
| back (torso, body) | leaning, bent, turned, twisted: forward, back, left, right |
| (none) | standing, t-pose, a-pose, sitting, squatting, facing left, right, back |
"""

from __future__ import annotations

import re
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from avatar.errors import UsageError
from avatar.motion.text.pose_angles import Arm, Figure, Leg

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
    "sideways", "apart": "sideways", "upwards": "up", "downwards": "down",
}  # fmt: skip
# Words that change nothing.
FILLING = frozenset(
    ("upper", "degrees", "degree", "the", "a", "to", "is", "are", "at", "in", "of", "by", "with", "on", "his", "her",
     "their", "my", "your")
)  # fmt: skip
PARTS = ("arm", "elbow", "hand", "leg", "knee", "foot", "head", "back")
ACTIONS = (
    "raised", "up", "down", "level", "straight", "bent", "twisted", "towards", "forward", "sideways", "behind",
    "across", "hip", "pointed", "flexed", "turned", "tilted", "nodding", "looking", "leaning", "standing", "t-pose",
    "a-pose", "sitting", "squatting", "facing", "left", "right", "both",
)  # fmt: skip
KNOWN = (*PARTS, *ACTIONS)


def pose_from_words(text: str) -> Float[Tensor, "24 3 3"]:
    """The rotations of a pose described in words.

    Raises:
        UsageError: it holds a word that is not understood, and names it.
    """
    figure = Figure()
    clauses = [clause.strip() for clause in re.split(r",|;|\.(?!\d)|\band\b", text.lower()) if clause.strip()]
    if not clauses:
        raise UsageError("The pose has no words: say for instance 'left arm raised, right knee bent 90'.")
    for clause in clauses:
        _apply(figure, clause)
    return figure.rotations()


def _apply(figure: Figure, clause: str) -> None:
    words = re.findall(r"-?\d+(?:\.\d+)?|[a-z]+(?:-[a-z]+)?", clause)
    # "back" is a part where nothing else is named, and a direction beside another part or after "facing".
    words = [SAME.get(word, word) for word in words if word not in FILLING]
    amount = next((float(word) for word in words if re.fullmatch(r"-?\d+(?:\.\d+)?", word)), None)
    said = [word for word in words if not re.fullmatch(r"-?\d+(?:\.\d+)?", word)]
    strange = next((word for word in said if word not in KNOWN), None)
    if strange is not None:
        raise UsageError(
            f"The pose has a word that is not understood: {strange!r} in {clause!r}. Known are {', '.join(KNOWN)}."
        )
    part = next((word for word in said if word in PARTS and word != "back"), None)
    if part is None and "back" in said and not {"facing", "standing"} & set(said):
        part = "back"
        said.remove("back")
    said = ["behind" if word == "back" else word for word in said]
    handler: Callable[[Figure, list[str], float | None], bool] = _HANDLERS.get(part or "", _whole)
    if not handler(figure, said, amount):
        raise UsageError(
            f"The pose does not say what to do in {clause!r}: {part or 'it'} needs a word such as {_HINTS[part or '']}."
        )


def _sides(said: list[str]) -> list[str]:
    sides = ["left", "right"]
    named = [side for side in sides if side in said]
    return named if len(named) == 1 and "both" not in said else sides


def _arm(figure: Figure, said: list[str], amount: float | None) -> bool:
    done = False
    for side in _sides(said):
        limb = figure.arms[side]
        for word, ahead in (("forward", 90.0), ("sideways", 0.0), ("behind", -90.0), ("across", 125.0)):
            if word in said:
                limb.ahead, done = ahead, True
                limb.raised = {"behind": 40.0, "across": 70.0}.get(word, 90.0) if amount is None else amount
        for word, raised in (("raised", 155.0), ("up", 175.0), ("level", 90.0), ("down", 8.0)):
            if word in said and not (done and word == "raised"):
                limb.raised, done = raised if amount is None or word != "raised" else amount, True
        if "towards" in said and amount is not None:
            limb.ahead, done = amount, True
        if "straight" in said:
            limb.bend, done = 0.0, True
        if "bent" in said:
            limb.bend, done = 90.0 if amount is None else amount, True
        if "twisted" in said:
            limb.twist, done = 45.0 if amount is None else amount, True
    return done


def _elbow(figure: Figure, said: list[str], amount: float | None) -> bool:
    for side in _sides(said):
        figure.arms[side].bend = (90.0 if amount is None else amount) if "bent" in said else 0.0
    return "bent" in said or "straight" in said


def _hand(figure: Figure, said: list[str], amount: float | None) -> bool:
    for side in _sides(said):
        if "hip" in said:
            figure.arms[side] = Arm(raised=42.0, ahead=-22.0, bend=105.0, twist=-72.0)
        elif "up" in said or "raised" in said:
            figure.arms[side] = Arm(raised=95.0, ahead=15.0, bend=95.0, twist=80.0)
        elif "down" in said:
            figure.arms[side] = Arm()
    return bool({"hip", "up", "raised", "down"} & set(said))


def _leg(figure: Figure, said: list[str], amount: float | None) -> bool:
    done = False
    for side in _sides(said):
        limb = figure.legs[side]
        if "behind" in said:
            limb.raised, done = -(25.0 if amount is None else amount), True
        elif "sideways" in said:
            limb.spread, done = 25.0 if amount is None else amount, True
        elif {"raised", "forward", "up"} & set(said):
            limb.raised, done = 60.0 if amount is None else amount, True
        if {"straight", "down"} & set(said):
            limb.bend, done = 0.0, True
            limb.raised = 0.0 if "down" in said else limb.raised
        if "bent" in said:
            limb.bend, done = 60.0 if amount is None else amount, True
    return done


def _knee(figure: Figure, said: list[str], amount: float | None) -> bool:
    for side in _sides(said):
        limb = figure.legs[side]
        if "raised" in said or "up" in said:
            limb.raised = 85.0 if amount is None else amount
            limb.bend = max(limb.bend, 85.0)
        elif "bent" in said:
            limb.bend = 60.0 if amount is None else amount
        elif "straight" in said:
            limb.bend = 0.0
    return bool({"raised", "up", "bent", "straight"} & set(said))


def _foot(figure: Figure, said: list[str], amount: float | None) -> bool:
    for side in _sides(said):
        figure.legs[side].point = (1 if "pointed" in said else -1) * (30.0 if amount is None else amount)
    return "pointed" in said or "flexed" in said


def _head(figure: Figure, said: list[str], amount: float | None) -> bool:
    sign = 1.0 if "left" in said else -1.0 if "right" in said else 0.0
    if "up" in said or "down" in said or "nodding" in said:
        figure.down = (-1 if "up" in said else 1) * (30.0 if amount is None else amount)
        return True
    if "tilted" in said and sign:
        figure.tilt = sign * (20.0 if amount is None else amount)
    elif "forward" in said or "straight" in said:
        figure.look = figure.down = figure.tilt = 0.0
        return True
    elif sign:
        figure.look = sign * (50.0 if amount is None else amount)
    return bool(sign)


def _back(figure: Figure, said: list[str], amount: float | None) -> bool:
    sign = 1.0 if "left" in said else -1.0 if "right" in said else 0.0
    if sign and ("turned" in said or "twisted" in said):
        figure.twist = sign * (35.0 if amount is None else amount)
    elif sign:
        figure.side_lean = sign * (20.0 if amount is None else amount)
    elif "forward" in said or "behind" in said or {"bent", "leaning"} & set(said):
        figure.lean = (-1 if "behind" in said else 1) * (25.0 if amount is None else amount)
    elif "straight" in said:
        figure.lean = figure.side_lean = figure.twist = 0.0
    return bool(sign) or bool({"forward", "behind", "bent", "leaning", "straight"} & set(said))


def _whole(figure: Figure, said: list[str], amount: float | None) -> bool:
    if "looking" in said or "nodding" in said:
        return _head(figure, said, amount)
    if {"leaning", "twisted", "turned", "bent"} & set(said):
        return _back(figure, said, amount)
    if "facing" in said:
        turn = {"left": 90.0, "right": -90.0, "behind": 180.0, "forward": 0.0}
        word = next((word for word in turn if word in said), None)
        figure.facing = amount if word is None and amount is not None else turn.get(word or "", 0.0)
        return word is not None or amount is not None
    if "t-pose" in said or "a-pose" in said:
        figure.arms = {side: Arm(90.0 if "t-pose" in said else 45.0, 0.0, 0.0) for side in ("left", "right")}
    elif "sitting" in said or "squatting" in said:
        deep = "squatting" in said
        figure.legs = {
            side: Leg(100.0 if deep else 88.0, 12.0, 112.0 if deep else 90.0, -22.0 if deep else 0.0)
            for side in ("left", "right")
        }
        figure.lean = 32.0 if deep else 0.0
    elif "standing" in said:
        figure.legs = {"left": Leg(), "right": Leg()}
    else:
        return False
    return True


_HANDLERS: dict[str, Callable[[Figure, list[str], float | None], bool]] = {
    "arm": _arm, "elbow": _elbow, "hand": _hand, "leg": _leg, "knee": _knee, "foot": _foot, "head": _head,
    "back": _back,
}  # fmt: skip
_HINTS = {
    "arm": "raised, forward, sideways or bent", "elbow": "bent or straight", "hand": "up or on hip",
    "leg": "raised, back or sideways", "knee": "bent or raised", "foot": "pointed or flexed",
    "head": "turned left, tilted right or down", "back": "leaning forward or turned left",
    "": "standing or looking left",
}  # fmt: skip
