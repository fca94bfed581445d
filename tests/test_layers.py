"""Holds the walls of docs/architecture.md: an import goes down the layers only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Room -> layer. A room is the first name under `clar_sweeps`.
LAYERS = {
    "collector": 0,
    "errors": 0,
    "faults": 0,
    "config": 1,
    "profiles": 1,
    "records": 1,
    "sweep": 2,
    "compiled": 2.5,  # what parts share, and torch
    "rng": 3,
    "data": 3,
    "augment": 3,
    "features": 3,
    "models": 3,
    "losses": 3,
    "optim": 3,
    "evaluation": 4,
    "checkpoint": 4,
    "provenance": 4,
    "run_folder": 4,
    "trainer": 5,
    "audit": 5,
    "gallery": 5,
    "watching": 5,
    "calibration": 6,
    "tuning": 6,
    "cli": 7,
}
TORCH_FROM_LAYER = 2.5
# Below torch: the standard library and these.
LIGHT = {"pydantic", "pydantic_core", "ruamel", "filelock"}
ANALYSIS = {"numpy", "pandas", "scipy", "matplotlib", "jinja2", "markupsafe", "pyarrow"}
MODULES = sorted([*(ROOT / "clar_sweeps").rglob("*.py"), *(ROOT / "analysis").rglob("*.py")])


def imports_of(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            assert node.module is not None
            if node.module in ("clar_sweeps", "analysis"):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
            else:
                names.add(node.module)
    return names


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[1]


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_imports_go_down_the_layers_only(path: Path) -> None:
    in_analysis = path.relative_to(ROOT).parts[0] == "analysis"
    room = room_of(path)
    layer = None if in_analysis or room == "__init__" else LAYERS[room]
    for name in imports_of(path):
        package, _, rest = name.partition(".")
        if package == "clar_sweeps":
            other = rest.split(".")[0]
            if in_analysis:
                assert LAYERS[other] <= 2, f"analysis imports {name}"
            elif other != room:
                assert layer is not None, f"clar_sweeps/__init__.py imports {name}"
                down = LAYERS[other] < layer or (LAYERS[other] == layer != 3)
                assert down, f"{room} imports {name}, which is not below it"
        elif package == "analysis":
            assert in_analysis or room == "cli", f"{room} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_heavy_packages_stay_in_their_layers(path: Path) -> None:
    in_analysis = path.relative_to(ROOT).parts[0] == "analysis"
    room = room_of(path)
    packages = {name.split(".")[0] for name in imports_of(path)} - {"clar_sweeps", "analysis"}
    foreign = packages - set(sys.stdlib_module_names)
    if in_analysis:
        assert foreign <= ANALYSIS
    elif room == "__init__":
        assert not packages
    elif LAYERS[room] < TORCH_FROM_LAYER:
        assert foreign <= LIGHT
    if room != "tuning" or in_analysis:
        assert "ray" not in packages


def test_every_room_has_a_layer() -> None:
    rooms = {room_of(path) for path in MODULES if path.relative_to(ROOT).parts[0] == "clar_sweeps"}
    assert rooms - {"__init__"} == set(LAYERS)


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("clar_sweeps.trainer", ["ray", "audiomentations", "librosa", "matplotlib"]),
        ("analysis.report", ["torch", "ray"]),
        ("clar_sweeps.cli", ["torch", "ray", "numpy", "pandas"]),
    ],
)
def test_importing_leaves_heavy_packages_out(module: str, unwanted: list[str]) -> None:
    code = f"import sys, {module}; print([name for name in {unwanted} if name in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert answer.stdout.strip() == "[]"
