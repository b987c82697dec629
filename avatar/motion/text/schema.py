"""What a language model needs to write poses: the JSON schema of a pose file, and a prompt around it."""

from __future__ import annotations

import json
from typing import Any

from avatar.body.joint_limits import joint_ranges
from avatar.body.skeleton import SMPL_JOINTS
from avatar.motion.text.hands_face import PHRASES
from avatar.motion.text.parse import VOCABULARY
from avatar.motion.text.pose_file import POSE_FORMAT

_PROMPT = """\
You write poses of a person as JSON. Answer with one JSON object that fits the schema below, and with nothing else.

Conventions:
- The T-pose is zero: the person stands upright and faces +Z, the arms point to the sides, palms down.
- x points to the person's left, y up, z to the front. Left and right are the person's own.
- "words" describes the pose in clauses such as "left arm raised, right knee bent 90, looking left". Use only these
  words and numbers of degrees: {vocabulary}; and for hands and face these phrases, with left or right where one hand is
  meant: {phrases}.
- "degrees" gives joints as rotation vectors (axis times angle, in degrees) relative to the parent joint, away from the
  T-pose. A joint that is given here replaces what "words" says of it. Joints that are not given stay as they are.
- Turns about the axes: a knee bends about +x. The left elbow bends the forearm to the front about -y, the right one
  about +y. The left arm is lowered about -z, the right one about +z; by 80 degrees each the arms hang. A thigh is
  raised to the front about -x. The head looks down about +x, to the left about +y.
- Prefer "words"; add "degrees" for what words cannot say.

Schema:
{schema}

Example, for "a person who waves with the right hand":
{example}

The pose to write:
"""
_EXAMPLE = {
    "format": POSE_FORMAT,
    "words": "right arm sideways 100, right hand open, looking right 20, smiling",
    "degrees": {"right_elbow": [0, 80, 0]},
}


def pose_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a pose file, with the range of each joint in degrees."""
    low, high = (limits.rad2deg().round().tolist() for limits in joint_ranges())

    def joint(index: int) -> dict[str, Any]:
        ranges = [
            {"type": "number", "minimum": max(a, -180.0), "maximum": min(b, 180.0)}
            for a, b in zip(low[index], high[index], strict=True)
        ]
        return {"type": "array", "prefixItems": ranges, "items": False, "minItems": 3, "maxItems": 3}

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A pose of a person",
        "type": "object",
        "properties": {
            "format": {"const": POSE_FORMAT},
            "words": {"type": "string"},
            "degrees": {
                "type": "object",
                "properties": {name: joint(index) for index, name in enumerate(SMPL_JOINTS)},
                "additionalProperties": False,
            },
        },
        "required": ["format"],
        "anyOf": [{"required": ["words"]}, {"required": ["degrees"]}],
        "additionalProperties": False,
    }


def pose_prompt() -> str:
    """The prompt, to which the description of a pose is added."""
    return _PROMPT.format(
        vocabulary=", ".join(VOCABULARY),
        phrases=", ".join(PHRASES),
        schema=json.dumps(pose_schema()),
        example=json.dumps(_EXAMPLE),
    )
