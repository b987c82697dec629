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
HUB_SECONDS = 5.0  # in which the hub answers, or is not asked for more: its client would retry for half a minute


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
        UsageError: packages are missing. AvatarError: the weights do not load, or do not fit into memory.
    """
    import torch

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


def located(model: str) -> str:
    """What to load weights from, inside `loading`.

    Returns:
        The user's folder, the name of a model that the Hugging Face hub has, or where an earlier download of it lies.

    Raises:
        UsageError: there is no such folder or model. AvatarError: the hub does not answer, and nothing was downloaded.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return str(folder)
    if model.startswith((".", "/", "~")):
        raise UsageError(f"There is no folder {model} with weights.")
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        HfApi().model_info(model, timeout=HUB_SECONDS)
    except (HFValidationError, RepositoryNotFoundError) as error:
        raise UsageError(f"There is no folder {model}, and the Hugging Face hub shows you no such model.") from error
    except Exception as unreachable:  # the network's, the server's and the client's own
        try:
            return str(snapshot_download(model, local_files_only=True))
        except Exception:
            raise AvatarError(
                f"The Hugging Face hub does not answer, and {model} was not downloaded before: connect this machine to "
                "it, or give a folder with the weights."
            ) from unreachable
    return model


def licence_of(model: str) -> str:
    """The licence that the weights' model card names, as a sentence.

    Raises:
        UsageError, AvatarError: see `loading` and `located`.
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
        weights = located(model)
        if Path(weights).is_dir():
            card = Path(weights) / CARD
            return card.read_text(errors="replace", encoding="utf-8") if card.is_file() else ""
        from huggingface_hub import ModelCard
        from huggingface_hub.errors import EntryNotFoundError

        try:
            return str(ModelCard.load(weights).content)
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
