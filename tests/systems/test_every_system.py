"""What a system or an installation lacks is hidden in a fresh interpreter, where every module must still import."""

from __future__ import annotations

import ast
import subprocess
import sys

from tests.test_import_law import ROOT, modules

# Modules and functions that Windows lacks, and those that only Linux has.
POSIX_MODULES = ("resource", "fcntl", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix_ipc")
POSIX_FUNCTIONS = (
    "sched_getaffinity", "sched_setaffinity", "fork", "forkpty", "register_at_fork", "getuid", "geteuid", "getloadavg",
    "uname", "killpg", "nice", "mkfifo", "chown", "setsid", "sysconf",
)  # fmt: skip
# The packages of the extras, which a plain installation has not got.
EXTRAS = (
    "gsplat", "lpips", "torchvision", "gaussforge", "h5py", "diffusers", "transformers", "ray", "onnx", "onnxruntime",
    "smplx", "beartype", "hypothesis", "pytest", "playwright", "skimage", "plyfile", "pygltflib", "PIL.ImageTk",
)  # fmt: skip
PROGRAM = """
import importlib, os, sys
import torch, viser  # they ask for the system's own modules as it is
hidden, functions, modules = (names.split(",") for names in sys.argv[1:])

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name in hidden or name.split(".")[0] in hidden:
            raise ModuleNotFoundError(f"{name} is hidden", name=name)

for name in hidden:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Hide())
for name in functions:
    if hasattr(os, name):
        delattr(os, name)
failed = []
for name in modules:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed.append(f"{name}: {type(error).__name__}: {error}")
print(*failed, sep="\\n", end="")
"""


def import_names() -> list[str]:
    """Every module of the package under the name by which it is imported."""
    return [name.removesuffix(".__init__") for name in modules() if not name.endswith("__main__")]


def test_every_module_imports_without_posix_and_without_extras() -> None:
    names = [",".join(group) for group in ((*POSIX_MODULES, *EXTRAS), POSIX_FUNCTIONS, import_names())]
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == []


def unnamed_encodings(tree: ast.AST) -> list[int]:
    """Lines that read or write text in the encoding of the system, which is not UTF-8 on every Windows."""
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        arguments = {keyword.arg for keyword in node.keywords}
        reads_text = node.func.attr in ("read_text", "write_text")
        runs = node.func.attr in ("run", "check_output", "Popen") and bool({"text", "universal_newlines"} & arguments)
        if (reads_text or runs) and "encoding" not in arguments:
            lines.append(node.lineno)
    return lines


def test_text_is_utf8_everywhere() -> None:
    folders = ("viewer", "scripts", "avatar")
    files = [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]
    imports = {
        str(file.relative_to(ROOT)): lines
        for file in files
        if (lines := unnamed_encodings(ast.parse(file.read_text(encoding="utf-8"))))
    }
    assert imports == {}


def test_an_unnamed_encoding_is_found() -> None:
    assert unnamed_encodings(ast.parse("path.read_text()\npath.write_text('é')")) == [1, 2]
    assert unnamed_encodings(ast.parse("subprocess.run(command, text=True)")) == [1]
    assert unnamed_encodings(ast.parse("path.read_text(encoding='utf-8')")) == []
