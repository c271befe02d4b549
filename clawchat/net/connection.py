"""A session as programs use it: streams to open and accept, datagrams, pings, and how it ended."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from itertools import count

from clawchat.crypto.credential import Credential
from clawchat.net.driver import Node
from clawchat.net.stream import Stream
from clawchat.session.identity import SessionStats
from clawchat.session.session import Session
from clawchat.values.address import Path
from clawchat.values.errors import SessionClosed
from clawchat.values.events import (
    DatagramReceived,
    Event,
    KeysChanged,
    PathChanged,
    PingAnswered,
    SessionEnded,
    SessionOpened,
    StreamDelivered,
    StreamOpened,
    StreamReadable,
    StreamReset,
    StreamStopped,
    StreamWritable,
)
from clawchat.values.limits import HANDSHAKE_TIMEOUT


class Connection:
    """One open session. Make it when SessionOpened is told, or by ``connect``.

    Callbacks, each None at first: ``on_stream`` takes the streams the peer opens (without it they wait for
    ``accept_stream``), ``on_datagram`` unreliable messages, ``on_path`` the path in use and why it changed,
    ``on_keys`` the epoch of new keys, ``on_closed`` how the session ended.
    """

    def __init__(self, node: Node, session: Session) -> None:
        self.id = session.id
        self.session = session
        self.error: SessionClosed | None = None
        """How the session ended, None while it is open."""
        self.on_stream: Callable[[Stream], None] | None = None
        self.on_datagram: Callable[[bytes], None] | None = None
        self.on_path: Callable[[Path, str], None] | None = None
        self.on_keys: Callable[[int], None] | None = None
        self.on_closed: Callable[[SessionClosed], None] | None = None
        self._node = node
        self._streams: dict[int, Stream] = {}
        self._accepted: deque[Stream] = deque()
        self._changed = asyncio.Event()
        self._pings: dict[int, asyncio.Future[float]] = {}
        self._tokens = count(1)
        node.attach(self.id, self._on_event)

    @property
    def words(self) -> str:
        """Return the safety words, which must read the same on both ends."""
        return self.session.words

    @property
    def closed(self) -> bool:
        """Tell whether the session is over."""
        return self.error is not None

    @property
    def path(self) -> Path:
        """Return the path in use."""
        return self.session.path

    @property
    def tunnelled(self) -> bool:
        """Tell whether a WebSocket carries the path in use, be it that of a relay."""
        return self.session.machines.tunnelled

    def stats(self) -> SessionStats:
        """Return the session's figures."""
        return self.session.stats(now=time.monotonic())

    def open_stream(self) -> Stream:
        """Open a stream. Raises UsageError when the peer allows no more, SessionClosed when the session is over."""
        self._require_open()
        return self._hold(self.session.open_stream())

    async def accept_stream(self) -> Stream:
        """Wait for the next stream the peer opens. Raises SessionClosed."""
        while not self._accepted:
            self._require_open()
            self._changed.clear()
            await self._changed.wait()
        return self._accepted.popleft()

    def send_datagram(self, data: bytes) -> None:
        """Send an unreliable message. Raises UsageError when it does not fit one packet, and SessionClosed."""
        self._require_open()
        self.session.send_datagram(data)
        self._node.wake()

    async def ping(self) -> float:
        """Return how many seconds a packet and its answer take now. Raises SessionClosed."""
        self._require_open()
        token = next(self._tokens)
        answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._pings[token] = answer
        try:
            self.session.ping(token)
            self._node.wake()
            return await answer
        finally:
            del self._pings[token]

    def rekey(self) -> None:
        """Change the session's keys now. Raises SessionClosed."""
        self._require_open()
        self.session.rekey()
        self._node.wake()

    def hop(self) -> None:
        """Move to another UDP port now, with every session of this node. Raises SessionClosed."""
        self._require_open()
        self._node.endpoint.hop()
        self._node.wake()

    @property
    def port_moves(self) -> int:
        """Tell how often this node has moved to another UDP port."""
        return self._node.endpoint.port_moves

    def compromise(self, *, everything: bool = True) -> None:
        """Destroy the keys of the session, or every key of this node, and tell the peers to do the same."""
        endpoint, now = self._node.endpoint, time.monotonic()
        if everything:
            endpoint.compromise_all(now=now)
        else:
            endpoint.compromise_session(self.id, now=now)
        self._node.wake()

    @property
    def streams(self) -> list[Stream]:
        """Return the streams that are not over in both directions."""
        return list(self._streams.values())

    def close(self, code: int = 0, reason: str = "") -> None:
        """Close the session as soon as everything written has arrived."""
        self.session.close(code, reason, now=time.monotonic())
        self._node.wake()

    async def wait_closed(self) -> SessionClosed:
        """Wait until the session is over; return how it ended."""
        while self.error is None:
            self._changed.clear()
            await self._changed.wait()
        return self.error

    def _require_open(self) -> None:
        if self.error is not None:
            raise self.error

    # --- what the node tells -----------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        match event:
            case StreamReadable() | StreamWritable() | StreamReset() | StreamStopped() | StreamDelivered():
                stream = self._streams.get(event.stream)
                if stream is not None:
                    stream.on_event(event)
            case StreamOpened():
                self._on_stream_opened(event.stream)
            case DatagramReceived() if self.on_datagram is not None:
                self.on_datagram(event.data)
            case PingAnswered():
                answer = self._pings.get(event.token)
                if answer is not None and not answer.done():
                    answer.set_result(event.rtt)
            case PathChanged() if self.on_path is not None:
                self.on_path(event.path, event.why)
            case KeysChanged() if self.on_keys is not None:
                self.on_keys(event.epoch)
            case SessionEnded():
                self._on_ended(event.error)

    def _on_stream_opened(self, number: int) -> None:
        stream = self._hold(number)
        if self.on_stream is not None:
            self.on_stream(stream)
        else:
            self._accepted.append(stream)
            self._changed.set()

    def _hold(self, number: int) -> Stream:
        stream = self._streams[number] = Stream(self._node, self.session, number, on_done=self._let_go)
        return stream

    def _let_go(self, stream: Stream) -> None:
        self._streams.pop(stream.id, None)

    def _on_ended(self, error: SessionClosed) -> None:
        self.error = error
        self._node.detach(self.id)
        self._changed.set()
        for answer in self._pings.values():
            if not answer.done():
                answer.set_exception(error)
        for stream in self.streams:
            stream.on_session_ended(error)
        if self.on_closed is not None:
            self.on_closed(error)


async def connect(node: Node, credential: Credential, *, port: int, timeout: float = HANDSHAKE_TIMEOUT) -> Connection:
    """Join the server of a credential through one of the node's ports.

    Raises HandshakeFailed when nobody answers within ``timeout`` seconds; cancelling gives up at once.
    """
    return await opened_session(
        node, node.endpoint.connect(credential, port=port, now=time.monotonic(), timeout=timeout)
    )


async def opened_session(node: Node, session: int) -> Connection:
    """Wait until a session opens that the endpoint was asked to begin. Raises and is cancelled as ``connect``."""
    opened: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

    def listen(event: Event) -> None:
        match event:
            case SessionOpened() if not opened.done():
                opened.set_result(Connection(node, node.endpoint.sessions[event.session]))
            case SessionEnded() if not opened.done():
                node.detach(event.session)
                opened.set_exception(event.error)

    node.attach(session, listen)
    node.flush()
    try:
        return await opened
    except asyncio.CancelledError:
        node.endpoint.abandon(session)
        if opened.done() and not opened.cancelled() and opened.exception() is None:
            opened.result().close()
        else:
            node.detach(session)
        raise
