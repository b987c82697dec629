"""The body under the splats: its mesh and skeleton, which the browser poses from the joints' transforms."""

from __future__ import annotations

import numpy as np
import viser
from jaxtyping import Float

from avatar.body.skinning import joint_transforms
from avatar.geometry import quat_from_rotation
from avatar.viewer.session import PosedState, Session
from avatar.viewer.state import ViewState
from avatar.viewer.widgets import set_if_changed

TRANSLUCENT = 0.5  # opacity of the mesh while the skeleton inside is visible
SKIN = (176, 184, 196)
BONE, JOINT, CHOSEN = (60, 110, 220), (40, 70, 160), (255, 140, 0)


class BodyLayer:
    """Draws the body mesh (skinned in the browser) and the skeleton."""

    def __init__(self, server: viser.ViserServer, session: Session) -> None:
        self.server, self.scene, self.session = server, server.scene, session
        self.mesh: viser.MeshSkinnedHandle | None = None
        self.mesh_betas: tuple[float, ...] = ()
        self.bones: viser.LineSegmentsHandle | None = None
        self.joints: viser.PointCloudHandle | None = None

    def show(self, state: ViewState, posed: PosedState) -> None:
        """Draw mesh and skeleton as `state` has them."""
        if state.mesh or state.skeleton:
            avatar = self.session.avatar
            full = avatar.body.complete(posed.pose.to(avatar.device))
            Ts = joint_transforms(avatar.rest.joints, avatar.body.parents, full).detach().cpu()
            quats, positions = quat_from_rotation(Ts[:, :3, :3]).numpy(), Ts[:, :3, 3].numpy()
            with self.server.atomic():
                if state.mesh:
                    self._show_mesh(state, quats, positions)
                if state.skeleton:
                    self._show_skeleton(state, positions)
        if self.mesh is not None:
            self.mesh.visible = state.mesh
            set_if_changed(self.mesh, opacity=TRANSLUCENT if state.skeleton else 1.0)
        for part in (self.bones, self.joints):
            if part is not None:
                part.visible = state.skeleton

    def _show_mesh(
        self, state: ViewState, quats: Float[np.ndarray, "j 4"], positions: Float[np.ndarray, "j 3"]
    ) -> None:
        if self.mesh is None or self.mesh_betas != state.betas:
            self.mesh, self.mesh_betas = self._new_mesh(), state.betas
        for bone, quat, position in zip(self.mesh.bones, quats, positions, strict=True):
            bone.wxyz, bone.position = quat, position

    def _new_mesh(self) -> viser.MeshSkinnedHandle:
        body, rest = self.session.avatar.body, self.session.avatar.rest
        count = len(body.parents)
        return self.scene.add_mesh_skinned(
            "/mesh",
            rest.vertices.detach().cpu().numpy(),
            body.faces.cpu().numpy(),
            bone_wxyzs=np.tile([1.0, 0.0, 0.0, 0.0], (count, 1)),
            bone_positions=rest.joints.detach().cpu().numpy(),
            skin_weights=body.weights.cpu().numpy(),
            color=SKIN,
        )

    def _show_skeleton(self, state: ViewState, positions: Float[np.ndarray, "j 3"]) -> None:
        parents = self.session.avatar.body.parents
        ends = np.stack([positions[[p, j]] for j, p in enumerate(parents) if p >= 0])
        colors = np.tile(np.array(JOINT, np.uint8), (len(positions), 1))
        colors[state.joint] = CHOSEN
        if self.bones is None or self.joints is None:
            self.bones = self.scene.add_line_segments("/skeleton/bones", ends, BONE, thickness=0.012)
            self.joints = self.scene.add_point_cloud(
                "/skeleton/joints", positions, colors, point_size=0.025, point_shape="circle"
            )
        self.bones.points, self.joints.points, self.joints.colors = ends, positions, colors
