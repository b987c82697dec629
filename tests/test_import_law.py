"""The law of imports: nothing points up or sideways, nothing goes in a circle, heavy packages stand in one place.

Every module of `avatar` and of the viewer is read, and one that the law does not know breaks it.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Bottom first. A room may import what stands in lower steps; rooms of one step never import one another, but for the
# nouns at the bottom, which may as long as no circle arises.
STEPS = (
    ("types", "geometry", "errors", "landmark_layouts", "__init__"),
    ("runtime", "io"),
    ("kernels",),
    ("body", "rendering", "metrics"),
    ("observation", "tracking", "motion", "model", "datasets"),
    ("novel_views", "training", "exporters"),
    ("pipeline",),
    ("evaluation", "viewer"),
    ("cli",),
    ("__main__",),
)
HEAVY = (
    "gsplat",
    "mediapipe",
    "smplx",
    "diffusers",
    "lpips",
    "viser",
    "onnxruntime",
    "ray",
    "h5py",
    "gaussforge",
    "trimesh",
    "lzfse",
    "matplotlib",
    "pycolmap",
    "skimage",
    "fast_simplification",
    "xatlas",
)
# A room of its own is the one place of viser: the viewer is an app of it.
HEAVY_ROOMS = {"viser": "viewer"}

Imports = Mapping[str, set[str]]


def modules() -> dict[str, Path]:
    """Each module of the package by its import name."""
    names = {}
    for file in sorted((ROOT / "avatar").rglob("*.py")):
        names[".".join(file.relative_to(ROOT).with_suffix("").parts)] = file
    for file in sorted((ROOT / "viewer").rglob("*.py")):
        names[".".join(("avatar", *file.relative_to(ROOT).with_suffix("").parts))] = file
    return names


def imported(file: Path, module_names: Iterable[str]) -> set[str]:
    """The modules of the package that a file imports, wherever in it, but for type checkers alone."""
    module_names = set(module_names)
    names = set()
    for node in walk_run_code(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.split(".")[0] == "avatar"}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            module = node.module or ""
            if module.split(".")[0] == "avatar":
                names |= {f"{module}.{a.name}" if f"{module}.{a.name}" in module_names else module for a in node.names}
    return {name if name in module_names else f"{name}.__init__" for name in names}


def walk_run_code(node: ast.AST) -> Iterable[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from walk_run_code(child)


def room_of(module: str) -> str:
    return module.split(".")[1]


def violations(imports: Imports) -> list[str]:
    """Each arrow between rooms that the law forbids, and each room that it does not know."""
    level = {room: number for number, step in enumerate(STEPS) for room in step}
    broken = [f"unknown room: {module}" for module in imports if room_of(module) not in level]
    for module, targets in imports.items():
        for target in targets:
            above, below = room_of(module), room_of(target)
            if above == below or above not in level or below not in level:
                continue
            if level[below] > level[above] or (level[below] == level[above] and level[above] > 0):
                broken.append(f"{module} imports {target}")
    return broken


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


@pytest.fixture(scope="module")
def imports() -> Imports:
    files = modules()
    return {name: imported(file, files) for name, file in files.items()}


def rooms(imports: Imports) -> dict[str, set[str]]:
    graph: dict[str, set[str]] = defaultdict(set)
    for module, targets in imports.items():
        graph[room_of(module)] |= {room_of(target) for target in targets} - {room_of(module)}
    return graph


def test_every_module_is_known_and_nothing_points_up(imports: Imports) -> None:
    assert violations(imports) == []


def test_nothing_goes_in_a_circle(imports: Imports) -> None:
    assert circle(rooms(imports)) == []
    # A package's __init__ only names what its modules hold, so it may stand in their circle.
    inside = {m: {t for t in ts if not t.endswith("__init__")} for m, ts in imports.items()}
    assert circle({m: ts for m, ts in inside.items() if not m.endswith("__init__")}) == []


def test_planted_violations_are_found(imports: Imports) -> None:
    assert violations({**imports, "avatar.body.model": {"avatar.training.trainer"}})
    assert violations({**imports, "avatar.tracking.fit": {"avatar.observation.video"}})
    assert violations({**imports, "avatar.loose": set()}) == ["unknown room: avatar.loose"]
    planted = {**imports, "avatar.body.parts": {"avatar.body.model"}, "avatar.body.model": {"avatar.body.parts"}}
    assert circle({m: {t for t in ts if not t.endswith("__init__")} for m, ts in planted.items()})


@pytest.mark.parametrize("package", HEAVY)
def test_a_heavy_package_stands_in_one_file_inside_what_needs_it(package: str) -> None:
    places = []
    for name, file in modules().items():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        top = set(map(id, tree.body))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            if package in {imported_name.split(".")[0] for imported_name in names}:
                if room_of(name) == HEAVY_ROOMS.get(package):
                    continue
                assert id(node) not in top, f"{name} imports {package} at its top"
                places.append(name)
    assert len(set(places)) <= 1, f"{package} is imported in {sorted(set(places))}"


def test_few_files_lie_loose() -> None:
    assert len(list((ROOT / "avatar").glob("*.py"))) <= 6


def test_the_wheel_holds_every_package() -> None:
    import tomllib

    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"])
    there = {name.rpartition(".")[0] for name in modules()} | {"avatar.configs", "avatar.shipped"}
    assert listed == there


def test_import_of_avatar_is_light() -> None:
    code = "import avatar, sys; print(int('torch' in sys.modules), int('numpy' in sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, encoding="utf-8").split() == ["0", "0"]
