"""Things that a person wears or holds: splats that follow one joint, placed relative to the body."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body, RestBody
from avatar.body.anchors import Anchor, anchor_of, head_vertices
from avatar.geometry import transform, vertex_normals
from avatar.io.meshes import Mesh
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.model.lighting import irradiance_gain
from avatar.types import Gaussians

SPACING = 0.003  # metres between the splats of a mesh
SOLID, LOOKS = 0.3, 1.4  # opacity of splats that become squares; half a square's side in standard deviations
DEEPEST = 0.004  # metres that a hat may reach into the head
WIDER = 12  # percent by which a hat may be widened for a head of another form
FEWEST, MOST = 5_000, 20_000  # splats of a mesh


@dataclass(frozen=True, eq=False)
class Shape:
    """What something looks like, in axes of its own (y up, z its front), metres.

    Attributes:
        gaussians: its splats, in even light.
        normals: unit vectors out of its surface at the splats.
        mesh: its surface as triangles, for programs that draw meshes; None where it came as splats.
    """

    gaussians: Gaussians
    normals: Float[Tensor, "n 3"]
    mesh: Mesh | None = None

    @staticmethod
    def of_mesh(mesh: Mesh, count: int | None = None, cover: float = 1.3) -> Shape:
        """Flat splats spread over a mesh; `count` of them, by default one per `SPACING`.

        Args:
            cover: how much larger they are than on an avatar, whose training closes the holes.
        """
        frames = triangle_frames(mesh.vertices, mesh.faces)
        if count is None:
            count = min(max(round(float(frames.area.sum()) / SPACING**2), FEWEST), MOST)
        spread = sample_on_surface(frames, torch.ones_like(frames.area), count, torch.Generator().manual_seed(0))
        colors = torch.einsum("nc,ncx->nx", spread.bary, mesh.colors[mesh.faces[spread.face]])
        splats = Gaussians(
            spread.means(frames), spread.orientations(spread.frame_quats(frames)), cover * spread.scales,
            torch.full((count,), 0.98), colors,
        )  # fmt: skip
        return Shape(splats.detach(), frames.rotation[spread.face][..., 2], mesh)

    @staticmethod
    def of_splats(gaussians: Gaussians) -> Shape:
        """Splats as they are; each faces along its shortest axis, away from the middle."""
        R = gaussians.rotations
        thinnest = gaussians.scales.argmin(1)
        normals = R.gather(2, thinnest[:, None, None].expand(-1, 3, 1)).squeeze(2)
        outward = ((gaussians.means - gaussians.means.median(0).values) * normals).sum(1, keepdim=True)
        return Shape(gaussians, torch.where(outward < 0, -normals, normals))

    def as_mesh(self) -> Mesh:
        """Its surface; where it came as splats, a square for each that is seen, as wide as the splat looks."""
        if self.mesh is not None:
            return self.mesh
        kept = self.gaussians.opacities > SOLID
        splats, count = self.gaussians, int(kept.sum())
        reach = (LOOKS * splats.rotations * splats.scales[:, None])[kept]
        thinnest = splats.scales[kept].argmin(1)
        # The two longer axes, right-handed with the normal.
        u, v = (reach[torch.arange(count), :, (thinnest + k) % 3] for k in (1, 2))
        facing = (torch.linalg.cross(u, v) * self.normals[kept]).sum(1, keepdim=True) > 0
        u, v = torch.where(facing, u, v), torch.where(facing, v, u)
        corners = torch.stack([-u - v, u - v, u + v, v - u], dim=1) + splats.means[kept, None]
        first = 4 * torch.arange(count)[:, None]
        faces = torch.cat([first + torch.tensor(corner) for corner in ((0, 1, 2), (0, 2, 3))])
        return Mesh(corners.flatten(0, 1), faces, splats.colors[kept].repeat_interleave(4, 0))

    def stretched(self, factors: Float[Tensor, " 3"]) -> Shape:
        """The same thing, larger by a factor along each of its axes."""
        if self.mesh is not None:
            return Shape.of_mesh(self.mesh.stretched(factors), len(self.gaussians))
        return Shape.of_splats(self.gaussians.stretched(factors))

    def moved(self, T: Float[Tensor, "4 4"]) -> Shape:
        """The same thing carried along by a rigid transform."""
        mesh = self.mesh
        return Shape(
            self.gaussians.moved(T),
            self.normals @ T[:3, :3].mT,
            None if mesh is None else replace(mesh, vertices=transform(T, mesh.vertices)),
        )

    def posed(self, T: Float[Tensor, "4 4"], light: Float[Tensor, "8 3"] | None) -> Gaussians:
        """The splats moved by a rigid transform into the world and lit there, as the avatar's are."""
        gaussians = self.gaussians.moved(T)
        if light is None:
            return gaussians
        colors = gaussians.colors * irradiance_gain(self.normals @ T[:3, :3].mT, light)
        return replace(gaussians, colors=colors.clamp(max=1.0))


