"""What a stage's result depends on besides data and settings: source files by hash, and libraries.

A stage depends on its entry point, on everything of ours that it imports, and for a model on that model's
file: not on the other models. DVC cannot express this in a matrix, so the first stage writes one
fingerprint file per stage and model, and the later stages depend on those.

Python files are hashed by their meaning (`dgmbench.canonical`): a comment or a docstring changes nothing.
"""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dgmbench.canonical import canonical_hash
from dgmbench.files import sha256_json

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("dgmbench", "stages")
# Files, and folders of files, that no result depends on by their text: the package's lazy alias, the tables
# that name models and data sets (the files that they name are hashed), the schema of settings (the values in
# force are recorded instead), the command line, what ends a process, what remembers results, and this
# bookkeeping itself. Without this, one more registry line or metric setting would retrain everything.
NEUTRAL = (
    "dgmbench/__init__.py",
    "dgmbench/blocks.py",
    "dgmbench/canonical.py",
    "dgmbench/commands.py",
    "dgmbench/controls/registry.py",
    "dgmbench/data/datasets.py",
    "dgmbench/lifetime.py",
    "dgmbench/models/registry.py",
    "dgmbench/packed.py",
    "dgmbench/provenance.py",
    "dgmbench/settings/",
    "dgmbench/store.py",
    "dgmbench/training/finished.py",
)
# The libraries that compute numbers. A new version of one may change them all.
LIBRARIES = ("numpy", "scikit-learn", "scipy", "torch")


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
    """A hash of each file of the closure, by path relative to the repository.

    Of Python its meaning is hashed, of anything else the bytes.
    """
    return {path.relative_to(root).as_posix(): _hash(path) for path in closure(*modules, root=root)}


def _hash(path: Path) -> str:
    content = path.read_bytes()
    return canonical_hash(content) if path.suffix == ".py" else hashlib.sha256(content).hexdigest()


def code_key(*modules: str) -> str:
    """One hash of the code behind modules and of the libraries: a part of the key of what they compute.

    A measure that is remembered by ``code_key(its module)`` is computed again when that module changes, or
    anything that it imports.
    """
    return sha256_json({"code": _code_of_this_process(*modules), "versions": versions()})


@cache
def _code_of_this_process(*modules: str) -> dict[str, str]:
    return code_hash(*modules)


def versions() -> dict[str, str]:
    """The version of each library that computes numbers, by its name; "none" of one that is not installed.

    Read from the packages' metadata, so that nothing is imported. A build's suffix (``+cpu``, ``+cu128``)
    is left out: the metadata of PyPI's wheels lacks it, and a run's fingerprint has the device anyway.
    """
    return {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str:
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return "none"


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
