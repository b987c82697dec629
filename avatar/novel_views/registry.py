"""Which generators of views exist: a generator is one file and one entry here, or one call of `register_generator`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from avatar.errors import UsageError
from avatar.novel_views.generator import ViewGenerator
from avatar.novel_views.options import ViewOptions

NONE = "none"


@runtime_checkable
class GeneratorFactory(Protocol):
    """Makes a generator for the MODEL of `--views KIND:MODEL` (a folder, a name on a hub, whatever it understands)."""

    def __call__(self, model: str, options: ViewOptions, device: str) -> ViewGenerator: ...


def _folder(model: str, options: ViewOptions, device: str) -> ViewGenerator:
    from avatar.novel_views.folder import FolderViews

    return FolderViews(model)


def _orbit(model: str, options: ViewOptions, device: str) -> ViewGenerator:
    from avatar.novel_views.sv3d import OrbitViews

    return OrbitViews(model, device, options.frames, offload=options.offload)


def _edit(model: str, options: ViewOptions, device: str) -> ViewGenerator:
    from avatar.novel_views.image_edit import EditedViews

    return EditedViews(model, device, offload=options.offload)


GENERATORS: dict[str, GeneratorFactory] = {"folder": _folder, "orbit": _orbit, "edit": _edit}


def register_generator(kind: str, factory: GeneratorFactory) -> None:
    """Make `KIND:MODEL` a name of a generator, as `--views` and `avatar.create(..., views=...)` take it.

    Raises:
        ValueError: the kind is taken, or not a plain name.
    """
    if not kind.isidentifier() or kind in GENERATORS or kind == NONE:
        raise ValueError(f"{kind!r} cannot name a view generator: choose a new name of letters and digits.")
    GENERATORS[kind] = factory


def view_generator(options: ViewOptions, device: str) -> ViewGenerator | None:
    """The generator that `options.generator` names: KIND:MODEL, such as folder:PATH; None for "none".

    Args:
        device: "cpu" or "cuda", where networks run.

    Raises:
        UsageError: there is no such kind of generator, or the generator refuses the model.
    """
    kind, _, model = options.generator.partition(":")
    if options.generator == NONE:
        return None
    if not model or kind not in GENERATORS:
        names = ", ".join(f"{name}:{'PATH' if name == 'folder' else 'MODEL'}" for name in GENERATORS)
        raise UsageError(f"--views must be {NONE}, {names}, not {options.generator!r}.")
    return GENERATORS[kind](model, options, device)
