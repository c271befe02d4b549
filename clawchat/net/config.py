"""Read a program's configuration: flag > environment ``CLAWCHAT_*`` > YAML file > default.

The schema is a frozen dataclass whose fields are dataclasses (sections) or options; see
``clawchat.net.config_schema``. A mistake is a ConfigError with file, line, column and the nearest valid key.
"""

from __future__ import annotations

import difflib
import os
import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import yaml

from clawchat.net.config_schema import Option, Section, sections_of
from clawchat.values.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

T = TypeVar("T")

ENVIRONMENT_PREFIX: Final = "CLAWCHAT_"
# A configuration is a page of text; more is a mistake in the path.
MAX_FILE_BYTES: Final = 256 * 1024
PLAIN_MAPPING: Final = "tag:yaml.org,2002:map"


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """A configuration, and each key's source: ``flag``, a variable's name, ``file:line`` or ``default``."""

    value: T
    sources: Mapping[str, str]


def load(
    schema: type[T],
    file: pathlib.Path | None,
    *,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded[T]:
    """Read a configuration; ``flags`` has dotted keys (``server.port``), where None means not given.

    A ``file`` of None or one that does not exist counts as empty. Relative paths in the file start at its
    directory. Raises ConfigError.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, tuple[object, str]] = {}
    options = dict(_options(schema))
    if file is not None and file.exists():
        values |= _File(file, schema).values()
    for key, option in options.items():
        variable = variable_of(key)
        if variable in environ:
            values[key] = _from_text(option, key, environ[variable], variable), variable
        flag = (flags or {}).get(key)
        if flag is not None:
            values[key] = _checked(option, key, flag, "flag"), "flag"
    made = _build(schema, {key: value for key, (value, _) in values.items()})
    return Loaded(made, {key: values[key][1] if key in values else "default" for key in options})


def variable_of(key: str) -> str:
    """Name the environment variable of a key: ``server.port`` is ``CLAWCHAT_SERVER_PORT``."""
    return ENVIRONMENT_PREFIX + key.replace(".", "_").upper()


def as_rows(schema: type[T], loaded: Loaded[T]) -> Iterator[tuple[str, object, str]]:
    """Go through the keys, their values and where they came from."""
    for key, _ in _options(schema):
        value: object = loaded.value
        for part in key.split("."):
            value = getattr(value, part)
        yield key, value, loaded.sources[key]


def _options(schema: type[Any]) -> Iterator[tuple[str, Option]]:
    for name, part in sections_of(schema).items():
        if isinstance(part, Section):
            yield from ((f"{name}.{key}", option) for key, option in part.options.items())
        else:
            yield name, part


def _build(schema: type[T], values: Mapping[str, object]) -> T:
    arguments: dict[str, object] = {}
    for name, part in sections_of(schema).items():
        if isinstance(part, Section):
            given = {key: values[f"{name}.{key}"] for key in part.options if f"{name}.{key}" in values}
            arguments[name] = part.kind(**given)
        elif name in values:
            arguments[name] = values[name]
    return schema(**arguments)


def _checked(option: Option, key: str, value: object, where: str) -> object:
    try:
        return option.parse(value)
    except ValueError as error:
        raise ConfigError(f"{where}: {key}: {error}", key=key) from error


def _from_text(option: Option, key: str, text: str, where: str) -> object:
    """Read a variable's text as YAML would, except that an option of text takes it as it stands."""
    if option.takes_text and text not in {"", "null"}:
        return _checked(option, key, text, where)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: {key}: not YAML", key=key) from error
    if isinstance(value, str) and option.is_list:
        value = [part.strip() for part in value.split(",") if part.strip()]
    return _checked(option, key, value, where)


class _File:
    """One YAML file, walked along the schema so that each mistake has its place."""

    def __init__(self, path: pathlib.Path, schema: type[Any]) -> None:
        self._path = path
        self._schema = schema
        self._found: dict[str, tuple[object, str]] = {}
        self._loader = yaml.SafeLoader("")

    def values(self) -> dict[str, tuple[object, str]]:
        """Read the file; return the value and the place of each key in it."""
        root = self._compose()
        if root is None or (isinstance(root, yaml.ScalarNode) and root.tag.endswith(":null")):
            return {}
        parts = sections_of(self._schema)
        for key, key_node, node in self._entries(root, ""):
            part = parts.get(key)
            if part is None:
                raise self._unknown(key_node, key, parts, "")
            if isinstance(part, Option):
                self._take(key, part, node)
                continue
            if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null"):
                continue
            for name, name_node, value_node in self._entries(node, key):
                if name not in part.options:
                    raise self._unknown(name_node, name, part.options, f"{key}.")
                self._take(f"{key}.{name}", part.options[name], value_node)
        return self._found

    def _compose(self) -> yaml.Node | None:
        try:
            with self._path.open("rb") as stream:
                data = stream.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise ConfigError(f"can't be read: {error.strerror}", file=str(self._path)) from error
        if len(data) > MAX_FILE_BYTES:
            raise ConfigError("is too large for a configuration", file=str(self._path))
        try:
            return yaml.compose(data, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            problem = error.problem or "not YAML"
            raise self._error(f"not YAML: {problem}", error.problem_mark or error.context_mark) from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError("not YAML", file=str(self._path)) from error

    def _entries(self, node: yaml.Node, under: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode) or node.tag != PLAIN_MAPPING:
            where = f"{under!r} has" if under else "the file has"
            raise self._error(f"{where} no keys: expected `key: value` lines", node.start_mark, under)
        seen: set[str] = set()
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in seen:
                raise self._error(f"{key!r} stands twice", key_node.start_mark, key)
            seen.add(key)
            yield key, key_node, value_node

    def _take(self, key: str, option: Option, node: yaml.Node) -> None:
        try:
            value = self._loader.construct_object(node, deep=True)
            parsed = option.parse(value)
        except yaml.MarkedYAMLError as error:
            raise self._error(f"{key}: {error.problem}", node.start_mark, key) from error
        except (ValueError, TypeError, RecursionError) as error:
            raise self._error(f"{key}: {error}", node.start_mark, key) from error
        if isinstance(parsed, pathlib.Path):
            parsed = self._path.parent.absolute() / parsed.expanduser()
        self._found[key] = parsed, f"{self._path}:{node.start_mark.line + 1}"

    def _unknown(self, node: yaml.Node, key: str, valid: Mapping[str, object], prefix: str) -> ConfigError:
        near = difflib.get_close_matches(key, valid, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        action = f"Write {near[0]!r}." if near else f"Valid keys here: {', '.join(valid)}."
        return self._error(f"unknown key {prefix + key!r}{hint}", node.start_mark, prefix + key, action)

    def _error(self, cause: str, mark: yaml.Mark | None, key: str = "", action: str = "") -> ConfigError:
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        return ConfigError(cause, action, file=str(self._path), line=line, column=column, key=key)


__all__ = ["Loaded", "Option", "as_rows", "load", "variable_of"]
