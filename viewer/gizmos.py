"""Gizmos in the scene: rings that turn the chosen joint, arrows that pull hands and feet."""

from __future__ import annotations

from dataclasses import replace

import torch
import viser

from avatar.body.skeleton import SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.geometry import quat_from_rotation, rotation_from_quat
from avatar.types import BodyPose
from avatar.viewer.posing import HANDS_AND_FEET, turned
from avatar.viewer.session import PosedState, Session
from avatar.viewer.state import Drag, Store, ViewState

SIZE = 0.25  # metres, so that arrows stick out of the trunk and the feet


class Gizmos:
    """Shows the gizmos of a state; user input changes only the state."""

    def __init__(self, scene: viser.SceneApi, store: Store, session: Session) -> None:
        self.store, self.session = store, session
        self.ring = scene.add_transform_controls(
            "/gizmos/joint", SIZE, disable_axes=True, disable_sliders=True, visible=False
        )
        self.pulls = {
            joint: scene.add_transform_controls(f"/gizmos/pull-{joint}", SIZE, disable_rotations=True, visible=False)
            for joint in HANDS_AND_FEET
        }
        self._listen()

    def _listen(self) -> None:
        @self.ring.on_update
        async def _(event: viser.TransformControlsEvent) -> None:
            quat = torch.tensor(event.target.wxyz, dtype=torch.float32)
            self.store.change(lambda state: self._turned(state, quat, event.phase))

        for joint, gizmo in self.pulls.items():
            self._listen_to_pull(joint, gizmo)

    def _listen_to_pull(self, joint: int, gizmo: viser.TransformControlsHandle) -> None:
        @gizmo.on_update
        async def _(event: viser.TransformControlsEvent) -> None:
            x, y, z = (float(v) for v in event.target.position)
            self.store.change(lambda state: self._pulled(state, joint, (x, y, z), event.phase))

    def _turned(self, state: ViewState, quat: torch.Tensor, phase: str) -> ViewState:
        pose = self.session.pose(state)
        world = rotation_from_quat(quat)
        parent = SMPL_PARENTS[state.joint]
        above = torch.eye(3) if parent < 0 else self._frames(pose)[parent, :3, :3]
        edited = turned(pose, state.joint, above.mT @ world)
        return replace(state, edited=edited, playing=False, held=None if phase == "end" else state.joint)

    def _pulled(self, state: ViewState, joint: int, target: tuple[float, float, float], phase: str) -> ViewState:
        # The pose from which the hand was grabbed stays the start of the whole pull, so that nothing drifts.
        start = state.drag.start if state.drag is not None else self.session.pose(state)
        if phase == "end":
            return replace(state, drag=None, held=None)
        return replace(state, drag=Drag(joint, target, start), held=joint, playing=False)

    def _frames(self, pose: BodyPose) -> torch.Tensor:
        """Frames of the common 24 joints in the world."""
        avatar = self.session.avatar
        joints = avatar.rest.joints[list(avatar.body.smpl_index)].detach().cpu()
        return joint_transforms(joints, SMPL_PARENTS, pose)

    def show(self, state: ViewState, posed: PosedState) -> None:
        """Put the gizmos where the joints are, except the one that the mouse holds."""
        idle = not state.playing
        self.ring.visible = idle and state.handles == "joint"
        for gizmo in self.pulls.values():
            gizmo.visible = idle and state.handles == "hands and feet"
        if not idle or state.handles == "off" or state.held is not None:
            return
        frames = self._frames(posed.pose)
        if state.handles == "joint":
            self.ring.wxyz = quat_from_rotation(frames[state.joint, :3, :3]).numpy()
            self.ring.position = frames[state.joint, :3, 3].numpy()
        for joint, gizmo in self.pulls.items():
            gizmo.position = frames[joint, :3, 3].numpy()
