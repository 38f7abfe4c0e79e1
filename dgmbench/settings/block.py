"""What every block of settings is: unknown keys are errors, and a value has the declared type.

`checked` validates raw settings against a block and says in one line per fault which key of which file is
wrong and what is valid.
"""

from __future__ import annotations

import types
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import pydantic
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from dgmbench.errors import SettingsError, suggest

T = TypeVar("T")

# What tables, MLflow and torch take as an integer.
LARGEST_INT = 2**63 - 1
# Files are called after models and pipelines; file systems allow 255 bytes.
LONGEST_NAME = 64
_LONGEST_SHOWN = 60


class Strict(BaseModel):
    """A settings block: unknown keys are errors and values do not change after validation.

    Types are strict: `true`, `1.0` and `'1'` are no integers. An integer is a valid float. Integers are
    below 2^63.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)

    @field_validator("*")
    @classmethod
    def _in_range(cls, value: Any) -> Any:
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, int) and abs(each) > LARGEST_INT:
                raise ValueError("Integers reach up to 2^63 - 1")
        return value


def _distinct(values: list[T]) -> list[T]:
    repeated = sorted({str(value) for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"The same entry twice: {', '.join(repeated)}")
    return values


# YAML knows lists alone, which strict types would not take for a tuple.
Pair = Annotated[tuple[T, T], pydantic.Strict(False)]
# A list whose entries name metrics or subjects, so that none may come twice.
Distinct = Annotated[list[T], AfterValidator(_distinct)]
NAME, FILE_NAME = r"^[a-z][a-z0-9_]*$", r"^[a-z0-9][a-z0-9-]*$"
DEVICE = r"^(auto|cpu|cuda(:\d+)?)$"
_PATTERNS = {
    DEVICE: "auto, cpu, cuda or cuda:NUMBER",
    NAME: "small letters, digits and underscores, the first a letter",
    FILE_NAME: "small letters, digits and hyphens, the first no hyphen",
}
Name = Annotated[str, Field(pattern=NAME, max_length=LONGEST_NAME)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_INT)]
# The first of a row of seeds, which must all be seeds.
FirstSeed = Annotated[int, Field(ge=0, le=2**62)]
# Layers of a network, points of a grid: more are a slip of the keyboard, and building them takes hours.
Few = Annotated[int, Field(ge=1, le=1000)]


def checked(schema: type[Any], raw: Any, key: str, where: str) -> Any:
    """An instance of `schema`; `key` is the dotted name of the block in the file `where`.

    Raises:
        SettingsError: one line for each bad key, with the nearest valid choice.
    """
    try:
        return schema.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(schema, problem, key) for problem in error.errors()]
        raise SettingsError("\n".join(f"{where}: {line}" for line in lines)) from None


def shown(value: Any) -> str:
    """A value as it stands in YAML, cut to a length that leaves the message on one line."""
    words: dict[Any, str] = {None: "null", True: "true", False: "false"}
    simple = value is None or isinstance(value, bool)
    text = words[value] if simple else _repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):
        # Python does not print integers of more than 4300 digits.
        return f"a very large {type(value).__name__}"


def _explain(schema: type[BaseModel], problem: Any, prefix: str) -> str:
    path = [shown(part).strip("'") for part in problem["loc"] if part != "[key]"]
    key = ".".join([prefix, *path] if prefix else path) or "the file"
    kind, value = problem["type"], shown(problem["input"])
    block = _block_at(
        schema, problem["loc"][:-1] if kind in ("extra_forbidden", "missing") else problem["loc"]
    )
    fields = block.model_fields if block else {}
    if kind == "extra_forbidden":
        return f"unknown key '{key}': {suggest(path[-1], fields)}"
    if kind == "missing":
        return f"'{key}' is missing: {fields[path[-1]].description if path[-1] in fields else problem['msg']}"
    if kind == "model_type":
        return f"'{key}' is {value}: it should be a mapping. Valid keys: {', '.join(fields)}"
    if kind == "dict_type":
        return f"'{key}' is {value}: it should be a mapping"
    if kind == "invalid_key":
        return f"'{key}' is a key that is not text; put it in quotes or correct it"
    if kind == "string_pattern_mismatch":
        return f"'{key}' is {value}: {_PATTERNS[problem['ctx']['pattern']]}"
    return f"'{key}' is {value}: {problem['msg'].removeprefix('Value error, ')}"


def _block_at(schema: Any, loc: tuple[Any, ...]) -> type[BaseModel] | None:
    """The block that a path of keys and indices leads to, if it leads to one."""
    inner = _without_none(schema)
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        if not loc:
            return inner
        field = inner.model_fields.get(str(loc[0]))
        return _block_at(field.annotation, loc[1:]) if field else None
    arguments = get_args(inner)
    return _block_at(arguments[-1], loc[1:]) if loc and arguments else None


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return _without_none(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return next(part for part in get_args(annotation) if part is not type(None))
    return annotation
