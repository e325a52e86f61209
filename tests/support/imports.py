"""The imports of the library and the app, read from the files: which room imports which."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.support import ROOT

# What stands on one floor may import what is on the same floor, without a circle, and below.
FLOORS = (
    {"mathematics", "figures", "data"},
    {"adapters", "training"},
    {"checkpoints"},
    {"analysis"},
    {"runs"},
    {"report"},
    {"cli", "ui", "pages"},
)
MATHEMATICS = {"masks", "mask", "cam", "resnet", "sampling", "schedules", "shipped", "policy"}
FEWEST_FILES = 60


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read(root: Path = ROOT) -> dict[str, ast.Module]:
    """Every module of the library and the app, by its dotted name."""
    paths = [*(root / "camdrop").rglob("*.py"), *(root / "ui").rglob("*.py"), *(root / "pages").rglob("*.py")]
    return {module_of(path): ast.parse(path.read_text("utf-8")) for path in [*paths, root / "app.py"]}


MODULES = read()


def modules_imported(tree: ast.Module) -> set[str]:
    """All that a module imports from, wherever in it."""
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return found | {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def imported(module: str, tree: ast.Module, known: set[str]) -> Iterator[str]:
    """What a module imports of ours, wherever in it, also one of several names, and for types alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                if found := {inside, node.module} & known:
                    yield inside if inside in found else str(node.module)


def room(module: str) -> str | None:
    """Where a module stands; None for the front door, which everybody may use and which may use everybody."""
    parts = module.split(".")
    if parts[0] != "camdrop":
        return "pages" if parts[0] == "app" else parts[0]
    if len(parts) == 1 or parts[1] == "__main__":
        return None
    return "mathematics" if parts[1] in MATHEMATICS else parts[1]


def floor(module: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if room(module) in rooms)


def arrows(modules: dict[str, ast.Module]) -> dict[str, set[str]]:
    known = set(modules)
    return {name: {other for other in imported(name, tree, known) if other != name} for name, tree in modules.items()}


def upward(found: dict[str, set[str]]) -> list[str]:
    pairs = ((a, b) for a, others in found.items() for b in others if room(a) and room(b))
    return sorted(f"{a} → {b}" for a, b in pairs if floor(b) > floor(a))


def circle(found: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(found).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def between_rooms(found: dict[str, set[str]]) -> dict[str, set[str]]:
    rooms: dict[str, set[str]] = {}
    for a, others in found.items():
        if here := room(a):
            rooms.setdefault(here, set()).update(r for b in others if (r := room(b)) and r != here)
    return rooms
