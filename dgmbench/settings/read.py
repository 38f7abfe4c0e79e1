"""YAML read strictly: a duplicate key is an error, and so is a value that DVC would read differently.

DVC reads the same files as YAML 1.2, PyYAML as YAML 1.1. Scalars are resolved here as both do; those that the
two read differently (`yes`, `010`, `1_000`, `1:30`, `2024-01-01`, `=`) are refused, apart from `1e-3`, which
is the number that DVC takes it for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from dgmbench.errors import SettingsError
from dgmbench.settings.block import shown

LARGEST_BYTES = 2**20
MOST_VALUES = 50_000
DEEPEST_NESTING = 30

_TAG = "tag:yaml.org,2002:"
_UNCLEAR = "!unclear"
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?"
# In this order; the first that matches decides. Anything else is text.
_SCALARS = {
    f"{_TAG}null": r"~|null|Null|NULL|",
    f"{_TAG}bool": r"true|True|TRUE|false|False|FALSE",
    f"{_TAG}int": r"[-+]?(?:0|[1-9][0-9]*)",
    f"{_TAG}float": rf"{_FLOAT}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    f"{_TAG}merge": r"<<",
    _UNCLEAR: (
        r"(?i:yes|no|on|off)|=|[-+]?0[0-9_]+|[-+]?0[bBoOxX][0-9a-fA-F_]+|[-+]?[0-9][0-9_]*_[0-9_.]*"
        r"|[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?"
    ),
}
_PATTERNS = {tag: re.compile(pattern) for tag, pattern in _SCALARS.items()}


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the scalars of this module."""


class _Dumper(yaml.SafeDumper):
    """Writes what `read_yaml` reads back: text that looks like another value in quotes, and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern in _PATTERNS.items():
    _whole = re.compile(rf"(?:{_pattern.pattern})\Z")
    _Loader.add_implicit_resolver(_tag, _whole, None)
    _Dumper.add_implicit_resolver(_tag, _whole, None)


def dump_yaml(value: Any) -> str:
    """The text of plain values, keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=100)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds, as plain dicts, lists and scalars.

    Raises:
        SettingsError: in one line with file, key and line, for a file that cannot be read or is no UTF-8, and
            for a duplicate key, a key that is not text, a value that versions of YAML read differently, a
            tag, control characters, and nesting or aliases without end.
    """
    path = Path(path)
    raw = parse_yaml(_text_of(path), str(path))
    if raw is None:
        raise SettingsError(f"{path} is empty; `python -m dgmbench use digits` writes params.yaml")
    if not isinstance(raw, dict):
        raise SettingsError(f"{path} holds {type(raw).__name__}, not settings: `key: value` lines are needed")
    return raw


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text by the same rules; `where` names it in errors (SettingsError)."""
    return _Reader(where).value_of(text)


def _text_of(path: Path) -> str:
    try:
        with open(path, "rb") as handle:
            content = handle.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise SettingsError(f"{path} is not there; `python -m dgmbench use digits` writes it") from None
    except IsADirectoryError:
        raise SettingsError(f"{path} is a folder, not a file of settings") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{path} cannot be read: {reason}") from None
    if len(content) > LARGEST_BYTES:
        raise SettingsError(f"{path} is larger than {LARGEST_BYTES // 1024} KiB: not settings")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        kind = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "not UTF-8"
        raise SettingsError(f"{path} is {kind} (line {line}); save it as UTF-8") from None


class _Reader:
    """Turns the nodes of one file into values; knows for each where it stands."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.count = 0

    def value_of(self, text: str) -> Any:
        try:
            node = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise SettingsError(f"{self.where} is not valid YAML: line {line}: {error.problem}") from None
        except yaml.reader.ReaderError as error:
            line = text[: error.position].count("\n") + 1
            raise SettingsError(
                f"{self.where} is not valid YAML: line {line}: character #x{error.character:04x}"
            ) from None
        except RecursionError:
            raise SettingsError(f"{self.where} is not settings: it nests too deeply") from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            # PyYAML takes the number of an escape such as "\UFFFFFFFF" for a character's without a look.
            raise SettingsError(f"{self.where} is not valid YAML: {' '.join(str(error).split())}") from None
        return None if node is None else self._value(node, ())

    def _value(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        self.count += 1
        if self.count > MOST_VALUES:
            self._refuse(
                node, path, f"the file has more than {MOST_VALUES} values, aliases counted each time"
            )
        if len(path) > DEEPEST_NESTING:
            self._refuse(node, path[:3], f"it nests deeper than {DEEPEST_NESTING} levels")
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self._value(each, (*path, str(i))) for i, each in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._refuse(node, path, f"tag {node.tag.replace(_TAG, '!!')} has no meaning here")

    def _mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            merges = key_node.tag == f"{_TAG}merge"
            key = "<<" if merges else self._key(key_node, path)
            if key in lines:
                self._refuse(key_node, (*path, key), f"this key stands in line {lines[key]} already")
            lines[key] = key_node.start_mark.line + 1
            if merges:
                merged = self._merged(value_node, path)
            else:
                found[key] = self._value(value_node, (*path, key))
        return merged | found

    def _merged(self, node: yaml.Node, path: tuple[str, ...]) -> dict[str, Any]:
        """The mapping that `<<` brings in; of several, the earlier wins."""
        value = self._value(node, (*path, "<<"))
        merged: dict[str, Any] = {}
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, dict):
                self._refuse(node, (*path, "<<"), "it should be a mapping or a list of mappings")
            merged = each | merged
        return merged

    def _key(self, node: yaml.Node, path: tuple[str, ...]) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._refuse(node, path, "a key here is a list or a mapping, not text")
        if node.tag != f"{_TAG}str":
            self._refuse(node, (*path, node.value), "this key is not text; put it in quotes or correct it")
        return str(self._scalar(node, path))

    def _scalar(self, node: yaml.ScalarNode, path: tuple[str, ...]) -> Any:
        text, tag = node.value, node.tag
        value = shown(text).strip("'")
        if tag == f"{_TAG}str":
            if any(unicodedata.category(sign) in ("Cc", "Cs") and sign not in "\n\t" for sign in text):
                self._refuse(node, path, f"{value} has control characters")
            return text
        if tag == _UNCLEAR:
            self._refuse(
                node,
                path,
                f"versions of YAML read {value} differently: write true, false or a decimal number, and put "
                "text in quotes",
            )
        if tag not in _PATTERNS or not _PATTERNS[tag].fullmatch(text):
            self._refuse(node, path, f"{value} with tag {tag.replace(_TAG, '!!')} has no meaning here")
        if tag == f"{_TAG}int" and len(text) > 20:
            self._refuse(node, path, f"{value} is too large; integers reach up to 2^63 - 1")
        return _PLAIN[tag.removeprefix(_TAG)](text)

    def _refuse(self, node: yaml.Node, path: tuple[str, ...], why: str) -> NoReturn:
        line = node.start_mark.line + 1
        key = shown(".".join(path)).strip("'\"") if path else "the file"
        raise SettingsError(f"{self.where} line {line}: '{key}': {why}")


_PLAIN: dict[str, Callable[[str], Any]] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": int,
    "float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
    "merge": str,
}