@dataclass(frozen=True, eq=False)
class Prop:
    """Something that a person wears or holds.

    Attributes:
        name: by which it is listed and removed.
        shape: what it looks like.
        place: of the body, see `avatar.body.anchors`.
        T_anchor_prop: where it is there, rigid, metres.
        size: of the body at this place when it was put there, along the axes of the anchor, metres.
        worn: it grows with the body, as clothes are bought; otherwise it keeps its size.
    """

    name: str
    shape: Shape
    place: str
    T_anchor_prop: Float[Tensor, "4 4"]
    size: Float[Tensor, " 3"]
    worn: bool

    def to(self, device: torch.device | str) -> Prop:
        """The same prop with its tensors on `device`."""
        shape, mesh = self.shape, self.shape.mesh
        if mesh is not None:
            mesh = Mesh(*(getattr(mesh, name).to(device) for name in mesh.__dataclass_fields__))
        moved = Shape(shape.gaussians.to(device), shape.normals.to(device), mesh)
        return replace(self, shape=moved, T_anchor_prop=self.T_anchor_prop.to(device), size=self.size.to(device))

    def stretch(self, anchor: Anchor) -> Float[Tensor, " 3"]:
        """By how much it is larger on a body with this anchor, along the axes of the anchor."""
        one = torch.ones_like(anchor.size)
        return anchor.size / self.size.to(one) if self.worn else one

    @property
    def hand(self) -> str | None:
        """The side whose fingers close on it, if it is held."""
        return self.place.removesuffix("_hand") if self.place.endswith("_hand") else None


@dataclass(frozen=True, eq=False)
class PlacedProp:
    """A prop on one body at rest.

    Attributes:
        prop: which; shape: in the rest frame of the body; joint: name of the joint that carries it.
    """

    prop: Prop
    shape: Shape
    joint: str


def placed_prop(prop: Prop, body: Body, rest: RestBody) -> PlacedProp:
    """The prop on a person, by the anchor of its place on this body."""
    anchor = anchor_of(body, rest, prop.place)
    shape = prop.shape.moved(prop.T_anchor_prop.to(rest.vertices))
    factors = prop.stretch(anchor)
    if float((factors - 1).abs().max()) > 1e-6:
        shape = shape.stretched(factors)
        if prop.place == "head":
            shape = clear_of_head(shape, anchor, body, rest)
    return PlacedProp(prop, shape.moved(anchor.T_rest_anchor), anchor.joint)


def clear_of_head(shape: Shape, anchor: Anchor, body: Body, rest: RestBody) -> Shape:
    """A hat in the frame of its anchor, wider by as much as the form of this head needs, if that is not much."""
    for step in range(WIDER):
        wider = shape.stretched(shape.normals.new_tensor([1 + 0.01 * step, 1.0, 1 + 0.01 * step])) if step else shape
        if head_penetration(body, rest, wider.moved(anchor.T_rest_anchor)) <= DEEPEST:
            return wider
    return shape


def head_penetration(body: Body, rest: RestBody, shape: Shape) -> float:
    """How deep the surface of a shape reaches into the skin of the head, metres.

    Args:
        shape: in the rest frame of the body.
    """
    from scipy.spatial import cKDTree

    chosen, vertices = head_vertices(body), rest.vertices
    out = vertex_normals(vertices, body.faces)[chosen].cpu()
    skin, points = vertices[chosen].cpu(), shape.gaussians.means.detach().cpu()
    distances, nearest = cKDTree(skin.numpy()).query(points.numpy(), distance_upper_bound=0.1)
    near = torch.from_numpy(distances).isfinite()
    index = torch.from_numpy(nearest)[near]
    depth = -((points[near] - skin[index]) * out[index]).sum(1)
    return float(depth.clamp_min(0.0).max()) if len(depth) else 0.0
