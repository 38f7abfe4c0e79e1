"""Which source files a stage's result depends on, and one hash of them.

A stage depends on its entry point, on everything of ours that it imports, and for a model on that model's
file: not on the other models. DVC cannot express this in a matrix, so the first stage writes one
fingerprint file per stage and model, and the later stages depend on those.
"""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("dgmbench", "stages")
# Files, and folders of files, that no result depends on by their text: the package's lazy alias, the table of
# model names (each model's own file is hashed), the schema of settings (the values in force are recorded
# instead), the command line, what ends a process, and this bookkeeping itself. Without this, one more
# registry line or metric setting would retrain everything.
NEUTRAL = (
    "dgmbench/__init__.py",
    "dgmbench/commands.py",
    "dgmbench/controls/registry.py",
    "dgmbench/lifetime.py",
    "dgmbench/models/registry.py",
    "dgmbench/provenance.py",
    "dgmbench/settings/",
)


def closure(*modules: str, root: Path = ROOT) -> list[Path]:
    """Source files of `modules` (dotted names) and all of ours that they import, at any depth, sorted.

    Imports inside functions count; names loaded by string (the registry's models) do not.
    """
    found: set[Path] = set()
    todo = [path for module in modules for path in _files_of(module, root)]
    while todo:
        path = todo.pop()
        if path in found or path.relative_to(root).as_posix().startswith(NEUTRAL):
            continue
        found.add(path)
        if path.name == "__init__.py":
            found |= _resources(path.parent)
        todo += [file for module in _imports(path) for file in _files_of(module, root)]
    return sorted(found)


def code_hash(*modules: str, root: Path = ROOT) -> dict[str, str]:
    """SHA-256 of each file of the closure, by path relative to the repository."""
    return {path.relative_to(root).as_posix(): _sha256(path) for path in closure(*modules, root=root)}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _files_of(module: str, root: Path) -> list[Path]:
    """The file of a module of ours and its packages' __init__ files; nothing for other people's modules."""
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return []
    packages = [root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    return [path for path in [*packages, root.joinpath(*parts).with_suffix(".py")] if path.is_file()]


def _resources(package: Path) -> set[Path]:
    """Files of a package that are not Python: its templates."""
    return {path for path in package.iterdir() if path.is_file() and path.suffix not in (".py", ".pyc")}


@cache
def _imports_of_source(source: str) -> tuple[str, ...]:
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(names)


def _imports(path: Path) -> tuple[str, ...]:
    return _imports_of_source(path.read_text(encoding="utf-8"))


def git_commit(root: Path = ROOT) -> str | None:
    """The checked-out commit, with ``-dirty`` if tracked source files differ from it.

    None outside git, and where the sources are no part of the repository around them (an archive unpacked
    in one). None too if git is missing or refuses, which is told on standard error.
    """
    try:
        if not _git(root, "ls-files", "--", *PACKAGES):
            return None
        commit = _git(root, "rev-parse", "HEAD")
        dirty = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *PACKAGES)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = _refusal(root, error)
        if reason:
            print(f"the commit is not recorded: {reason}", file=sys.stderr)
        return None
    return f"{commit}-dirty" if dirty else commit


def _refusal(root: Path, error: OSError | subprocess.CalledProcessError) -> str | None:
    """Git's own words and its advice in a line; None if there is simply no repository."""
    if isinstance(error, OSError):
        there = any((folder / ".git").exists() for folder in (root, *root.parents))
        return f"git cannot be run ({error.strerror})" if there else None
    said = [line.strip() for line in error.stderr.splitlines() if line.strip()]
    if any("not a git repository" in line for line in said):
        return None
    advice = next((f"; `{line}` allows it" for line in said if line.startswith("git config ")), "")
    return f"git says '{said[0] if said else error}'{advice}"


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"}
    )
    return done.stdout.strip()
