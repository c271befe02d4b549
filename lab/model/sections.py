"""Read a YAML document section by section, so that each mistake has its line and column."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NoReturn, TypeVar

import yaml

from clawchat.values.errors import ConfigError

MAX_DOCUMENT: Final = 256 * 1024
"""Bytes; the largest network that fits the laboratory needs a tenth of it."""

PLAIN: Final = "tag:yaml.org,2002:"

T = TypeVar("T")
E = TypeVar("E", bound=enum.StrEnum)


class Document:
    """A YAML file, of which only the plain kinds of values are used."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        if len(text) > MAX_DOCUMENT:
            raise ConfigError(f"is longer than {MAX_DOCUMENT} characters", file=file)
        try:
            # compose does not make objects, only nodes with their places.
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.fail(f"not YAML: {error.problem or 'unreadable'}", mark)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError("not YAML", file=file) from error
        if root is None:
            raise ConfigError("is empty", file=file)
        self.root: yaml.Node = root

    def fail(self, cause: str, mark: yaml.Mark | None, key: str = "", action: str = "") -> NoReturn:
        """Raise the error that says what is wrong at a place."""
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise ConfigError(cause, action, file=self.file, line=line, column=column, key=key)


class Section:
    """A mapping of the document; every key in it has to be known unless the section is one of names."""

    def __init__(self, document: Document, node: yaml.Node, path: str, known: Sequence[str] | None) -> None:
        self.document = document
        self.path = path
        self.mark = node.start_mark
        self._entries: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        if is_nothing(node):
            return
        if not isinstance(node, yaml.MappingNode) or node.tag != f"{PLAIN}map":
            document.fail(f"{path or 'the document'} has no keys: expected `key: value` lines", self.mark, path)
        for key_node, value in node.value:
            key = str(key_node.value)
            if key in self._entries:
                document.fail(f"{self.under(key)!r} stands twice", key_node.start_mark, self.under(key))
            if known is not None and key not in known:
                self._unknown(key_node, key, known)
            self._entries[key] = key_node, value

    def _unknown(self, node: yaml.Node, key: str, known: Sequence[str]) -> NoReturn:
        near = difflib.get_close_matches(key, known, n=1)
        action = f"Write {near[0]!r}." if near else f"Valid keys here: {', '.join(known)}."
        hint = f"; did you mean {near[0]!r}?" if near else ""
        self.document.fail(f"unknown key {self.under(key)!r}{hint}", node.start_mark, self.under(key), action)

    def under(self, key: str) -> str:
        """Return the dotted name of a key of this section."""
        return f"{self.path}.{key}" if self.path else key

    def names(self) -> Iterator[str]:
        """Go through the keys in the order of the document."""
        return iter(self._entries)

    def place(self, key: str) -> yaml.Mark:
        """Return where a key stands, or the section when it does not."""
        found = self._entries.get(key)
        return found[0].start_mark if found else self.mark

    def node(self, key: str) -> yaml.Node | None:
        """Return the value of a key; None when it does not stand there or is empty."""
        found = self._entries.get(key)
        return None if found is None or is_nothing(found[1]) else found[1]

    def section(self, key: str, known: Sequence[str] | None) -> Section | None:
        """Return the section below a key; None when the key does not stand there."""
        found = self._entries.get(key)
        return Section(self.document, found[1], self.under(key), known) if found else None

    def value(self, key: str, parse: Callable[[Any], T], default: T) -> T:
        """Return the value of a key as `parse` makes it of YAML's; its ValueError becomes the document's."""
        node = self.node(key)
        if node is None:
            return default
        try:
            return parse(yaml.SafeLoader("").construct_object(node, deep=True))
        except yaml.MarkedYAMLError as error:
            self.document.fail(f"{self.under(key)}: {error.problem}", node.start_mark, self.under(key))
        except (ValueError, TypeError, RecursionError) as error:
            self.document.fail(f"{self.under(key)}: {error}", node.start_mark, self.under(key))


def is_nothing(node: yaml.Node) -> bool:
    """Tell whether a value is left out, as in `key:`."""
    return isinstance(node, yaml.ScalarNode) and node.tag == f"{PLAIN}null"


def text(value: object) -> str:
    """Take a text."""
    if not isinstance(value, str):
        raise TypeError(f"expected a text, not {value!r}")
    return value


def flag(value: object) -> bool:
    """Take yes or no."""
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, not {value!r}")
    return value


def whole(value: object) -> int:
    """Take a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected a whole number, not {value!r}")
    return value


def number(value: object) -> float:
    """Take a number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"expected a number, not {value!r}")
    return float(value)


def wholes(value: object) -> tuple[int, ...]:
    """Take a list of whole numbers."""
    if not isinstance(value, list):
        raise TypeError(f"expected a list, not {value!r}")
    return tuple(whole(one) for one in value)


def word_of(kind: type[E]) -> Callable[[object], E]:
    """Take one of the words of an enumeration."""

    def take(value: object) -> E:
        try:
            return kind(text(value))
        except (ValueError, TypeError):
            raise ValueError(f"expected one of {', '.join(kind)}, not {value!r}") from None

    return take
