"""The law of imports: nothing points up, rooms meet only in nouns, and heavy packages stand in few places."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOUNS = {"types", "geometry", "errors", "files", "progress", "parallel", "assets"}
PICTURES = NOUNS | {"images", "videos"}
# Room -> other rooms of `avatar` that it may import from.
ALLOWED = {
    "types": set(),
    "geometry": {"types"},
    "files": {"errors"},
    "errors": set(),
    "body": NOUNS,
    "render": NOUNS,
    "ssim": NOUNS | {"render"},
    "metrics": NOUNS | {"ssim"},
    "light": NOUNS,
    "deform": NOUNS,
    "gaussians": NOUNS,
    "correctives": NOUNS | {"correctives_cpu"},
    "correctives_cpu": NOUNS | {"render"},
    "losses": NOUNS | {"gaussians", "losses_cpu"},
    "losses_cpu": NOUNS | {"render"},
    "joints": NOUNS | {"body", "joints_cpu"},
    "joints_cpu": NOUNS | {"render"},
    "posing": NOUNS | {"light", "posing_cpu"},
    "posing_cpu": NOUNS | {"light", "render"},
    "model": NOUNS | {"body", "correctives", "deform", "gaussians", "joints", "light", "posing"},
    "observe": PICTURES,
    "track": PICTURES | {"body", "observe"},
    "motion": NOUNS | {"body", "track"},
    "animate": PICTURES | {"body", "cameras", "model", "motion", "observe", "render", "track"},
    "densify": NOUNS | {"gaussians"},
    "refine": NOUNS,
    "frames": NOUNS | {"metrics"},
    "seen": NOUNS | {"frames", "light", "model"},
    "seed": PICTURES | {"cameras", "observe"},
    "batch": NOUNS | {"run"},
}
# What stands above everything may read every room but these.
ABOVE = {"export": {"train", "create", "evaluate"}, "evaluate": {"create", "export"}, "datasets": {"train", "create"}}
HEAVY = ("mediapipe", "gsplat", "smplx", "lpips", "diffusers", "transformers", "viser")


def imported_rooms(room: str) -> set[str]:
    base = ROOT / "avatar" / room
    files = [base.with_suffix(".py")] if base.with_suffix(".py").exists() else sorted(base.rglob("*.py"))
    assert files, f"the law names a room that is not there: {room}"
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("avatar."):
                found.add(node.module.split(".")[1])
            elif isinstance(node, ast.ImportFrom) and node.module == "avatar":
                found |= {alias.name for alias in node.names if (ROOT / "avatar" / f"{alias.name}.py").exists()}
    return found - {room}


@pytest.mark.parametrize("room", ALLOWED)
def test_nothing_points_up(room):
    assert imported_rooms(room) <= ALLOWED[room]


@pytest.mark.parametrize("room", ABOVE)
def test_what_reads_results_does_not_reach_into_their_making(room):
    assert not imported_rooms(room) & ABOVE[room]


@pytest.mark.parametrize("package", HEAVY)
def test_a_heavy_package_is_imported_inside_what_needs_it(package):
    for file in sorted((ROOT / "avatar").rglob("*.py")):
        for node in ast.parse(file.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert package not in {name.split(".")[0] for name in names}, f"{file} imports {package} at its top"


def test_import_of_avatar_is_light():
    code = "import avatar, sys; print(int('torch' in sys.modules), int('numpy' in sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["0", "0"]
