"""Describe a program's configuration as dataclasses, and write a documented file from the description.

A schema is a frozen dataclass whose fields are sections, each a frozen dataclass of options, or options:

    @dataclass(frozen=True)
    class ServerConfig:
        server: Server = section(Server)
        handler: tuple[str, ...] = option("a command to start", default=())

An option's type is one of str, int, float, bool, pathlib.Path, ``tuple[str, ...]``, or one of them ``| None``.
A section's docstring is what the written file says about it.
"""

from __future__ import annotations

import pathlib
import types
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin, get_type_hints

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_HELP: Final = "help"
_CHECK: Final = "check"
_NAMES: Final = {str: "text", int: "a whole number", float: "a number", bool: "true or false", pathlib.Path: "a path"}


@dataclass(frozen=True, slots=True)
class Option:
    """One key: its type, its default, what it is for, and what it may hold."""

    help: str
    default: object
    kind: type
    optional: bool
    is_list: bool
    check: Callable[[Any], str | None] | None

    @property
    def takes_text(self) -> bool:
        """Tell whether the value is text as it stands."""
        return self.kind in {str, pathlib.Path} and not self.is_list

    def parse(self, value: object) -> object:
        """Convert and check a decoded value. Raises ValueError with a sentence for a person."""
        if value is None:
            if self.optional:
                return None
            raise ValueError(f"must be {self.wanted()}, not null")
        parsed = self._list(value) if self.is_list else self._single(value)
        problem = self.check(parsed) if self.check is not None else None
        if problem:
            raise ValueError(problem)
        return parsed

    def wanted(self) -> str:
        """Say in words what a value looks like."""
        return "a list of texts" if self.is_list else _NAMES[self.kind] + (" or null" if self.optional else "")

    def _list(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"must be {self.wanted()}")
        return tuple(value)

    def _single(self, value: object) -> object:
        if self.kind is pathlib.Path and isinstance(value, (str, pathlib.PurePath)):
            return pathlib.Path(value)
        if self.kind is float and type(value) is int:
            return float(value)
        if type(value) is not self.kind:
            raise ValueError(f"must be {self.wanted()}, not {value!r}")
        return value


@dataclass(frozen=True, slots=True)
class Section:
    """A group of keys below one name."""

    kind: type
    help: str
    options: Mapping[str, Option]


def option(text: str, *, default: Any, check: Callable[[Any], str | None] | None = None) -> Any:  # noqa: ANN401 - as dataclasses.field
    """Declare a key: what it is for, its default, and a check that returns a complaint or None."""
    return field(default=default, metadata={_HELP: text, _CHECK: check})


def section(kind: type[Any]) -> Any:  # noqa: ANN401 - as dataclasses.field
    """Declare a group of keys; its docstring's first line says what it is for."""
    return field(default_factory=kind)


def between(low: float, high: float) -> Callable[[Any], str | None]:
    """Check that a number lies in a range, ends included."""
    return lambda value: None if low <= value <= high else f"must be {low} to {high}, not {value}"


def one_of(*words: str) -> Callable[[Any], str | None]:
    """Check that a text is one of some words."""
    return lambda value: None if value in words else f"must be one of {', '.join(words)}, not {value!r}"


def each(check: Callable[[str], str | None]) -> Callable[[Iterable[str]], str | None]:
    """Check every item of a list."""
    return lambda values: next(filter(None, map(check, values)), None)


def sections_of(schema: type[Any]) -> Mapping[str, Section | Option]:
    """Read a schema: its sections and its options outside any section, in order."""
    hints = get_type_hints(schema)
    found: dict[str, Section | Option] = {}
    for entry in fields(schema):
        if _HELP in entry.metadata:
            found[entry.name] = _option_of(entry, hints[entry.name])
        else:
            kind = hints[entry.name]
            inner = get_type_hints(kind)
            options = {part.name: _option_of(part, inner[part.name]) for part in fields(kind)}
            found[entry.name] = Section(kind, (kind.__doc__ or "").partition("\n")[0], options)
    return found


def _option_of(entry: Field[Any], hint: Any) -> Option:  # noqa: ANN401 - a type hint has no common type
    optional = get_origin(hint) in {Union, types.UnionType}
    if optional:
        hint = next(part for part in get_args(hint) if part is not types.NoneType)
    is_list = get_origin(hint) is tuple
    assert entry.default is not MISSING  # noqa: S101 - the schema is ours
    return Option(
        entry.metadata[_HELP], entry.default, str if is_list else hint, optional, is_list, entry.metadata[_CHECK]
    )


def document(schema: type[Any], overrides: Mapping[str, object] | None = None, *, heading: str = "") -> str:
    """Write a configuration file: every key with its default, and above it what it is for.

    ``overrides`` (dotted keys) stand in place of defaults.
    """
    given = overrides or {}
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    for name, part in sections_of(schema).items():
        lines.append("")
        if isinstance(part, Option):
            lines += _key_lines(name, name, part, given, "")
            continue
        lines += [f"# {part.help}", f"{name}:"]
        for key, item in part.options.items():
            lines += _key_lines(f"{name}.{key}", key, item, given, "  ")
    return "\n".join(lines).lstrip("\n") + "\n"


def _key_lines(dotted: str, key: str, item: Option, given: Mapping[str, object], indent: str) -> list[str]:
    value = given.get(dotted, item.default)
    if isinstance(value, pathlib.PurePath):
        value = str(value)
    if isinstance(value, tuple):
        value = list(value)
    text = yaml.safe_dump(value, default_flow_style=True, width=1 << 16, allow_unicode=True)
    return [f"{indent}# {item.help}", f"{indent}{key}: {text.splitlines()[0]}"]
