"""Sliders for hands and face in the Pose tab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import viser

from avatar.body.face import FACE_UNITS
from avatar.body.hand_angles import finger_rotations, relaxed_fingers
from avatar.body.skeleton import FINGER_JOINTS
from avatar.geometry import geodesic_angle
from avatar.motion.text.hands_face import EXPRESSIONS, hand_angles
from avatar.types import BodyPose
from avatar.viewer.session import Session
from avatar.viewer.state import Store, ViewState
from avatar.viewer.widgets import Show, on_user, set_if_changed

SIDES = ("left", "right")
FACES = {"Mouth open": "mouth open", "Smile": "smiling", "Eyes closed": "eyes closed", "Eyebrows": "eyebrows raised"}


def hands_face_folder(
    gui: viser.GuiApi, store: Store, session: Session, edit: Callable[[ViewState, BodyPose], ViewState]
) -> Show:
    """Build the sliders; returns the function that shows a state in them.

    Args:
        edit: the state with another pose.
    """
    with gui.add_folder("Hands and face"):
        hands = {side: gui.add_slider(f"{side.title()} hand", 0.0, 1.0, 0.01, 0.3, hint="From open to a fist")
                 for side in SIDES}  # fmt: skip
        faces = {name: gui.add_slider(label, 0.0, 1.0, 0.01, 0.0) for label, name in FACES.items()}

    def close(side: str, share: float) -> None:
        store.change(lambda state: edit(state, with_hand(session.pose(state), side, share)), f"close the {side} hand")

    def act(name: str, share: float) -> None:
        store.change(lambda state: edit(state, with_expression(session.pose(state), name, share)), name)

    for side, slider in hands.items():
        on_user(slider, lambda value, side=side: close(side, float(value)))  # type: ignore[misc]
    for name, slider in faces.items():
        on_user(slider, lambda value, name=name: act(name, float(value)))  # type: ignore[misc]

    def show(state: ViewState) -> None:
        pose = session.pose(state)
        for side, slider in hands.items():
            set_if_changed(slider, value=round(closed(pose, side), 2))
        for name, slider in faces.items():
            set_if_changed(slider, value=round(expressed(pose, name), 2))

    return show


def with_hand(pose: BodyPose, side: str, share: float) -> BodyPose:
    """The pose with one hand closed by `share`, from open (0) to a fist (1); the other hand stays or rests."""
    angles = torch.lerp(hand_angles("hand open"), hand_angles("fist"), share)
    both = finger_rotations(angles.expand(2, 5, 4))
    fingers = (relaxed_fingers() if pose.fingers is None else pose.fingers).clone()
    fingers[_of_side(side)] = both[_of_side(side)]
    return replace(pose, fingers=fingers)


def closed(pose: BodyPose, side: str) -> float:
    """How far a hand is closed, by the middle joint of its middle finger."""
    fingers = relaxed_fingers() if pose.fingers is None else pose.fingers
    bends = (hand_angles(shape)[1, 2] for shape in ("hand open", "fist"))
    least, most = (float(angle) for angle in bends)
    bent = float(geodesic_angle(fingers[FINGER_JOINTS.index(f"{side}_middle2")], torch.eye(3).to(fingers)))
    return min(max((bent - least) / (most - least), 0.0), 1.0)


def with_expression(pose: BodyPose, name: str, share: float) -> BodyPose:
    """The pose with an expression of `avatar.motion.text.hands_face` shown by `share`; other units stay."""
    face = torch.zeros(len(FACE_UNITS)) if pose.face is None else pose.face.clone()
    for unit, value in EXPRESSIONS[name].items():
        face[FACE_UNITS.index(unit)] = share * value
    return replace(pose, face=face)


def expressed(pose: BodyPose, name: str) -> float:
    """How far an expression is shown, by its first unit."""
    unit, value = next(iter(EXPRESSIONS[name].items()))
    return 0.0 if pose.face is None else min(float(pose.face[FACE_UNITS.index(unit)]) / value, 1.0)


def _of_side(side: str) -> slice:
    return slice(0, 15) if side == "left" else slice(15, 30)
