"""The running relay: members join with ``relay.sec``, and it passes sealed datagrams on between them."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Final

from clawchat.crypto.keylog import KeyLog
from clawchat.net.driver import Node
from clawchat.net.interfaces import host_candidates
from clawchat.services.preface import StreamCode
from clawchat.services.relay import BURST, RATE, RelayHub
from clawchat.session.config import EndpointConfig
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address, Path
from clawchat.values.events import (
    BoxRegistered,
    Event,
    ForwardReceived,
    PathChanged,
    SessionEnded,
    SessionOpened,
    StreamOpened,
)
from server.health import BEAT_SECONDS, Health, datagram_arrives
from server.home import Home
from server.logs import Log
from server.metrics.export import Exporter
from server.metrics.relay import RelayMeters
from server.program import CLOSE_CODE, CLOSE_SECONDS
from server.relay_settings import BITS, MEGA, RelaySettings
from server.relay_slots import RelaySlots
from server.relay_websocket import RelayWebSocket
from server.settings import public_address

# Every member may come back at once after the relay was restarted; each has a credential.
HANDSHAKE_RATE: Final = 200.0
HANDSHAKE_BURST: Final = 400
MAX_HALF_OPEN: Final = 256
CLOSE_REASON: Final = "the relay is stopping"


def where(path: Path) -> str:
    """Name where a member is."""
    return f"{path.remote.host} (WebSocket)" if path.tunnelled else str(path.remote)


class RelayProgram:
    """One relay. ``start`` it on the running loop, then ``stop`` it; in between it lives off events."""

    def __init__(self, home: Home, settings: RelaySettings, log: Log, *, keylog: KeyLog | None = None) -> None:
        self.settings = settings
        self.log = log
        self.started_at = time.time()
        self.slots = RelaySlots(home)
        self.endpoint = Endpoint(
            random=secrets.token_bytes,
            config=EndpointConfig(
                handshake_rate=HANDSHAKE_RATE,
                handshake_burst=HANDSHAKE_BURST,
                max_half_open=MAX_HALF_OPEN,
                max_sessions=settings.quota.sessions,
            ),
            keylog=keylog,
        )
        self.node = Node(self.endpoint, on_event=self._on_event, watch=False, beat=BEAT_SECONDS)
        self.websocket = RelayWebSocket(self.node, settings.websocket, settings.relay.ip, home.configuration)
        rate = settings.quota.megabits * MEGA / BITS
        self.hub = RelayHub(secrets.token_bytes, rate=rate, burst=BURST * max(1.0, rate / RATE))
        self.port = Address(settings.relay.ip, 0)
        self.meters = RelayMeters(self)
        self._exporter = Exporter(self.meters.board, self.refresh_meters, settings.metrics, log)
        self._exporting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the port that credentials name, and let their holders in.

        Raises PersonalError: CC-PORT-BUSY, CC-ADDRESS, CC-CONFIG, or what kept a file from being written.
        """
        settings = self.settings
        url = self.websocket.url
        await self._exporter.open()
        wish = settings.relay.port or self.slots.usual_port
        handle = await self.node.open_port(Address.make(settings.relay.ip, wish))
        self.port = self.node.ports[handle].address
        public = settings.networking.public_address
        own = host_candidates(self.port) if public is None else [public_address(public, self.port.port)]
        if self.slots.settle(settings.relay.id, own, days=settings.security.validity_days, websocket=url):
            self.log.info("relay-file-written", file=str(self.slots.file), candidates=[str(each) for each in own])
        now, unix = time.monotonic(), time.time()
        for slot in self.slots.slots:
            self.endpoint.arm(slot, deadline=now + slot.credential.valid_until - unix)
        await self.websocket.start(self.slots.slots)
        self._exporting = asyncio.get_running_loop().create_task(self._exporter.run())

    def announce(self) -> None:
        """Log that everything is up, and where."""
        websocket = None if self.websocket.address is None else str(self.websocket.address)
        told = {"port": str(self.port), "websocket": websocket, "file": str(self.slots.file)}
        self.log.info("started", relay=self.settings.relay.id, **told)

    async def stop(self) -> None:
        """Close all sessions and end within two seconds; the credentials stay good."""
        self.log.info("stopping", **self.hub.figures()._asdict())
        if self._exporting is not None:
            self._exporting.cancel()
        self._exporter.close()
        await self.node.close(code=CLOSE_CODE, reason=CLOSE_REASON, limit=CLOSE_SECONDS)
        self.websocket.close()
        self.log.info("stopped")

    async def health(self) -> Health:
        """Run the self-test."""
        return Health(
            self.node.lag,
            await datagram_arrives(self.node, self.port),
            () if self.slots.is_intact() else (self.slots.file.name,),
            joinable=bool(self.endpoint.armed),
        )

    async def refresh_meters(self) -> None:
        """Run the self-test and bring all figures up to date."""
        self.meters.refresh(healthy=(await self.health()).healthy, now=time.monotonic())

    def _on_event(self, event: Event) -> None:
        self.meters.on_event(event, now=time.monotonic())
        match event:
            case ForwardReceived():
                delivery = self.hub.forward(event.session, event.box, event.data, now=time.monotonic())
                target = self.endpoint.sessions.get(delivery.member) if delivery is not None else None
                if delivery is not None and target is not None:
                    target.forward(delivery.box, delivery.data)
            case BoxRegistered():
                if not self.hub.register(event.session, event.box):
                    self.meters.box_refused()
                    self.log.debug("box-refused", session=event.session)
            case SessionOpened():
                self.hub.join(event.session, now=time.monotonic())
                self.log.info("member-joined", session=event.session, remote=where(event.path))
            case PathChanged():
                self.log.info("member-moved", session=event.session, remote=where(event.path))
            case SessionEnded():
                self.hub.leave(event.session)
                self.log.info("member-left", session=event.session, code=event.error.code)
            case StreamOpened():
                session = self.endpoint.sessions.get(event.session)
                if session is not None:
                    reason = "a relay has no services"
                    session.close(StreamCode.UNKNOWN_SERVICE, reason, now=time.monotonic(), at_once=True)
            case _:
                return
