"""The Pose tab: presets, single joints, hands and feet, text, and saving poses and keyframes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import viser
from viser import Icon

from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import AvatarError
from avatar.io.track_file import save_track
from avatar.types import BodyPose, BodyTrack
from avatar.viewer.clips import Clip
from avatar.viewer.hands_face_folder import hands_face_folder
from avatar.viewer.posing import (
    KEYFRAME_FPS,
    a_pose,
    between,
    joint_angles,
    mirrored,
    on_the_floor,
    rotation_of_angles,
    t_pose,
    turned,
)
from avatar.viewer.session import Session
from avatar.viewer.state import Handles, Store, ViewState
from avatar.viewer.widgets import ProgressCallback, Show, on_job, on_press, on_user, set_if_changed

PRESETS = ("T", "A", "First", "Mirror", "Reset")
HANDLES: dict[str, Handles] = {"Off": "off", "Joint": "joint", "Hands & feet": "hands and feet"}
JOINT_NAMES = tuple(name.replace("_", " ") for name in SMPL_JOINTS)


def pose_panel(gui: viser.GuiApi, store: Store, session: Session) -> Show:
    """Build the widgets for posing; returns the function that shows a state in them."""
    preset = gui.add_button_group("Pose", PRESETS)
    handles = gui.add_dropdown("Handles", tuple(HANDLES), hint="Rings or arrows to drag in the scene")
    words = gui.add_text("In words", "", hint="For example: left arm raised, right fist, smiling")
    show_joint = _joint_folder(gui, store, session)
    show_hands_face = hands_face_folder(gui, store, session, _edit)
    show_saving = _saving_folder(gui, store, session)

    on_user(preset, lambda name: store.change(lambda state: _preset(state, name, session)))
    on_user(handles, lambda name: store.change(lambda state: _with_handles(state, HANDLES[name])))
    on_user(words, lambda text: store.change(lambda state: _posed_by_words(state, text, session)))

    def show(state: ViewState) -> None:
        set_if_changed(handles, value=next(label for label, value in HANDLES.items() if value == state.handles))
        show_joint(state)
        show_hands_face(state)
        show_saving(state)

    return show


def _joint_folder(gui: viser.GuiApi, store: Store, session: Session) -> Show:
    with gui.add_folder("Joint"):
        joint = gui.add_dropdown("Joint", JOINT_NAMES, initial_value=JOINT_NAMES[store.state.joint])
        turns = [gui.add_slider(f"Turn {axis}", -180, 180, 1, 0.0) for axis in "XYZ"]

    def turn(_: float) -> None:
        x, y, z = (float(slider.value) for slider in turns)
        rotation = rotation_of_angles((x, y, z))
        store.change(lambda state: _edit(state, turned(session.pose(state), state.joint, rotation)), "turn a joint")

    on_user(joint, lambda name: store.set(joint=JOINT_NAMES.index(name)))
    for slider in turns:
        on_user(slider, turn)

    def show(state: ViewState) -> None:
        set_if_changed(joint, value=JOINT_NAMES[state.joint])
        angles = joint_angles(session.pose(state), state.joint)
        current = rotation_of_angles(tuple(float(slider.value) for slider in turns))  # type: ignore[arg-type]
        # The same rotation may have other angles; then the sliders stay as the person left them.
        if not torch.allclose(current, rotation_of_angles(angles), atol=0.02):
            for slider, angle in zip(turns, angles, strict=True):
                set_if_changed(slider, value=float(round(angle)))

    return show


def _saving_folder(gui: viser.GuiApi, store: Store, session: Session) -> Show:
    with gui.add_folder("Keep"):
        save = gui.add_button("Save this pose", icon=Icon.DEVICE_FLOPPY, color="gray")
        add = gui.add_button("Add as keyframe", icon=Icon.KEYFRAME)
        seconds = gui.add_slider("Seconds per step", 0.2, 4.0, 0.1, 1.0, hint="From one keyframe or view to the next")
        save_clip = gui.add_button("Save keyframed clip", icon=Icon.MOVIE)
        clear = gui.add_button("Clear keyframes", icon=Icon.TRASH, color="gray")

    def save_pose(client: viser.ClientHandle, report: ProgressCallback) -> str:
        pose = session.pose(store.state)
        return _save(store, session, "pose", between((pose,), 1))

    def save_keyframes(client: viser.ClientHandle, report: ProgressCallback) -> str:
        poses = store.state.keyframes
        if len(poses) < 2:
            raise AvatarError("Add at least two keyframes first.")
        return _save(store, session, "keyframes", between(poses, round(store.state.step_seconds * KEYFRAME_FPS)))

    on_press(
        add,
        lambda: store.change(lambda state: replace(state, keyframes=(*state.keyframes, session.pose(state)))),
    )
    on_press(clear, lambda: store.set(keyframes=()))
    on_user(seconds, lambda value: store.set(step_seconds=float(value)))
    on_job(save, "Saving the pose", save_pose)
    on_job(save_clip, "Saving the clip", save_keyframes)

    def show(state: ViewState) -> None:
        set_if_changed(save_clip, visible=len(state.keyframes) > 0)
        set_if_changed(clear, visible=len(state.keyframes) > 0)
        set_if_changed(seconds, visible=len(state.keyframes) > 0, value=state.step_seconds)

    return show


def _edit(state: ViewState, pose: BodyPose) -> ViewState:
    return replace(state, edited=pose, playing=False, message="")


def _with_handles(state: ViewState, handles: Handles) -> ViewState:
    return replace(state, handles=handles, playing=state.playing and handles == "off")


def _preset(state: ViewState, name: str, session: Session) -> ViewState:
    """The state after one of the preset buttons."""
    here = session.pose(state)
    first = session.clip(state.clip).poses[0]
    makers: dict[str, Callable[[], BodyPose]] = {
        "T": lambda: t_pose(here.root_position),
        "A": lambda: a_pose(here.root_position),
        "First": lambda: first,
        "Mirror": lambda: mirrored(here),
    }
    return replace(state, edited=None) if name == "Reset" else _edit(state, makers[name]())


def _posed_by_words(state: ViewState, text: str, session: Session) -> ViewState:
    """The state with the pose that `text` describes, or with the reason why it cannot be parsed."""
    from avatar.motion.text.pose_file import pose_from_words

    if not text.strip():
        return state
    try:
        described = pose_from_words(text)
    except AvatarError as error:
        return replace(state, message=str(error))
    avatar = session.avatar
    pose = replace(described, root_position=session.pose(state).root_position)
    return _edit(state, on_the_floor(avatar.body, avatar.rest, pose))


def _save(store: Store, session: Session, kind: str, poses: BodyPose) -> str:
    """Save poses as a motion file of the run, under a new name, and add them to the motions."""
    if session.folder is None:
        raise AvatarError("A preview has no folder to save into.")
    path = _free_name(session.folder / "motions", kind)
    count = len(poses)
    avatar = session.avatar
    track = BodyTrack(
        body=avatar.body.name,
        betas=avatar.betas.detach().cpu(),
        poses=poses,
        times=torch.arange(count) / KEYFRAME_FPS,
        confidence=torch.ones(count, poses.rotations.shape[1]),
        instant=torch.arange(count),
    )
    save_track(track, path)
    session.clips = {**session.clips, path.name: Clip(path.name, poses, KEYFRAME_FPS)}
    store.set(message="")  # so that all tabs redraw and list the new motion
    return f"Saved as {path}."


def _free_name(folder: Path, kind: str) -> Path:
    number = 1
    while (folder / f"{kind}-{number:03d}.npz").exists():
        number += 1
    return folder / f"{kind}-{number:03d}.npz"
