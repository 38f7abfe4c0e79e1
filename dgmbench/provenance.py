"""What a stage's result depends on besides data and settings: source files by hash, and libraries.

A stage depends on its entry point, on everything of ours that it imports, and for a model on that model's
file: not on the other models. DVC cannot express this in a matrix, so the first stage writes one
fingerprint file per stage and model, and the later stages depend on those.

Python files are hashed by their meaning (`dgmbench.canonical`): a comment or a docstring changes nothing.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dgmbench.canonical import read_source
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
    "dgmbench/dependencies.py",
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


class Sources:
    """The files of a checkout, each of them read once: what one object finds is of one moment."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = str(root)
        self._files: dict[str, list[str]] = {}
        self._read: dict[str, tuple[str, list[str]]] = {}

    def hashes(self, *modules: str) -> dict[str, str]:
        """A hash of each file that modules depend on, by path relative to the repository; see `closure`.

        Of Python its meaning is hashed, of anything else the bytes.
        """
        found: dict[str, str] = {}
        todo = [file for module in modules for file in self._files_of(module)]
        while todo:
            file = todo.pop()
            if file not in found and not file.startswith(NEUTRAL):
                found[file], further = self._known(file)
                todo += further
        return dict(sorted(found.items()))

    def _files_of(self, module: str) -> list[str]:
        """The file of a module of ours and its packages' __init__ files; nothing for others' modules."""
        if module not in self._files:
            parts = module.split(".")
            names = ["/".join([*parts[:depth], "__init__.py"]) for depth in range(1, len(parts) + 1)]
            names.append("/".join(parts) + ".py")
            ours = parts[0] in PACKAGES
            self._files[module] = [name for name in names if ours and os.path.isfile(f"{self.root}/{name}")]
        return self._files[module]

    def _known(self, file: str) -> tuple[str, list[str]]:
        """A file's hash, and the files that it needs."""
        if file not in self._read:
            content = Path(self.root, file).read_bytes()
            if file.endswith(".py"):
                source = read_source(content)
                further = [name for module in source.imports for name in self._files_of(module)]
                self._read[file] = source.sha256, further + self._resources(file)
            else:
                self._read[file] = hashlib.sha256(content).hexdigest(), []
        return self._read[file]

    def _resources(self, file: str) -> list[str]:
        """Of a package's __init__: files of the package that are not Python, such as its templates."""
        folder, name = os.path.split(file)
        if name != "__init__.py":
            return []
        others = (each for each in os.listdir(f"{self.root}/{folder}") if not each.endswith((".py", ".pyc")))
        paths = (f"{folder}/{each}" for each in others)
        return [path for path in paths if os.path.isfile(f"{self.root}/{path}")]


def closure(*modules: str, root: Path = ROOT) -> list[Path]:
    """Source files of `modules` (dotted names) and all of ours that they import, at any depth, sorted.

    Imports inside functions count; names loaded by string (the registry's models) do not.
    """
    return [Path(root, name) for name in code_hash(*modules, root=root)]


def code_hash(*modules: str, root: Path = ROOT) -> dict[str, str]:
    """A hash of each file of the closure, by path relative to the repository; see `Sources`."""
    return Sources(root).hashes(*modules)


def code_key(*modules: str) -> str:
    """One hash of the code behind modules and of the libraries: a part of the key of what they compute.

    A measure that is remembered by ``code_key(its module)`` is computed again when that module changes, or
    anything that it imports.
    """
    return sha256_json({"code": _code_of_this_process(modules), "versions": versions()})


@cache
def _code_of_this_process(modules: tuple[str, ...]) -> str:
    """Hashed once: what has been imported does not change with the files."""
    return sha256_json(_sources_of_this_process().hashes(*modules))


@cache
def _sources_of_this_process() -> Sources:
    return Sources()


def versions() -> dict[str, str]:
    """The version of each library that computes numbers, by its name; "none" of one that is not installed.

    Read from the packages' metadata, so that nothing is imported. A build's suffix (``+cpu``, ``+cu128``)
    is left out: the metadata of PyPI's wheels lacks it, and a run's fingerprint has the device anyway.
    """
    return {name: _version(name, version) for name in LIBRARIES}


@cache
def _version(name: str, of: Callable[[str], str]) -> str:
    try:
        return of(name).partition("+")[0]
    except PackageNotFoundError:
        return "none"


def git_commit(root: Path = ROOT) -> str | None:
    """The checked-out commit, with ``-dirty`` if tracked source files differ from it.

    None outside git, and where the sources are no part of the repository around them (an archive unpacked
    in one). None too if git is missing or refuses, which is reported on standard error.
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
