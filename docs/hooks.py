"""MkDocs hook: CONTRIBUTING, CHANGELOG and SECURITY are pages of the site without a second copy in docs/."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files of the repository's root; their links into `docs/` become links between pages."""
    for name in ("CONTRIBUTING", "CHANGELOG", "SECURITY"):
        text = (ROOT / f"{name}.md").read_text(encoding="utf-8").replace("](docs/", "](")
        for other in ("CONTRIBUTING", "CHANGELOG", "SECURITY"):
            text = text.replace(f"]({other}.md)", f"]({other.lower()}.md)")
        files.append(File.generated(config, f"{name.lower()}.md", content=text))
    return files
