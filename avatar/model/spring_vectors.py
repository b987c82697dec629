"""Vectors and quaternions (wxyz) of many nodes at once, in numpy: for simulations in small steps."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Vectors = Float[np.ndarray, "_ 3"]
Quats = Float[np.ndarray, "_ 4"]


def moved(rows: Float[np.ndarray, "k 16"], places: Vectors) -> Vectors:
    """Points of the rest frame in the world, each by its own row; see `avatar.model.joint_transforms`."""
    transform = rows[:, :12].reshape(-1, 3, 4)
    turned: np.ndarray = np.einsum("kab,kb->ka", transform[:, :, :3], places)
    turned += transform[:, :, 3]
    return turned


def cross(a: Vectors, b: Vectors) -> Vectors:
    """Vector products, much faster than numpy's."""
    product: np.ndarray = a[:, [1, 2, 0]] * b[:, [2, 0, 1]] - a[:, [2, 0, 1]] * b[:, [1, 2, 0]]
    return product


def dot(a: Float[np.ndarray, "*#k n"], b: Float[np.ndarray, "*#k n"]) -> Float[np.ndarray, "*k 1"]:
    """Scalar products."""
    result: np.ndarray = (a * b).sum(-1, keepdims=True)
    return result


def unit(a: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
    """The same directions or rotations with length one; zeros stay."""
    result: np.ndarray = a / np.maximum(np.sqrt((a * a).sum(-1, keepdims=True)), 1e-12)
    return result


def inverse(q: Quats) -> Quats:
    """The inverse rotations."""
    result: np.ndarray = q * np.array([1.0, -1, -1, -1])
    return result


def alike(q: Quats, other: Quats) -> Quats:
    """The same rotations with the signs of others."""
    return np.where(dot(q, other) < 0, -q, q)


def product(a: Quats, b: Quats) -> Quats:
    """The rotations `b`, and then `a`."""
    u, v = a[:, 1:], b[:, 1:]
    vector = a[:, :1] * v + b[:, :1] * u + cross(u, v)
    return np.concatenate([a[:, :1] * b[:, :1] - dot(u, v), vector], axis=1)


def rotated(q: Quats, points: Vectors) -> Vectors:
    """Vectors, each turned by its quaternion."""
    twice = 2 * cross(q[:, 1:], points)
    result: np.ndarray = points + q[:, :1] * twice + cross(q[:, 1:], twice)
    return result


def between(a: Vectors, b: Vectors) -> Quats:
    """The shortest rotations from directions to others, which are not opposite."""
    a, b = unit(a), unit(b)
    return unit(np.concatenate([1 + dot(a, b), cross(a, b)], axis=1))
