"""The house has no import cycle, and data flow one way through it."""

from __future__ import annotations

import ast
from pathlib import Path

from places import ROOT

PACKAGE = ROOT / "dgmbench"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_at_once(tree: ast.Module) -> set[str]:
    """What a module imports when it is imported itself: not in functions, nor for the type checker alone."""
    found: set[str] = set()
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        todo += ast.iter_child_nodes(node)
    return found


def imports() -> dict[str, set[str]]:
    paths = {module_of(path): path for path in PACKAGE.rglob("*.py")}
    return {
        name: (imported_at_once(ast.parse(path.read_text(encoding="utf-8"))) & paths.keys()) - {name}
        for name, path in paths.items()
    }


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = imports()
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> None:
        assert name not in trail, f"a cycle: {' -> '.join([*trail[trail.index(name) :], name])}"
        if name in done:
            return
        for other in sorted(graph[name]):
            visit(other, [*trail, name])
        done.add(name)

    for name in graph:
        visit(name, [])


def test_data_flow_one_way() -> None:
    """Models know nothing of evaluation, evaluation no family, and the report reads files alone."""
    models, training, evaluation, reporting = (
        f"dgmbench.{name}" for name in ("models", "training", "evaluation", "reporting")
    )
    forbidden = {
        "dgmbench.data": (models, training, evaluation, reporting),
        "dgmbench.models": (training, evaluation, reporting),
        "dgmbench.training": (evaluation, reporting),
        "dgmbench.evaluation": (reporting, "dgmbench.controls", "dgmbench.models.latent",
                                "dgmbench.models.adversarial", "dgmbench.models.autoregressive"),
        "dgmbench.reporting": (models, training, evaluation),
    }  # fmt: skip
    for name, targets in imports().items():
        for source, others in forbidden.items():
            if name.startswith(source):
                wrong = sorted(target for target in targets if target.startswith(others))
                assert not wrong, f"{name} imports {wrong}"


def test_every_package_says_what_lives_there() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
