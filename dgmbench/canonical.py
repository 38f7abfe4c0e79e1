"""A hash of Python source that comments, docstrings and formatting leave alone.

The source is parsed, and the syntax tree is written down in a form of our own: `ast.dump` and `ast.unparse`
differ between versions of Python. Fields that are empty are left out, because newer versions add some. The
rest of a statement counts, names, annotations and `from __future__` included.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

# What the form of this module is called; another form is another hash.
FORM = "1"


class Source(NamedTuple):
    """What is known of a Python file by its content."""

    sha256: str
    # Dotted names of what it imports, inside functions too: modules, or names in them.
    imports: tuple[str, ...]


def canonical_hash(source: bytes) -> str:
    """SHA-256 of a Python file by its meaning; of its bytes where it is no valid Python.

    These change nothing: comments, white space, the way a string is quoted, docstrings (any statement that
    is a lone string), and the text of `description=` in a call of `Field`.
    """
    return read_source(source).sha256


@cache
def read_source(source: bytes) -> Source:
    """The canonical hash and the imports of a file; each content is parsed once."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return Source(hashlib.sha256(source).hexdigest(), ())
    parts: list[str] = [FORM]
    _write(tree, parts.append)
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass"))
    return Source(digest.hexdigest(), tuple(_imports(tree)))


def _imports(tree: ast.AST) -> Iterator[str]:
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not isinstance(node, ast.expr):
            todo += ast.iter_child_nodes(node)


def _write(node: ast.AST, put: Any) -> None:
    """Write a node as its type and its fields that are not empty, in brackets."""
    if isinstance(node, ast.Constant):
        # Marked: a key of {None: x} is no missing key, as of {**x}.
        put(f"= {type(node.value).__name__} {node.value!r}")
        return
    put(f"({type(node).__name__}")
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None or value == [] or name == "type_comment":
            continue
        if isinstance(value, list):
            _write_list(name, _members(node, name, value), put)
        else:
            put(name)
            _write_value(value, put)
    put(")")


def _write_list(name: str, values: list[Any], put: Any) -> None:
    if values:
        put(f"{name} [")
        for each in values:
            _write_value(each, put)
        put("]")


def _write_value(value: Any, put: Any) -> None:
    if isinstance(value, ast.AST):
        _write(value, put)
    else:
        put(f"{type(value).__name__} {value!r}")


def _members(node: ast.AST, field: str, values: list[Any]) -> list[Any]:
    """The members of a list that count."""
    if field in ("body", "orelse", "finalbody"):
        kept = [each for each in values if not _is_text(each)]
        # A body of a docstring alone does what `pass` does; a file of a docstring alone is an empty one.
        return kept or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    if field == "keywords" and isinstance(node, ast.Call) and _called(node.func) == "Field":
        return [each for each in values if not _is_description(each)]
    if field == "values" and isinstance(node, ast.JoinedStr):
        return _joined(values)
    return values


def _is_text(statement: Any) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_description(keyword: ast.keyword) -> bool:
    return (
        keyword.arg == "description"
        and isinstance(keyword.value, ast.Constant)
        and isinstance(keyword.value.value, str)
    )


def _called(function: ast.expr) -> str | None:
    return getattr(function, "attr", None) or getattr(function, "id", None)


def _joined(values: list[Any]) -> list[Any]:
    """The parts of an f-string; versions of Python cut its constant text at different places."""
    found: list[Any] = []
    for value in values:
        if not isinstance(value, ast.Constant):
            found.append(value)
        elif found and isinstance(found[-1], ast.Constant):
            found[-1] = ast.Constant(str(found[-1].value) + str(value.value))
        elif value.value:
            found.append(value)
    return found
