"""TODO."""

from __future__ import annotations

from avatar.errors import UsageError
from avatar.novel_views.generator import ViewGenerator


def view_generator(name: str, device: str, frames: int, offload: bool) -> ViewGenerator | None:
    """The generator of "folder:PATH", "orbit:MODEL" or "edit:MODEL"; None for "none".

    Args:
        frames: views of an orbit, at most; offload: keep weights in main memory while they are not used.

    Raises:
        UsageError: there is no such generator.
    """
    kind, _, what = name.partition(":")
    if name == "none":
        return None
    if not what or kind not in ("folder", "orbit", "edit"):
        raise UsageError(f"--views must be none, folder:PATH, orbit:MODEL or edit:MODEL, not {name!r}.")
    if kind == "folder":
        from avatar.novel_views.folder import FolderViews

        return FolderViews(what)
    if kind == "orbit":
        from avatar.novel_views.sv3d import OrbitViews

        return OrbitViews(what, device, frames, offload=offload)
    from avatar.novel_views.image_edit import EditedViews

    return EditedViews(what, device, offload=offload)
