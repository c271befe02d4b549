"""Read a small XML document of a stranger: no document type, hence no entities, and bounds on everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from clawchat.values.errors import BadDatagram

MAX_ELEMENTS: Final = 4096
MAX_DEPTH: Final = 32
MAX_TEXT: Final = 4096
"""Characters of one element."""


@dataclass(slots=True)
class Element:
    """An element by its name without the namespace, its own text, and the elements inside it."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def find(self, name: str) -> Iterator[Element]:
        """Go through all elements of a name below this one, in the order of the document."""
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.find(name)

    def value(self, name: str) -> str:
        """Return the text of the first element of a name below this one, empty if there is none."""
        return next((each.text.strip() for each in self.find(name)), "")

    def child(self, name: str) -> str:
        """Return the text of an element of a name directly below, empty if there is none."""
        return next((each.text.strip() for each in self.children if each.name == name), "")


class _Builder:
    def __init__(self) -> None:
        self.root = Element("")
        self._open = [self.root]
        self._count = 0

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) > MAX_DEPTH:
            raise BadDatagram("upnp")
        element = Element(name.rpartition(":")[2])
        self._open[-1].children.append(element)
        self._open.append(element)

    def end(self, _name: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        element = self._open[-1]
        if len(element.text) + len(data) > MAX_TEXT:
            raise BadDatagram("upnp")
        element.text += data


def _refuse(*_: object) -> None:
    raise BadDatagram("upnp")


def parse(data: bytes) -> Element:
    """Parse a document; return a nameless element around its root. Raises BadDatagram.

    Expat reads no external entity unless told to; a document type, which could define internal ones that grow
    a thousandfold, is refused as soon as it begins.
    """
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # the latter two: an encoding that does not exist
        raise BadDatagram("upnp") from error
    return builder.root
