"""Just enough HTTP/1.1 (RFC 9112) to talk to a router: one request a connection, one answer, bounds on everything."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from clawchat.values.address import MAX_PORT, Address
from clawchat.values.errors import BadDatagram

MAX_HEAD_BYTES: Final = 8 << 10
MAX_BODY_BYTES: Final = 128 << 10
"""Descriptions of routers have some tens of kilobytes at most."""

MAX_URL_BYTES: Final = 1024
USER_AGENT: Final = "clawchat UPnP/1.1"
PORT: Final = 80
FIRST_FINAL: Final = 200
"""What is less stands before the answer proper (RFC 9110 section 15.2)."""

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: [^\r\n]*)?")
_HEADER: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,6})(?:[ \t]*;[^\r\n]*)?")
_URL: Final = re.compile(r"http://(?P<host>\[[0-9A-Fa-f:.]+\]|[0-9.]+)(?::(?P<port>\d{1,5}))?(?P<path>/[!-~]*)?")
_LINE_END: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"


class Place(NamedTuple):
    """Where something is: a server's address, and the path and query there."""

    server: Address
    path: str

    def beside(self, reference: str) -> Place:
        """Resolve what a document at this place refers to; it must be on the same server. Raises BadDatagram."""
        if len(reference) > MAX_URL_BYTES or not reference.isascii() or not reference.isprintable() or " " in reference:
            raise BadDatagram("upnp")
        if "://" in reference.partition("?")[0]:
            found = read_url(reference)
            if found.server != self.server:
                raise BadDatagram("upnp")
            return found
        if reference.startswith("//"):
            raise BadDatagram("upnp")
        folder = self.path.partition("?")[0].rpartition("/")[0]
        return Place(self.server, reference if reference.startswith("/") else f"{folder}/{reference}")


class Answer(NamedTuple):
    """An answer: its status, its headers by lower-case name, and its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read_url(text: str) -> Place:
    """Read an http URL whose host is an IP address: no name is looked up. Raises BadDatagram."""
    match = _URL.fullmatch(text) if len(text) <= MAX_URL_BYTES else None
    if match is None:
        raise BadDatagram("upnp")
    port = int(match["port"] or PORT)
    try:
        host = ipaddress.ip_address(match["host"].strip("[]"))
    except ValueError as error:
        raise BadDatagram("upnp") from error
    if not 0 < port <= MAX_PORT:
        raise BadDatagram("upnp")
    return Place(Address.make(str(host), port), match["path"] or "/")


def write_get(place: Place) -> bytes:
    """Encode a GET."""
    return _head("GET", place, {})


def write_post(place: Place, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Encode a POST."""
    return _head("POST", place, {**headers, "Content-Length": str(len(body))}) + body


def _head(method: str, place: Place, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"{method} {place.path} HTTP/1.1",
        f"Host: {place.server}",
        f"User-Agent: {USER_AGENT}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


def read_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Read a status line and headers, without the empty line behind them. Raises BadDatagram.

    Of several headers of one name the first counts; SSDP answers look the same.
    """
    first, *rest = head.split(_LINE_END)
    status = _STATUS_LINE.fullmatch(first)
    if status is None:
        raise BadDatagram("upnp")
    headers: dict[str, str] = {}
    for line in rest:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise BadDatagram("upnp")
        headers.setdefault(match[1].decode("ascii").lower(), match[2].decode("utf-8", "replace"))
    return int(status[1]), headers


class Reader:
    """Gather one answer from the bytes of a connection."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Answer | None:
        """Take bytes in; return the answer once it is whole. Raises BadDatagram for what is none or too long."""
        self._data += data
        if len(self._data) > MAX_HEAD_BYTES + MAX_BODY_BYTES:
            raise BadDatagram("upnp")
        return self._read(ended=False)

    def end(self) -> Answer:
        """Hear that the connection has ended; return what that completes. Raises BadDatagram."""
        answer = self._read(ended=True)
        if answer is None:
            raise BadDatagram("upnp")
        return answer

    def _read(self, *, ended: bool) -> Answer | None:
        while True:
            head, found, rest = self._data.partition(_HEAD_END)
            if len(head) > MAX_HEAD_BYTES:
                raise BadDatagram("upnp")
            if not found:
                return None
            status, headers = read_head(head)
            if status >= FIRST_FINAL:
                body = self._body(headers, rest, ended=ended)
                return None if body is None else Answer(status, headers, body)
            self._data = rest

    def _body(self, headers: Mapping[str, str], rest: bytes, *, ended: bool) -> bytes | None:
        """Return the body once it is whole (RFC 9112 section 6.3)."""
        if headers.get("transfer-encoding", "identity").lower() == "chunked":
            return _unchunk(rest)
        length = headers.get("content-length")
        if length is None:
            return rest if ended else None
        if not length.isdecimal() or not length.isascii() or len(length) > 6 or int(length) > MAX_BODY_BYTES:  # noqa: PLR2004 - digits of the bound
            raise BadDatagram("upnp")
        return rest[: int(length)] if len(rest) >= int(length) else None


def _unchunk(data: bytes) -> bytes | None:
    """Join the chunks of a body (RFC 9112 section 7.1); None while the last is missing. Raises BadDatagram."""
    body = b""
    while True:
        line, found, data = data.partition(_LINE_END)
        if not found:
            return None
        match = _CHUNK.fullmatch(line)
        size = int(match[1], 16) if match is not None else MAX_BODY_BYTES + 1
        if len(body) + size > MAX_BODY_BYTES:
            raise BadDatagram("upnp")
        if not size:
            return body
        if len(data) < size + len(_LINE_END):
            return None
        if data[size : size + len(_LINE_END)] != _LINE_END:
            raise BadDatagram("upnp")
        body += data[:size]
        data = data[size + len(_LINE_END) :]
