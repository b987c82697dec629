"""Tables of the program that the exported page reads too."""

from __future__ import annotations

from typing import Any

from avatar.body import Body
from avatar.body.joint_limits import JOINT_RANGES, joint_prior
from avatar.body.skeleton import SMPL_JOINTS
from avatar.landmark_layouts import LAYOUTS
from avatar.motion.figure import AT_EASE, BONES, POINTS
from avatar.motion.formats.smpl import BODY, PLACE, RATE, REST_PELVIS, ROOT, WHOLE
from avatar.motion.ik import HINGES
from avatar.motion.joint_names import name_tables
from avatar.motion.motion import MEAN_LEG
from avatar.tracking.kinematics import joint_points
from avatar.tracking.landmarks import landmark_points
from avatar.tracking.masses import MASSES

# Joints that the points of a drawing do not bend; hands are no joints of the page's fit at all.
_STILL = ("wrist", "ankle", "foot")
_LEFT_OUT = ("hand",)


def motion_table() -> dict[str, Any]:
    """The words and numbers by which motion files are read."""
    return {
        **name_tables(),
        "hinges": HINGES,
        "joints": SMPL_JOINTS,
        "smpl": {"whole": WHOLE, "root": ROOT, "body": BODY, "place": PLACE, "rate": RATE},
        "rest_pelvis": REST_PELVIS,
        "leg": MEAN_LEG,
    }


def figure_table(body: Body) -> dict[str, Any]:
    """What a drawn figure consists of, and what is usual for the joints of this body.

    `ranges` holds for each joint and axis least, usual and greatest angle and the spread, radians; `places` for each
    point a joint and the offset from it, metres.
    """
    prior = joint_prior(body)
    joints = [name for name in SMPL_JOINTS if _kind(name) not in _LEFT_OUT]
    return {
        "points": POINTS,
        "bones": BONES,
        "at_ease": dict(zip(POINTS, AT_EASE.tolist(), strict=True)),
        "joints": joints,
        "ranges": {
            name: prior[:, body.joint_names.index(name)].T.tolist()
            for name in joints
            if _kind(name) in JOINT_RANGES and _kind(name) not in _STILL
        },
        "places": _places(body),
        "masses": MASSES,
    }


def _places(body: Body) -> dict[str, tuple[str, list[float]]]:
    points, _ = landmark_points(body, "coco17")
    joints = joint_points(body)
    places: dict[str, tuple[str, list[float]]] = {}
    for index, name in enumerate(LAYOUTS["coco17"].names):
        bone = int(points.weights[index].argmax())
        at_joint = name in SMPL_JOINTS
        offset = [0.0, 0.0, 0.0] if at_joint else (points.rest[index] - joints.rest[bone]).tolist()
        places[name] = (name if at_joint else body.joint_names[bone], offset)
    return places


def _kind(name: str) -> str:
    return name.removeprefix("left_").removeprefix("right_")
