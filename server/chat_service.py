"""The chat on this server: streams of clients, the operator's terminal and the handler, joined by one hub."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from clawchat.services.chat import Hello, ToClient, ToServer
from clawchat.services.chat_codec import ServerDecoder, encode
from clawchat.services.chat_hub import LEFT, LOST, Hub
from clawchat.services.preface import CHAT, PrefaceReader, StreamCode
from clawchat.values.errors import ProtocolViolation, SessionClosed, TimedOut, UsageError
from server.logs import Log

# What one look at a member's queue takes at most, so that nobody holds up the others.
TAKE: Final = 64
# A client needs one; the rest is room for what comes later.
MAX_CHATS_A_SESSION: Final = 4


class Session(Protocol):
    """What the chat needs of a session."""

    def read(self, stream: int, limit: int = -1) -> bytes:
        """Take received bytes."""

    def at_end(self, stream: int) -> bool:
        """Tell whether the peer ended the stream and everything was read."""

    def room(self, stream: int) -> int:
        """Return how many bytes the stream takes."""

    def write(self, stream: int, data: bytes, *, fin: bool = False) -> None:
        """Queue bytes."""

    def reset(self, stream: int, code: int) -> None:
        """Give up sending."""

    def stop(self, stream: int, code: int) -> None:
        """Want nothing more."""


@dataclass(slots=True)
class _Chat:
    """One stream of a client, and who it is in the hub once it said so."""

    session: Session
    session_id: int
    stream: int
    preface: PrefaceReader | None = field(default_factory=PrefaceReader)
    decoder: ServerDecoder = field(default_factory=ServerDecoder)
    member: int | None = None
    unread: bool = False


class ChatService:
    """Move bytes between streams and the hub. ``wake`` asks the driver to send what was written.

    ``keep`` is called before anybody is told of what happened in the hub, so that it can be written down first.
    """

    def __init__(self, hub: Hub, *, wake: Callable[[], None], keep: Callable[[], None], log: Log) -> None:
        self._hub = hub
        self._wake = wake
        self._keep = keep
        self._log = log
        self._chats: dict[tuple[int, int], _Chat] = {}
        self._by_member: dict[int, _Chat] = {}
        self._local: dict[int, Callable[[], None]] = {}

    # ------------------------------------------------------------------------------------ what streams do

    def opened(self, session_id: int, session: Session, stream: int) -> None:
        """Take a stream that a client opened."""
        if sum(key[0] == session_id for key in self._chats) >= MAX_CHATS_A_SESSION:
            session.reset(stream, StreamCode.BUSY)
            session.stop(stream, StreamCode.BUSY)
            return
        self._chats[session_id, stream] = _Chat(session, session_id, stream)

    def readable(self, session_id: int, stream: int) -> None:
        """Read a stream that has something."""
        chat = self._chats.get((session_id, stream))
        if chat is not None:
            self._read(chat)
            self.pump()

    def writable(self, session_id: int, stream: int) -> None:
        """Go on writing to a stream that was full."""
        chat = self._chats.get((session_id, stream))
        if chat is not None and chat.member is not None:
            self._write(chat, chat.member)
            self.pump()

    def broken(self, session_id: int, stream: int) -> None:
        """Drop a stream that the client gave up."""
        chat = self._chats.get((session_id, stream))
        if chat is not None:
            self._refuse(chat, StreamCode.SHUTDOWN, LEFT)
            self.pump()

    def session_ended(self, session_id: int, error: SessionClosed) -> None:
        """Drop all streams of a session that is over."""
        why = LOST if isinstance(error, TimedOut) else LEFT
        for chat in [chat for key, chat in self._chats.items() if key[0] == session_id]:
            self._forget(chat, why)
        self.pump()

    def names(self, session_id: int) -> list[str]:
        """Return the names a session's client has in the chat."""
        members = [chat.member for key, chat in self._chats.items() if key[0] == session_id]
        return [self._hub.name_of(member) for member in members if member is not None]

    def rooms(self) -> Mapping[str, tuple[str, ...]]:
        """List the rooms and who is in them."""
        return self._hub.rooms()

    # ------------------------------------------------------------------------------------ members of this process

    def attach(self, name: str, on_ready: Callable[[], None]) -> int:
        """Add a member of this process; ``on_ready`` is called when there is something to ``take``."""
        key = self._hub.attach()
        self._local[key] = on_ready
        self.say(key, Hello(name))
        return key

    def detach(self, key: int, why: str = LEFT) -> None:
        """Remove a member of this process."""
        self._local.pop(key, None)
        self._hub.detach(key, why)
        self.pump()

    def say(self, key: int, message: ToServer) -> None:
        """Let a member of this process say something. Raises ProtocolViolation for a second Hello."""
        self._hub.receive(key, message, unix_now=int(time.time()))
        self.pump()

    def take(self, key: int, limit: int = TAKE) -> list[ToClient]:
        """Take what a member of this process is told; empty when there is nothing."""
        taken = self._hub.take(key, limit)
        if taken and any(chat.unread for chat in self._chats.values()):
            self._resume()
            self.pump()
        return taken

    def name_of(self, key: int) -> str:
        """Return the name that a member got."""
        return self._hub.name_of(key)

    # ------------------------------------------------------------------------------------ bytes

    def pump(self) -> None:
        """Hand out what waits in the hub, as far as streams have room, and ask the driver to send it."""
        self._keep()
        waiting: set[int] = set()
        while fresh := self._hub.ready - waiting:
            for key in fresh:
                chat = self._by_member.get(key)
                if chat is None:
                    waiting.add(key)
                    self._local.get(key, _nobody)()
                elif not self._write(chat, key):
                    waiting.add(key)
        while self._hub.displaced:
            chat = self._by_member.get(self._hub.displaced.pop())
            if chat is not None:
                self._refuse(chat, StreamCode.SHUTDOWN, "came back")
        self._wake()

    def _read(self, chat: _Chat) -> None:
        """Read until there is nothing left, or the member has to read first."""
        chat.unread = False
        try:
            while True:
                if chat.member is not None and not self._hub.accepting(chat.member):
                    chat.unread = True
                    return
                data = chat.session.read(chat.stream)
                if not data:
                    break
                self._take_bytes(chat, data)
        except ProtocolViolation as violation:
            self._log.warning("stream-refused", session=chat.session_id, stream=chat.stream, reason=violation.reason)
            self._refuse(chat, violation.code, LEFT)
            return
        if chat.session.at_end(chat.stream):
            with contextlib.suppress(UsageError):  # the session may be closing
                chat.session.write(chat.stream, b"", fin=True)
            self._forget(chat, LEFT)

    def _take_bytes(self, chat: _Chat, data: bytes) -> None:
        if chat.preface is not None:
            found = chat.preface.feed(data)
            if found is None:
                return
            service, data = found
            if service != CHAT:
                raise ProtocolViolation(StreamCode.UNKNOWN_SERVICE, f"no service {service!r} here")
            chat.preface = None
            chat.member = self._hub.attach()
            self._by_member[chat.member] = chat
        if chat.member is not None:
            for message in chat.decoder.feed(data):
                self._hub.receive(chat.member, message, unix_now=int(time.time()))

    def _write(self, chat: _Chat, member: int) -> bool:
        """Write what a member is told; return False when its stream is full before its queue is empty."""
        try:
            self._keep()
            while chat.session.room(chat.stream) > 0 and (told := self._hub.take(member, TAKE)):
                chat.session.write(chat.stream, b"".join(map(encode, told)))
        except UsageError:  # the session is closing, and its end will be told
            self._forget(chat, LEFT)
            return True
        if chat.unread and self._hub.accepting(member):
            self._read(chat)
        return member not in self._hub.ready or chat.session.room(chat.stream) > 0

    def _resume(self) -> None:
        """Read streams whose members had to wait."""
        for chat in [chat for chat in self._chats.values() if chat.unread]:
            self._read(chat)

    def _refuse(self, chat: _Chat, code: int, why: str) -> None:
        with contextlib.suppress(UsageError):  # the stream may be gone already
            chat.session.reset(chat.stream, code)
            chat.session.stop(chat.stream, code)
        self._forget(chat, why)

    def _forget(self, chat: _Chat, why: str) -> None:
        self._chats.pop((chat.session_id, chat.stream), None)
        if chat.member is not None:
            self._by_member.pop(chat.member, None)
            self._hub.detach(chat.member, why)


def _nobody() -> None:
    """Stand for a member that has just gone."""
