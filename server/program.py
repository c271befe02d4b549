"""The running server: an endpoint on its socket, and what this program does with the events it tells."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from clawchat.crypto.bootstrap import Bootstrap
from clawchat.crypto.keylog import KeyLog
from clawchat.nat.scope import is_loopback
from clawchat.net.depth import learn_depth
from clawchat.net.driver import CLOSE_LIMIT, Node
from clawchat.net.report import personal
from clawchat.services.chat_hub import Hub
from clawchat.services.preface import StreamCode
from clawchat.session.config import EndpointConfig
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address
from clawchat.values.errors import PeerClosed, SessionClosed, UsageError
from clawchat.values.events import (
    CompromisedHeard,
    Event,
    KeysChanged,
    PathChanged,
    PortClosed,
    PortKept,
    PortMoved,
    PortReady,
    SessionEnded,
    SessionOpened,
    SlotConfirmed,
    StreamOpened,
    StreamReadable,
    StreamReset,
    StreamStopped,
    StreamWritable,
)
from server.chat_service import ChatService
from server.drop import DropWatch
from server.guest import Guest
from server.handing import Handing
from server.handler import Handler
from server.health import BEAT_SECONDS, check
from server.home import Home
from server.invitations import DEFAULT_NAME, Invitations, Maker
from server.logs import Log
from server.metrics.export import Exporter
from server.metrics.server import ServerMeters
from server.moving import Moving, port_rotation
from server.port import open_server_port
from server.relays import ServerRelays
from server.remembering import Remembering
from server.returning import Returning
from server.settings import Settings

HEADER_KEY_BYTES: Final = 32
# With the handler's own grace this keeps the whole end below two seconds.
CLOSE_SECONDS: Final = 1.0
CLOSE_CODE: Final = StreamCode.SHUTDOWN
CLOSE_REASON: Final = "the server is stopping"


class Program:
    """One server. ``start`` it on the running loop, then ``stop`` it; in between it lives off events."""

    def __init__(  # noqa: PLR0913 - where it lives, what it is, and who is told
        self,
        home: Home,
        settings: Settings,
        bootstrap: Bootstrap,
        *,
        keylog: KeyLog | None = None,
        log: Log | None = None,
        on_destroyed: Callable[[], object] = lambda: None,
    ) -> None:
        self.home = home
        self.settings = settings
        self.started_at = time.time()
        self.keylog = keylog is not None
        self.guests: dict[int, Guest] = {}
        self.log = log or Log()
        config = EndpointConfig(
            key_rotation=settings.encryption.key_rotation_interval,
            port_rotation=port_rotation(settings),
            prepares_ports=True,
        )
        self.endpoint = Endpoint(random=secrets.token_bytes, config=config, keylog=keylog)
        self.node = Node(self.endpoint, on_event=self._on_event, beat=BEAT_SECONDS)
        self.relays = ServerRelays(
            self.endpoint,
            self.node,
            self.log,
            on_change=self._reach_changed,
            websocket=settings.networking.websocket,
        )
        self._bootstrap = bootstrap
        self._on_destroyed = on_destroyed
        self.destroyed = False
        self.returning = Returning(home, settings.security.resume_hours * 3600, bootstrap, self.relays, self.log)
        self.remembering = Remembering(home, bootstrap, self.log, enabled=self.returning.enabled)
        self.hub = Hub(
            server=settings.server.id,
            rooms=settings.chat.rooms,
            history=settings.chat.history,
            first_number=int(self.started_at * 1000),
            ledger=self.remembering.ledger,
        )
        self.chat = ChatService(self.hub, wake=self.node.wake, keep=self.remembering.flush, log=self.log)
        chat, argv = settings.chat, settings.handler
        self.handler = Handler(argv, chat.handler_name, chat.rooms, self.chat, self.log) if argv else None
        self._moving = Moving(self, spawn=self._spawn, reach_changed=self._reach_changed)
        self.reach = self._moving.make_reach()
        key = bytearray(HEADER_KEY_BYTES)
        self._maker = Maker(settings.server.id, key, self.relays.texts, self._moving.candidates)
        self.invitations = Invitations(home, settings, bootstrap, self._maker, self.relays, self.log)
        self.handing = Handing(self.endpoint, self.returning, self._maker, self.log, wake=self.node.wake)
        self.port = Address(settings.server.ip, 0)
        self.handle = 0
        self.meters = ServerMeters(self)
        self._exporter = Exporter(self.meters.board, self.refresh_meters, settings.metrics, self.log)
        self._drop: DropWatch | None = None
        self._generation = 0
        self._joining: dict[int, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the port, arm the credentials of clients that may come back, write the first security file.

        Raises PersonalError: CC-PORT-BUSY, CC-ADDRESS, or what kept a file from being read or written.
        """
        self.relays.load(self.settings.networking.relays, self.home, self._bootstrap)
        slots = self.returning.load()
        key = slots[-1].credential.hello_header_key if slots else secrets.token_bytes(HEADER_KEY_BYTES)
        self._maker.hello_header_key[:] = key
        usual = slots[-1].credential.candidates[0].port if slots and slots[-1].credential.candidates else 0
        await self._exporter.open()
        self._moving.start(await open_server_port(self.node, self.settings.server, usual, self.log))
        self.endpoint.candidates = tuple(self.reach.candidates())
        await self.remembering.begin()
        await self.invitations.open(DEFAULT_NAME)
        self._spawn(self.invitations.keep())
        self._watch_drop()
        self._spawn(self.handing.keep())
        self._spawn(self.remembering.run())
        if self.handler is not None:
            self._spawn(self.handler.run())
        self._spawn(self._exporter.run())

    def announce(self) -> None:
        """Log that everything is up, and where."""
        self.log.info(
            "started",
            server=self.settings.server.id,
            port=str(self.port),
            candidates=[str(address) for address in self.reach.candidates()],
            returning=len(self.returning),
        )

    async def stop(self) -> None:
        """Close all sessions and end within two seconds; security files that nobody has used are removed."""
        if not self.destroyed:
            self.log.info("stopping", sessions=len(self.guests))
        tasks, limit = tuple(self._tasks), CLOSE_LIMIT if self.destroyed else CLOSE_SECONDS
        for task in tasks:
            task.cancel()
        self.invitations.close()
        self._exporter.close()
        self.remembering.close()
        if self._drop is not None:
            self._drop.close()
        await asyncio.gather(
            *tasks,
            self.reach.close(),
            self._moving.close(),
            self.relays.close(),
            self.node.close(code=CLOSE_CODE, reason=CLOSE_REASON, limit=limit),
            return_exceptions=True,
        )
        self.log.info("stopped")

    def destroy(self) -> None:
        """Destroy every key, tell every client to do the same, and give up all work but that; ``stop`` follows."""
        if self.destroyed:
            return
        self.destroyed = True
        self.endpoint.compromise_all(now=time.monotonic())
        self.node.wake()
        for task in self._tasks:
            task.cancel()
        self.invitations.forget()
        self.returning.forget()
        self.remembering.forget()
        self._maker.wipe()
        self._bootstrap.wipe()
        self._exporter.close()
        if self._drop is not None:
            self._drop.close()
            self._drop = None

    def compromise_session(self, number: int) -> None:
        """Destroy the keys of one session and what its client could come back with, on both ends."""
        self.endpoint.compromise_session(number, now=time.monotonic())
        self._forget_client(number)
        self.node.wake()

    def _compromised(self, event: CompromisedHeard) -> None:
        self.log.warning("compromised-heard", session=event.session, everything=event.everything)
        if event.everything:
            self.destroy()
            self._on_destroyed()
        else:
            self._forget_client(event.session)

    def _forget_client(self, session: int) -> None:
        if self.returning.break_all(session):
            self._spawn(self.returning.save())

    async def replace_bootstrap(self, bootstrap: Bootstrap) -> None:
        """Seal everything under another bootstrap key."""
        old, self._bootstrap = self._bootstrap, bootstrap
        await self.invitations.renew_all(bootstrap)
        await self.returning.reseal(bootstrap)
        await self.remembering.reseal(bootstrap)
        old.wipe()

    async def refresh_meters(self) -> None:
        """Run the self-test and bring all figures up to date."""
        found = await check(self)
        self.meters.refresh(healthy=found.healthy, missing=len(found.missing), now=time.monotonic())

    def _watch_drop(self) -> None:
        """Look after the drop folder, if there is one, and learn how to open our NATs for those who can't reach us."""
        networking = self.settings.networking
        if networking.stun_servers and not is_loopback(self.port.host):
            self._spawn(learn_depth(self.endpoint.scout, networking.stun_servers))
        if networking.drop is not None:
            self._drop = DropWatch(
                networking.drop,
                self.endpoint,
                self.handle,
                self.log,
                flush=self.node.flush,
                published=self.invitations.files if networking.drop_publish else dict,
            )
            self._spawn(self._drop.run())

    def _reach_changed(self) -> None:
        """Tell clients and security files where we are to be found now."""
        before, found = self.endpoint.candidates, tuple(self.reach.candidates())
        if found == before:
            return
        self.endpoint.candidates = found
        self._generation += 1
        for number in self.guests:
            session = self.endpoint.sessions.get(number)
            if session is not None:
                with contextlib.suppress(UsageError):  # it is closing
                    session.offer(self._generation, found)
        self.node.wake()
        self._spawn(self.invitations.renew())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            told = personal(error)
            self.log.error("unexpected", code=told.code, cause=told.cause)

    # ------------------------------------------------------------------------------------ what the endpoint tells

    def _on_event(self, event: Event) -> None:
        self.meters.on_event(event, now=time.monotonic())
        match event:
            case SlotConfirmed():
                self._confirmed(event)
            case SessionOpened():
                self._opened(event)
            case SessionEnded():
                self._ended(event.session, event.error)
            case StreamOpened():
                self._stream_opened(event)
            case StreamReadable():
                self._readable(event)
            case StreamWritable():
                self.chat.writable(event.session, event.stream)
            case StreamReset() | StreamStopped():
                self.chat.broken(event.session, event.stream)
            case CompromisedHeard():
                self._compromised(event)
            case PortReady() | PortMoved() | PortKept() | PortClosed():
                self._moving.on_event(event)
            case KeysChanged():
                self.log.info("keys-changed", session=event.session, epoch=event.epoch)
            case PathChanged():
                remote = self.relays.describe(event.path)
                self.log.info("path-changed", session=event.session, remote=remote, why=event.why)
            case _:
                return  # ports are the driver's, and nothing here pings or sends datagrams

    def _confirmed(self, event: SlotConfirmed) -> None:
        """Burn what the client came by; one that comes by what was burnt a moment ago is turned away."""
        name = self.invitations.burn(event.slot_id)
        if name is None:
            name = self.returning.use(event.slot_id, event.session)
        session = self.endpoint.sessions.get(event.session)
        if name is None:
            self.log.warning("late-client-refused", session=event.session)
            self.meters.refused()
            if session is not None:
                session.close(StreamCode.REFUSED, "the security file is used", now=time.monotonic(), at_once=True)
            return
        self._joining[event.session] = name

    def _opened(self, event: SessionOpened) -> None:
        name = self._joining.pop(event.session, None)
        if name is None:
            return
        self.guests[event.session] = Guest(event.session, name, time.time())
        self.log.info("session-opened", session=event.session, name=name, remote=self.relays.describe(event.path))
        if self.returning.enabled:
            self._spawn(self.handing.give(event.session, name))

    def _ended(self, session: int, error: SessionClosed) -> None:
        self.chat.session_ended(session, error)
        self.handing.ended(session)
        guest = self.guests.pop(session, None)
        if guest is None:
            return
        reason = error.reason if isinstance(error, PeerClosed) else str(error)
        self.log.info("session-ended", session=session, name=guest.name, code=error.code, reason=reason)

    def _stream_opened(self, event: StreamOpened) -> None:
        session = self.endpoint.sessions.get(event.session)
        if session is not None and event.session in self.guests:
            self.chat.opened(event.session, session, event.stream)

    def _readable(self, event: StreamReadable) -> None:
        if self.handing.is_ours(event.session, event.stream):
            self._spawn(self.handing.readable(event.session, event.stream))
        else:
            self.chat.readable(event.session, event.stream)
