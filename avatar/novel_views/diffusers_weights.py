"""The diffusers package and the user's weights: location, licence, and errors for missing parts."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from avatar.errors import AvatarError, UsageError

CARD = "README.md"
INSTALL = 'pip install "splat-avatar[views]"'


def diffusers_package() -> Any:
    """The package `diffusers` with its embeddings module; call it inside `loading`, which explains what is missing.

    The only import of the package, so that its changes are handled in one place.
    """
    import diffusers

    return diffusers


@contextmanager
def loading(model: str) -> Iterator[None]:
    """Turn every error of loading or running weights into one sentence.

    Raises:
        UsageError: the folder does not exist, or packages are missing.
        AvatarError: the weights do not load, or do not fit into memory.
    """
    import torch

    if model.startswith((".", "/", "~")) and not Path(model).expanduser().is_dir():
        raise UsageError(f"There is no folder {model} with weights.")
    try:
        _hide_broken_torchvision()
        yield
    except ImportError as error:
        raise UsageError(f"Images are generated with diffusers and transformers: {INSTALL} ({error}).") from error
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise AvatarError(
            f"{model} does not fit into memory: try --view-offload, fewer --view-frames, or --views none."
        ) from error
    except AvatarError:
        raise
    except Exception as error:  # the hub's client and both libraries raise dozens of types
        reason = str(error).strip().split("\n")[0]
        raise AvatarError(f"{model} cannot be used: {reason}") from error


def licence_of(model: str) -> str:
    """The licence that the weights' model card names, as a sentence.

    Raises:
        UsageError, AvatarError: see `loading`.
    """
    header = re.match(r"---\n(.*?)\n---", _card(model), re.DOTALL)
    lines = dict(re.findall(r"^(license|license_name):\s*(\S+)", header[1], re.MULTILINE)) if header else {}
    licence = lines.get("license_name") or lines.get("license")
    if licence is None:
        return f"{model} names no licence of its weights: make sure that you may use them"
    return f"the weights of {model} are under the licence {licence}, which may also apply to what you make with them"


def _card(model: str) -> str:
    """The model card; empty if the model has none."""
    with loading(model):
        folder = Path(model).expanduser()
        if folder.is_dir():
            card = folder / CARD
            return card.read_text(errors="replace", encoding="utf-8") if card.is_file() else ""
        from huggingface_hub import ModelCard
        from huggingface_hub.errors import EntryNotFoundError

        try:
            return str(ModelCard.load(model).content)
        except EntryNotFoundError:
            return ""


def _hide_broken_torchvision() -> None:
    """Hide a torchvision that was built for another torch from transformers, which works without it."""
    try:
        import torchvision  # noqa: F401
    except ImportError:
        pass
    except RuntimeError:
        sys.modules["torchvision"] = None  # type: ignore[assignment]
