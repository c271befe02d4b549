"""The TCP port of a relay: opened as ``websocket`` in relay.yaml says, and what credentials tell of it."""

from __future__ import annotations

import pathlib
import ssl
from collections.abc import Sequence

from clawchat.crypto.credential import Slot
from clawchat.net.driver import Node
from clawchat.net.websocket_listener import Listener, ListenerFigures
from clawchat.values.address import Address
from clawchat.values.errors import ConfigError
from server.relay_settings import WebSocket


class RelayWebSocket:
    """The listener of a relay, if it has one."""

    def __init__(self, node: Node, settings: WebSocket, host: str, file: pathlib.Path) -> None:
        self._node = node
        self._settings = settings
        self._host = host
        self._file = file
        self._listener: Listener | None = None
        self.address: Address | None = None
        """Where it listens."""

    @property
    def url(self) -> str:
        """What credentials say. Raises ConfigError when the settings contradict each other."""
        given = self._settings
        if given.port is None:
            if given.url is not None or given.certificate is not None:
                raise self._wrong("`websocket.port` is missing", "Name the TCP port, or leave out the whole section.")
            return ""
        if (given.certificate is None) is not (given.key is None):
            raise self._wrong(
                "`websocket.certificate` and `websocket.key` need each other", "Name both files, or none."
            )
        scheme = "ws" if given.certificate is None else "wss"
        return given.url or f"{scheme}://:{given.port}"

    async def start(self, slots: Sequence[Slot]) -> None:
        """Listen, for the holders of these credentials. Raises PersonalError: CC-PORT-BUSY, CC-ADDRESS, CC-CONFIG."""
        given = self._settings
        if given.port is None:
            return
        doors = [bytes(slot.keys.door).hex() for slot in slots]
        listener = Listener(self._node, doors, total=given.connections, per_address=given.per_address)
        self.address = await listener.start(Address.make(self._host, given.port), self._tls())
        self._listener = listener

    def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.close()

    def figures(self) -> ListenerFigures | None:
        """Return what the listener did so far, None if there is none."""
        return None if self._listener is None else self._listener.figures()

    def status(self) -> dict[str, object] | None:
        """Say for the operator what it does, None if there is none."""
        if self._listener is None:
            return None
        return {"port": str(self.address), "url": self.url, **self._listener.figures()._asdict()}

    def _tls(self) -> ssl.SSLContext | None:
        certificate, key = self._settings.certificate, self._settings.key
        if certificate is None or key is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        beside = self._file.parent
        try:
            context.load_cert_chain(beside / certificate, beside / key)
        except OSError as error:
            cause = f"{certificate} and {key} can't be used for TLS: {error.strerror or error}"
            raise self._wrong(cause, "Name a certificate chain and its key, both in PEM form.") from error
        return context

    def _wrong(self, cause: str, action: str) -> ConfigError:
        return ConfigError(cause, action, file=str(self._file))
