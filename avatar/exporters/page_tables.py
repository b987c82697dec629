"""Tables of the program that the exported page reads too."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from avatar.body import Body
from avatar.body.joint_limits import JOINT_RANGES, joint_prior
from avatar.body.landmarks import detector_places, side_and_kind
from avatar.body.skeleton import SMPL_JOINTS
from avatar.landmark_layouts import LAYOUTS
from avatar.motion.figure import AT_EASE, BONES, POINTS
from avatar.motion.formats.smpl import BODY, PLACE, RATE, REST_PELVIS, ROOT, WHOLE
from avatar.motion.ik import HINGES
from avatar.motion.joint_names import name_tables
from avatar.motion.motion import MEAN_LEG
from avatar.tracking.detector_bias import direction_biases
from avatar.tracking.kinematics import joint_points
from avatar.tracking.landmarks import landmark_points
from avatar.tracking.masses import MASSES
from avatar.tracking.pose_prior import SEGMENTS, load_pose_prior
from avatar.tracking.problem import sole_vertices

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
    joints = [name for name in SMPL_JOINTS if _kind(name) not in _LEFT_OUT]
    return {
        "points": POINTS,
        "bones": BONES,
        "at_ease": dict(zip(POINTS, AT_EASE.tolist(), strict=True)),
        "joints": joints,
        "ranges": _ranges(body, [name for name in joints if _kind(name) not in _STILL]),
        "places": _places(body),
        "masses": MASSES,
    }


def mirror_table(body: Body) -> dict[str, Any]:
    """What the fit to the landmarks of MediaPipe's light network needs, as `avatar.tracking` measured it.

    `landmarks` holds for each landmark its joint, the offset from it in metres, its weight and the share of the
    camera's pitch that the detector ignores; `bones` the ends of each bone and the bias of its direction; `soles`
    points under the feet, the heel and the ball of each; `prior` the components of the pose prior.
    """
    layout = LAYOUTS["blazepose33"]
    points, _ = landmark_points(body, "blazepose33")
    places = detector_places("blazepose33")
    joints = joint_points(body)
    landmarks = []
    for index, name in enumerate(layout.names):
        bone, place = int(points.weights[index].argmax()), places[side_and_kind(name)[1]]
        offset = _rounded(points.rest[index] - joints.rest[bone])
        landmarks.append([body.joint_names[bone], offset, place.weight, place.pitch_bias])
    bones = [(a, b) for a, b in layout.bones if a in SMPL_JOINTS and b in SMPL_JOINTS]
    biases = direction_biases("blazepose33", bones, light=True)
    soles = []
    for vertex in sole_vertices(body).tolist():
        bone = int(body.weights[vertex].argmax())
        soles.append([body.joint_names[bone], _rounded(body.template[vertex].double() - joints.rest[bone])])
    prior = load_pose_prior()
    return {
        "names": layout.names,
        "landmarks": landmarks,
        "bones": [[*ends, bias.camera, bias.body, bias.share] for ends, bias in zip(bones, biases, strict=True)],
        "ranges": _ranges(body, [name for name in SMPL_JOINTS if _kind(name) not in ("hand", "foot")]),
        "masses": MASSES,
        "soles": soles,
        "prior": {
            "segments": SEGMENTS,
            "means": _rounded(prior.means),
            "whitening": _rounded(prior.whitening, 3),
            "penalty": _rounded(prior.penalty),
        },
    }


def _rounded(values: Tensor, digits: int = 5) -> Any:
    return values.numpy().round(digits).tolist()


def _ranges(body: Body, names: list[str]) -> dict[str, Any]:
    """Least, usual and greatest angle and the spread of each joint that has a range, for each axis, radians."""
    prior = joint_prior(body)
    return {name: prior[:, body.joint_names.index(name)].T.tolist() for name in names if _kind(name) in JOINT_RANGES}


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
