"""Placeholder while the fast version is written: the reference renderer."""

from avatar.render.reference import render_reference as render_cpu

__all__ = ["render_cpu"]
