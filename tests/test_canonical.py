"""Text that no result depends on leaves the hash of a file alone; everything else changes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from places import ROOT

from dgmbench.canonical import canonical_hash

SOURCE = '''
"""A module."""
from __future__ import annotations

from pydantic import BaseModel, Field

LIMIT = 10  # a remark


class Settings(BaseModel):
    """Settings of something."""

    n: int = Field(3, ge=1, description="how many")


class Empty(Exception):
    """Nothing but this."""


def mean(values: list[float], *, weight: float = 1.0) -> float:
    """The mean."""
    total = sum(values)
    return weight * total / len(values) if values else f"{total:.3f} none"
'''


def hashed(old: str = "", new: str = "") -> str:
    assert old in SOURCE
    return canonical_hash(SOURCE.replace(old, new, 1).encode() if old else SOURCE.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""\n', ""),
        ('"""A module."""', '"""Another sentence."""'),
        ("  # a remark", ""),
        ('"""The mean."""\n', '"""The mean.\n\n    Of all.\n    """\n\n'),
        ('    """Settings of something."""\n\n', ""),
        ('"""Nothing but this."""', "pass"),
        ('"""Nothing but this."""', '"""Another."""'),
        ('description="how many"', "description='how ' 'many more'"),
        (', description="how many"', ""),
        ("total = sum(values)", "total = (\n        sum(values)\n    )"),
        ("LIMIT = 10", "LIMIT = 1_0"),
    ],
)
def test_what_is_written_about_the_code_changes_nothing(old: str, new: str) -> None:
    assert hashed(old, new) == hashed()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 10", "LIMIT = 10.0"),
        ("LIMIT = 10", "LIMIT = True"),
        ("LIMIT = 10", "LIMIT: int = 10"),
        ("n: int", "n: float"),
        ("Field(3,", "Field(4,"),
        ("ge=1", "gt=1"),
        ("description=", "title="),
        ("list[float]", "list[int]"),
        ("weight * total", "total * weight"),
        ("from __future__ import annotations\n", ""),
        ("(Exception)", ""),
        ("{total:.3f}", "{total:.4f}"),
        ("total:.3f} none", "total:.3f} nothing"),
        ("total = sum(values)", "total = sum(values)\n    print('a string that is printed')"),
    ],
)
def test_everything_else_changes_the_hash(old: str, new: str) -> None:
    assert hashed(old, new) != hashed()


def test_a_description_counts_where_it_is_no_field_s_text() -> None:
    assert canonical_hash(b"f(description='a')") != canonical_hash(b"f(description='b')")
    assert canonical_hash(b"Field(description=a)") != canonical_hash(b"Field(description=b)")
    assert canonical_hash(b"pydantic.Field(description='a')") == canonical_hash(b"pydantic.Field()")


def test_fields_do_not_run_into_each_other() -> None:
    calls = [b"f(a, b)", b"f((a, b))", b"f('a', 'b')", b"f('a b')", b"f(*a, b)"]
    mappings = [b"{**a}", b"{a: 1}", b"{None: a}"]
    bodies = [b"x = 1\ny = 2", b"x = y = 1", b"if a: b\nc", b"if a:\n  b\n  c", b"if a: b\nelse: c"]
    sources = calls + mappings + bodies
    assert len({canonical_hash(source) for source in sources}) == len(sources)


def test_an_empty_file_is_one_of_a_docstring_and_no_python_is_hashed_by_its_bytes() -> None:
    assert canonical_hash(b"") == canonical_hash(b'"""A package."""\n') != canonical_hash(b"pass")
    assert canonical_hash(b"def (") != canonical_hash(b"def ( ")


OTHERS = [version for version in ("3.11", "3.12", "3.13", "3.14") if shutil.which(f"python{version}")]


@pytest.mark.parametrize("version", OTHERS)
def test_other_versions_of_python_give_the_same_hashes(version: str) -> None:
    """Of every file of ours: the module needs nothing but the standard library."""
    program = (
        "import importlib.util as u, sys; s = u.spec_from_file_location('c', sys.argv[1]);"
        "m = u.module_from_spec(s); s.loader.exec_module(m);"
        "print(*[m.canonical_hash(open(name, 'rb').read()) for name in sys.argv[2:]])"
    )
    files = sorted(map(str, [*ROOT.glob("dgmbench/**/*.py"), *ROOT.glob("stages/*.py")]))
    command = [f"python{version}", "-I", "-c", program, str(ROOT / "dgmbench/canonical.py"), *files]
    environment = os.environ | {"PYENV_VERSION": _installed(version)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if "command exists in these" in done.stderr or "not installed" in done.stderr:
        pytest.skip(f"python{version} is a shim of nothing")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [canonical_hash(Path(name).read_bytes()) for name in files]


def _installed(version: str) -> str:
    """The name that pyenv, where it is in use, has for a minor version."""
    found = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*"))
    return found[-1].name if found else "system"
