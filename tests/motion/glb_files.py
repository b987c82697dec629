"""GLB files of the truth, written by pygltflib, in the forms that other programs give them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib as g
import torch

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.geometry import quat_from_rotation, rotation_from_rotvec
from avatar.motion.bone_lengths import model_rest

_TRUTH = np.load(Path(__file__).parent / "data" / "truth.npz")
ROTATIONS, TRANS = rotation_from_rotvec(torch.from_numpy(_TRUTH["poses"])), _TRUTH["trans"]
FRAMES = len(TRANS)
REST = model_rest().float().numpy()


@dataclass
class GlbForm:
    """How a file is written.

    Attributes:
        unit: of the nodes, per metre; an armature above them brings them back to metres where `back` is set.
        bind: 4x4, from metres to the space of the mesh.
        skin: whether there is one; without it the nodes themselves hold the rest pose.
        outside: joints that the skin leaves out.
        clips: names of the clips; all but the last hold still.
        names: of the nodes.
        first_key: seconds of the first key.
        interpolation: of the rotations.
        extensions: of the file.
    """

    unit: float = 1.0
    back: bool = True
    bind: np.ndarray = field(default_factory=lambda: np.eye(4))
    skin: bool = True
    outside: tuple[str, ...] = ()
    clips: tuple[str, ...] = ("walk",)
    names: tuple[str, ...] = SMPL_JOINTS
    first_key: float = 0.0
    interpolation: str = "LINEAR"
    extensions: dict[str, Any] = field(default_factory=dict)


class _Packer:
    """Collects arrays as accessors of one buffer."""

    def __init__(self) -> None:
        self.blob, self.views, self.accessors = b"", [], []  # type: ignore[var-annotated]

    def add(self, array: np.ndarray, kind: str) -> int:
        data = np.ascontiguousarray(array, dtype=np.float32).tobytes()
        self.views.append(g.BufferView(buffer=0, byteOffset=len(self.blob), byteLength=len(data)))
        self.blob += data
        bounds = {"min": [float(array.min())], "max": [float(array.max())]} if kind == "SCALAR" else {}
        self.accessors.append(
            g.Accessor(bufferView=len(self.views) - 1, componentType=g.FLOAT, count=len(array), type=kind, **bounds)
        )
        return len(self.accessors) - 1


def write_glb(path: Path, form: GlbForm | None = None) -> g.GLTF2:
    """Write the truth."""
    form, pack = form or GlbForm(), _Packer()
    nodes = []
    for j, name in enumerate(form.names):
        offset = (REST[j] - REST[SMPL_PARENTS[j]] if j else REST[0]) * form.unit
        children = [k for k, p in enumerate(SMPL_PARENTS) if p == j]
        nodes.append(g.Node(name=name, translation=offset.tolist(), children=children))
    nodes.append(g.Node(name="Armature", scale=[1 / form.unit if form.back else 1.0] * 3, children=[0]))
    model = g.GLTF2(scene=0, scenes=[g.Scene(nodes=[24])], nodes=nodes, extensions=form.extensions)
    model.extensionsUsed = list(form.extensions)
    moving = _samples(form)
    for name in form.clips[:-1]:
        model.animations.append(_clip(pack, name, *moving, still=True, interpolation="LINEAR"))
    model.animations.append(_clip(pack, form.clips[-1], *moving, still=False, interpolation=form.interpolation))
    if form.skin:
        joints = [j for j, name in enumerate(SMPL_JOINTS) if name not in form.outside]
        frames = np.tile(np.eye(4), (24, 1, 1))
        frames[:, :3, 3] = REST
        inverse = np.linalg.inv(form.bind @ frames)[joints]
        matrices = pack.add(inverse.swapaxes(1, 2), "MAT4")
        model.skins = [g.Skin(joints=joints, inverseBindMatrices=matrices)]
    model.buffers, model.bufferViews, model.accessors = (
        [g.Buffer(byteLength=len(pack.blob))],
        pack.views,
        pack.accessors,
    )
    model.set_binary_blob(pack.blob)
    model.save_binary(str(path))
    return model


def _samples(form: GlbForm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    times = form.first_key + np.arange(FRAMES) / 30
    quats = quat_from_rotation(ROTATIONS).numpy()[..., [1, 2, 3, 0]]
    # Neighbours on one side of the sphere, as a cubic spline needs them.
    flips = np.cumprod(np.where((quats[1:] * quats[:-1]).sum(-1) < 0, -1, 1), axis=0)
    quats[1:] *= flips[..., None]
    return times, quats, (REST[0] + TRANS) * form.unit


def _clip(
    pack: _Packer, name: str, times: np.ndarray, quats: np.ndarray, root: np.ndarray, still: bool, interpolation: str
) -> g.Animation:
    keys, samplers, channels = pack.add(times, "SCALAR"), [], []
    if still:
        quats, root = np.repeat(quats[:1], len(times), 0), np.repeat(root[:1], len(times), 0)
    for j in range(24):
        values = quats[:, j]
        if interpolation == "CUBICSPLINE":
            slope = np.gradient(values, times, axis=0)
            values = np.stack([slope, values, slope], axis=1).reshape(-1, 4)
        samplers.append(g.AnimationSampler(input=keys, output=pack.add(values, "VEC4"), interpolation=interpolation))
        channels.append(_channel(j, j, "rotation"))
    samplers.append(g.AnimationSampler(input=keys, output=pack.add(root, "VEC3"), interpolation="LINEAR"))
    return g.Animation(name=name, samplers=samplers, channels=[*channels, _channel(24, 0, "translation")])


def _channel(sampler: int, node: int, path: str) -> g.AnimationChannel:
    return g.AnimationChannel(sampler=sampler, target=g.AnimationChannelTarget(node=node, path=path))
