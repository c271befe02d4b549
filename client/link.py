"""A client's end of a conversation: the chat, whether the other end answers, and what happens, as events."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from typing import Final

from clawchat.net.stream import StreamAborted
from clawchat.net.user_events import Closed, KeysChanged, PathChanged, PingLost, Pong, Said, Status, UserEvent, Welcomed
from clawchat.services.chat import DEFAULT_ROOM
from clawchat.services.chat_client import ChatClient
from clawchat.services.chat_memory import ClientMemory
from clawchat.services.preface import StreamCode
from clawchat.values.address import Path
from clawchat.values.errors import ClawchatError, PersonalError, ProtocolViolation, SessionClosed, UsageError
from client.outbox import Outbox
from client.peer import ChatStream, Peer, describe_path
from client.pulse import Pulse
from client.roster import Roster
from client.translate import translate

WELCOME_TIMEOUT: Final = 30.0
"""A server whose session is up but whose chat does not answer for this long has none."""

CLOSE_TIMEOUT: Final = 12.0
"""A little more than the core takes to bring over what is still under way."""

READ_BYTES: Final = 1 << 16

_ABORTS: Final[dict[int, str]] = {
    StreamCode.UNKNOWN_SERVICE: "has no chat",
    StreamCode.MALFORMED: "did not understand this client",
    StreamCode.BUSY: "takes no more people in its chat",
    StreamCode.SHUTDOWN: "is shutting down",
    StreamCode.REFUSED: "refused this client",
}


class Link:
    """The chat over one session, or over one after the other.

    ``emit`` is called with every event, in order, on the loop's thread; ``keep`` before anybody is told of what
    changed in the memory. Start with ``open``, go on with ``move``, and end with ``close``.
    """

    def __init__(  # noqa: PLR0913 - who, where and as whom
        self,
        peer: Peer,
        *,
        server: str,
        name: str,
        room: str,
        token: str,
        emit: Callable[[UserEvent], None],
        why_relayed: Callable[[], str] = str,
        memory: ClientMemory | None = None,
        keep: Callable[[], None] | None = None,
    ) -> None:
        self.server = server
        self.room = room
        self.outbox = Outbox()
        self.doubted: str | None = None  # what is to be destroyed once a person has typed YES
        self._emit = emit
        self._memory = memory or ClientMemory()
        self._keep = keep
        self._chat = ChatClient(name, token=token or None, memory=self._memory)
        self.roster = Roster()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stream: ChatStream | None = None
        self._closing = False
        self._take(peer, why_relayed)

    # --- life --------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Enter the chat. Raises PersonalError when the server has none, SessionClosed when the session ended."""
        if not self.outbox.sent:  # what an earlier life of this program left unsaid is said now
            for say in self._memory.unaccepted.values():
                self._note(Said(say.id, say.text, say.room or DEFAULT_ROOM if say.to is None else None, say.to))
        self._begin()
        try:
            await asyncio.wait_for(asyncio.shield(self._entered), WELCOME_TIMEOUT)
        except TimeoutError:
            raise _no_chat("did not answer") from None
        if self.ended.done():
            raise self.ended.result()

    def _begin(self) -> None:
        self._stream = self._peer.open_stream()
        self._chat.start()
        if self.room != DEFAULT_ROOM:
            self._chat.join(self.room)
        self._send()
        self._tasks = [
            asyncio.create_task(self._read(self._stream)),
            asyncio.create_task(self.pulse.run()),
            asyncio.create_task(self._await_end()),
        ]

    async def move(self, peer: Peer, why_relayed: Callable[[], str]) -> None:
        """Go on over another session, on which what the server has not accepted is said again.

        ``ended`` tells if nothing comes of it.
        """
        before = self._peer
        await self._stop_tasks()
        before.on_path = before.on_keys = None
        before.close()
        self._take(peer, why_relayed)
        if peer.closed:
            self._fail(await peer.wait_closed())
        else:
            self._begin()

    async def close(self) -> None:
        """Close the session once all that was said is on the other end, within a few seconds."""
        self._closing = True
        if not self.ended.done():
            self._peer.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._peer.wait_closed(), CLOSE_TIMEOUT)
        await self._stop_tasks()

    def _take(self, peer: Peer, why_relayed: Callable[[], str]) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[ClawchatError] = loop.create_future()
        self._entered: asyncio.Future[None] = loop.create_future()
        self._peer, self._why_relayed = peer, why_relayed
        self.pulse = Pulse(peer, self._emit, why_relayed=why_relayed)
        peer.on_path = self._path_changed
        peer.on_keys = lambda epoch: self._emit(KeysChanged(epoch))

    async def _stop_tasks(self) -> None:
        self.pulse.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._stream = None

    def closed(self, code: str, reason: str) -> Closed:
        """Make the last event."""
        box = self.outbox
        return Closed(code, reason, box.sent, box.accepted, box.delivered)

    # --- doing -------------------------------------------------------------------------------------

    def say(self, text: str, *, to: str | None = None, room: str | None = None) -> str:
        """Say a text in our room, another one, or to one person alone; raises UsageError for what can't be said."""
        where = None if to else room or self.room
        number = self._chat.say(text, room=where, to=to)
        self._send()
        self._note(Said(number, text, where, to))
        return number

    def join(self, room: str) -> None:
        """Enter a room and talk there."""
        self._chat.join(room)
        self.room = room
        self._send()

    def leave(self, room: str) -> None:
        """Leave a room; talk goes on in the first one."""
        self._chat.leave(room)
        if room == self.room:
            self.room = DEFAULT_ROOM
        self._send()

    def rename(self, name: str) -> None:
        """Ask for another name."""
        self._chat.rename(name)
        self._send()

    def who(self, room: str) -> None:
        """Ask who is in a room."""
        self._chat.who(room)
        self._send()

    def list_rooms(self) -> None:
        """Ask which rooms there are."""
        self._chat.list_rooms()
        self._send()

    def rekey(self) -> None:
        """Change the session's keys; KeysChanged tells when both ends have them."""
        with contextlib.suppress(SessionClosed, UsageError):  # it ends, and its keys with it
            self._peer.rekey()

    def hop(self) -> None:
        """Move to another UDP port; PathChanged tells when the session has."""
        with contextlib.suppress(SessionClosed):
            self._peer.hop()

    def compromise(self, *, everything: bool = True) -> None:
        """Destroy the session's keys, or all that is known of the server, on both ends; the session ends with it."""
        self._peer.compromise(everything=everything)

    async def ping(self, timeout: float) -> Pong | PingLost:
        """Measure one round trip, waiting at most ``timeout`` seconds."""
        return await self.pulse.ping(timeout)

    async def settled(self, timeout: float | None, *, readers: bool) -> bool:
        """Wait until the server, or with ``readers`` every reader, has all we said; tell whether it does."""
        box = self.outbox

        async def wait() -> None:
            while not (box.settled if readers else box.all_accepted):
                await self.changed()

        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wait(), timeout)
        return box.settled if readers else box.all_accepted

    # --- looking -----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Our name in the chat, by the server's word."""
        return self._chat.name

    @property
    def path(self) -> str:
        """The path in use, for a person."""
        return describe_path(self._peer.path, tunnelled=self._peer.tunnelled)

    @property
    def not_direct(self) -> str | None:
        """Why a relay carries the session, None if none does."""
        return self._why_relayed() if self._peer.path.relayed else None

    @property
    def rtt(self) -> float:
        """The smoothed round trip time in seconds."""
        return self._peer.stats().rtt

    @property
    def unaccepted(self) -> int:
        """Count our texts that the server has not confirmed."""
        return self._chat.unaccepted

    async def changed(self) -> None:
        """Wait until something happens in the chat."""
        self._changed.clear()
        await self._changed.wait()

    @property
    def rooms(self) -> list[str]:
        """List the rooms we are in."""
        return sorted(self._chat.rooms)

    def status(self) -> Status:
        """Say how the session is doing."""
        figures = self._peer.stats()
        return Status(
            server=self.server,
            state="connecting" if self.ended.done() else "silent" if self.pulse.silent else "connected",
            pid=os.getpid(),
            name=self.name,
            room=self.room,
            words=self._peer.words,
            path=self.path,
            not_direct=self.not_direct,
            rtt_ms=round(figures.rtt * 1000, 3),
            loss=round(figures.loss, 4),
            sent=self.outbox.sent,
            delivered=self.outbox.delivered,
            age=round(figures.age, 1),
            epoch=figures.epoch,
            key_age=round(figures.key_age, 1),
        )

    # --- what happens ------------------------------------------------------------------------------

    async def _read(self, stream: ChatStream) -> None:
        try:
            while data := await stream.read(READ_BYTES):
                self.pulse.look()
                for message in self._chat.receive(data):
                    self._note(translate(message, self.outbox))
                self._send()
            self._fail(_no_chat("closed the chat"))
        except ProtocolViolation as violation:
            self._fail(PersonalError("CC-VERSION", f"the server's chat can't be understood: {violation.reason}"))
        except StreamAborted as aborted:
            self._fail(_no_chat(_ABORTS.get(aborted.code, f"gave up the chat (code {aborted.code})")))
        except SessionClosed:
            return  # told by the end of the session

    async def _await_end(self) -> None:
        self._fail(await self._peer.wait_closed())

    def _fail(self, error: ClawchatError) -> None:
        if not self.ended.done():
            self.ended.set_result(error)
        if not self._entered.done():
            self._entered.set_result(None)

    def _path_changed(self, path: Path, why: str) -> None:
        self._emit(PathChanged(describe_path(path, tunnelled=self._peer.tunnelled), why))

    def _note(self, event: UserEvent) -> None:
        if isinstance(event, Welcomed) and not self._entered.done():
            self._entered.set_result(None)
        self.roster.follow(event)
        self.outbox.follow(event, now=time.monotonic())
        self._emit(event)
        self._changed.set()

    def _send(self) -> None:
        data = self._chat.outgoing()
        if self._keep is not None:
            self._keep()
        if data and self._stream is not None and not self._closing:
            self.pulse.asked()
            with contextlib.suppress(SessionClosed, StreamAborted):
                self._stream.write_now(data)


def _no_chat(how: str) -> PersonalError:
    return PersonalError("CC-REFUSED", f"the server {how}", "Ask the operator whether this server has a chat.")
