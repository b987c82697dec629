"""The gizmo of a prop: arrows and rings that move and turn it on the body."""

from __future__ import annotations

from dataclasses import replace

import torch
import viser
from jaxtyping import Float
from torch import Tensor

from avatar.body.anchors import anchor_of
from avatar.geometry import invert_rigid, quat_from_rotation, rigid, rotation_from_quat
from avatar.model.props import Prop
from avatar.types import BodyPose
from avatar.viewer.session import PosedState, Session
from avatar.viewer.state import PROP, Store, ViewState

SIZE = 0.2  # metres


class PropGizmo:
    """Shows the gizmo at the prop that a state names; user input changes only the state."""

    def __init__(self, scene: viser.SceneApi, store: Store, session: Session) -> None:
        self.store, self.session = store, session
        self.gizmo = scene.add_transform_controls("/gizmos/prop", SIZE, disable_sliders=True, visible=False)

        @self.gizmo.on_update
        async def _(event: viser.TransformControlsEvent) -> None:
            R = rotation_from_quat(torch.tensor(event.target.wxyz, dtype=torch.float32))
            T = rigid(R, torch.tensor(event.target.position, dtype=torch.float32))
            self.store.change(lambda state: self._moved(state, T, event.phase))

    def _moved(self, state: ViewState, T_world_prop: Float[Tensor, "4 4"], phase: str) -> ViewState:
        prop = chosen_prop(state)
        if prop is None:
            return state
        T = invert_rigid(self._frame(prop, self.session.pose(state))) @ T_world_prop
        anchor = anchor_of(self.session.avatar.body, self.session.avatar.rest, prop.place)
        own = rigid(T[:3, :3], T[:3, 3] / prop.stretch(anchor).cpu())
        moved = replace(prop, T_anchor_prop=own)
        props = tuple(moved if other is prop else other for other in state.props)
        return replace(state, props=props, playing=False, held=None if phase == "end" else PROP)

    def _frame(self, prop: Prop, pose: BodyPose) -> Float[Tensor, "4 4"]:
        """The frame of the prop's anchor in the world."""
        avatar = self.session.avatar
        anchor = anchor_of(avatar.body, avatar.rest, prop.place)
        T = avatar.carried_by(anchor.joint, pose.to(avatar.device)) @ anchor.T_rest_anchor
        return T.detach().cpu()

    def show(self, state: ViewState, posed: PosedState) -> None:
        """Put the gizmo where the prop is, unless the mouse holds it."""
        prop = chosen_prop(state)
        self.gizmo.visible = prop is not None and not state.playing
        if prop is None or state.playing or state.held is not None:
            return
        anchor = anchor_of(self.session.avatar.body, self.session.avatar.rest, prop.place)
        own = prop.T_anchor_prop.cpu()
        own = rigid(own[:3, :3], own[:3, 3] * prop.stretch(anchor).cpu())
        T = self._frame(prop, posed.pose) @ own
        self.gizmo.wxyz = quat_from_rotation(T[:3, :3]).numpy()
        self.gizmo.position = T[:3, 3].numpy()


def chosen_prop(state: ViewState) -> Prop | None:
    """The prop that the gizmo moves."""
    return next((prop for prop in state.props if prop.name == state.prop), None)
