"""Where a relay takes WebSockets, as one short text: a URL, or one without a host, which each address of it completes.

``wss://relay.example/chat`` is that place and no other; ``ws://:8443`` is port 8443 of each address of the relay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from clawchat.values.address import MAX_PORT
from clawchat.values.errors import UsageError
from clawchat.values.limits import MAX_WEBSOCKET_URL

_FORM: Final = re.compile(
    r"(?P<scheme>wss?)://(?P<host>[A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?P<path>(?:/[\w.~-]+)*)",
    re.ASCII,
)


def check_websocket(text: str) -> str:
    """Return the text if it names a place for WebSockets. Raises UsageError."""
    found = _FORM.fullmatch(text)
    if found is None or len(text) > MAX_WEBSOCKET_URL:
        raise UsageError(
            f"not a URL such as wss://relay.example/chat, in up to {MAX_WEBSOCKET_URL} characters: {text!r}"
        )
    port = found["port"]
    if not (found["host"] or port) or (port is not None and not 1 <= int(port) <= MAX_PORT):
        raise UsageError(f"a URL without a host or with a wrong port: {text!r}")
    return text


def websocket_urls(text: str, hosts: Iterable[str], door: bytes) -> list[str]:
    """Return the URLs to ask, one for each of these hosts if the text has none; they end with the door's name.

    Raises UsageError.
    """
    found = _FORM.fullmatch(check_websocket(text))
    assert found is not None  # noqa: S101 - checked in the line above
    port = "" if found["port"] is None else f":{found['port']}"
    written = dict.fromkeys(f"[{each}]" if ":" in each else each for each in hosts)
    return [
        f"{found['scheme']}://{host}{port}{found['path']}/{door.hex()}"
        for host in ([found["host"]] if found["host"] else written)
    ]
