"""Run an endpoint on asyncio: sockets in, sockets out, one timer, events to the program.

One turn of the loop: read a bounded number of batches, let the endpoint receive them, deliver its events, send
a bounded share of what it wants to send, arm the timer. What the program does inside an event leaves in the
same turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from itertools import count
from typing import Final

from clawchat.net.clock import unix_offset
from clawchat.net.error_queue import PathError
from clawchat.net.gate import Gate
from clawchat.net.loop import BEAT_SECONDS, LagMeter
from clawchat.net.network_watch import NetworkWatch
from clawchat.net.ports import Ports
from clawchat.net.sockets import RECEIVE_ROOM, UdpPort
from clawchat.net.surface import Core, Tap
from clawchat.net.tunnel import Tunnel
from clawchat.session.outbound import Transmit
from clawchat.values.address import FIRST_TUNNEL, Address, Path
from clawchat.values.errors import UsageError
from clawchat.values.events import ClosePort, Event, OpenPort, PortEvent

MAX_ROUNDS: Final = 8
"""How often one turn asks the endpoint for more, before the loop looks after others."""

TURN_BYTES: Final = 512 << 10
"""How much one turn sends, more or less: a millisecond's work."""

MAX_WAITING_BYTES: Final = 1 << 20
"""With this much waiting for sockets the endpoint isn't asked for more, so nothing is ever dropped here."""

HELD_PAUSE: Final = 0.002
"""While sockets are full, how soon the endpoint's timer may fire."""

CLOSE_LIMIT: Final = 2.5
"""How long ``close`` takes at most: the last copy of COMPROMISED leaves two seconds after the first."""


class Node:
    """An endpoint, its ports and its timer on the running event loop.

    ``on_event`` is told every event but those about ports. ``offload=False`` does without the kernel's batch
    calls. ``tap`` sees every datagram. ``on_icmp`` is told what ICMP says about our datagrams, expired TTLs
    among it. ``watch``: tell the endpoint when this machine's addresses change. ``beat``: how often, in seconds, the
    loop is asked whether it is on time.
    """

    def __init__(  # noqa: PLR0913 - one keyword for each way a program looks in
        self,
        endpoint: Core,
        *,
        on_event: Callable[[Event], None],
        offload: bool | None = None,
        tap: Tap | None = None,
        on_icmp: Callable[[PathError], None] | None = None,
        watch: bool = True,
        beat: float = BEAT_SECONDS,
    ) -> None:
        self.endpoint = endpoint
        self._on_event = on_event
        self._tap = tap
        self.icmp_listeners: set[Callable[[PathError], None]] = set() if on_icmp is None else {on_icmp}
        self._loop = asyncio.get_running_loop()
        self._ports = Ports(
            endpoint,
            self._loop,
            on_readable=self._on_readable,
            on_drained=self.wake,
            on_icmp=self._hear_icmp,
            offload=offload,
        )
        self._backlog = self._ports.backlog
        self._listeners: dict[int, Callable[[Event], None]] = {}
        self._strangers: dict[Address, Callable[[bytes, Path], None]] = {}
        self._room = memoryview(bytearray(RECEIVE_ROOM))
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None
        self._flushing = False
        self._closing = False
        self._closed = False
        self._finished = asyncio.Event()
        self._tunnel_handles = count(FIRST_TUNNEL)
        self._meter = LagMeter(self._loop, beat, self._keep_time)
        self._keep_time()
        self._meter.start()
        self._watch = NetworkWatch(self._loop, self._on_network_changed) if watch else None

    def _keep_time(self) -> None:
        """Tell the endpoint of clocks that were set, and of time that the machine slept through."""
        self.endpoint.unix_offset = unix_offset()

    @property
    def ports(self) -> dict[int, UdpPort]:
        """Return the open ports by handle."""
        return {handle: gate.port for handle, gate in self._ports.gates.items()}

    @property
    def closed(self) -> bool:
        """Tell whether the node has come to its end."""
        return self._closed

    @property
    def lag(self) -> float:
        """Return how late the event loop was at worst in the last minute, in seconds."""
        return self._meter.worst

    async def open_port(self, address: Address) -> int:
        """Open a port (number 0: a random one) and return its handle. Raises PersonalError."""
        if self._closed:
            raise UsageError("the node is closed")
        self.flush()
        handle = self._ports.open(address)
        self.flush()
        return handle

    def _hear_icmp(self, error: PathError) -> None:
        for listener in tuple(self.icmp_listeners):
            listener(error)

    def open_tunnel(self, tunnel: Tunnel) -> int:
        """Give a port to what is no UDP socket; what it brings is told by ``arrived``."""
        handle = next(self._tunnel_handles)
        self._ports.tunnels[handle] = tunnel
        return handle

    def close_tunnel(self, handle: int) -> None:
        """Send nothing more by a tunnel."""
        self._ports.tunnels.pop(handle, None)

    def arrived(self, data: bytes, path: Path) -> None:
        """Take in a datagram that came by a tunnel."""
        if self._closed or not data:
            return
        now = time.monotonic()
        if self._tap is not None:
            self._tap.received(memoryview(data), len(data), path, now=now)
        self.endpoint.receive(memoryview(data), len(data), path, now=now)
        self.wake()

    def attach(self, session: int, listener: Callable[[Event], None]) -> None:
        """Tell a session's events to ``listener``, before ``on_event``."""
        self._listeners[session] = listener

    def detach(self, session: int) -> None:
        """Stop telling a session's events to its listener."""
        self._listeners.pop(session, None)

    def divert(self, remote: Address, listener: Callable[[bytes, Path], None] | None) -> None:
        """Tell datagrams from an address that is no peer's, such as a STUN server's, to ``listener`` alone."""
        if listener is None:
            self._strangers.pop(remote, None)
        else:
            self._strangers[remote] = listener

    def send_plain(self, data: bytes, path: Path, ttl: int | None = None) -> None:
        """Send a datagram that the endpoint knows nothing of."""
        if not self._closed:
            self._ports.send(Transmit(data, len(data), path, ttl))

    def wake(self) -> None:
        """Flush when this turn of the loop is over, so that several writes leave together."""
        if self._soon is None and not self._flushing and not self._closed:
            self._soon = self._loop.call_soon(self.flush)

    def push(self) -> None:
        """Send now, in the middle of a turn of the loop; events wait for the turn's end."""
        if self._flushing or self._closed or self._backlog.bytes > MAX_WAITING_BYTES:
            return
        self._send()
        if self.endpoint.busy:
            self.wake()
        self._arm()

    def flush(self) -> None:
        """Deliver events, send what the endpoint wants to send, arm the timer."""
        if self._flushing or self._closed:
            return  # the flush that is under way sees to it
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._flushing = True
        more = False
        try:
            more = self._exchange()
        finally:
            self._flushing = False
            self._arm()
        if more:
            self.wake()
        if self._closing and not self.endpoint.sessions and not self.endpoint.leaving and not self._backlog.bytes:
            self._finished.set()

    async def close(self, *, code: int = 0, reason: str = "", limit: float = CLOSE_LIMIT) -> None:
        """Close every session, send what the endpoint still wants to send, close the ports.

        Takes at most ``limit`` seconds; what the endpoint repeats in case it got lost is part of it.
        """
        if self._closed:
            return
        self._closing = True
        try:
            self.endpoint.close_all(now=time.monotonic(), code=code, reason=reason)
            self.flush()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._finished.wait(), limit)
        finally:
            self._shut()

    def _shut(self) -> None:
        self._closed = True
        self._ports.close_all()
        for handle in (self._timer, self._soon):
            if handle is not None:
                handle.cancel()
        self._meter.stop()
        if self._watch is not None:
            self._watch.stop()

    # --- turns of the loop -------------------------------------------------------------------------

    def _on_readable(self, gate: Gate) -> None:
        port = gate.port
        batches = port.receive(self._room)
        now = time.monotonic()
        receive, tap, strangers = self.endpoint.receive, self._tap, self._strangers
        for data, size, path in batches:
            if tap is not None:
                tap.received(data, size, path, now=now)
            if strangers and path.remote in strangers:
                self._hand_over(data, size, path)
            else:
                receive(data, size, path, now=now)
        if port.reports:
            self._ports.report(gate)
        if port.broken:
            self._ports.mend(gate)
        self.flush()

    def _hand_over(self, data: memoryview, size: int, path: Path) -> None:
        """Hand datagrams of a stranger to who listens to it."""
        listener = self._strangers[path.remote]
        for at in range(0, len(data), size or 1):
            try:
                listener(bytes(data[at : at + size]), path)
            except Exception as error:  # noqa: BLE001 - as in _tell
                self._loop.call_exception_handler({"message": f"in a datagram of {path.remote}", "exception": error})

    def _exchange(self) -> bool:
        """Exchange events, timeouts and datagrams with the endpoint; tell whether there is more to do."""
        endpoint = self.endpoint
        left = TURN_BYTES
        for _ in range(MAX_ROUNDS):
            self._deliver()
            if self._backlog.bytes > MAX_WAITING_BYTES:
                return False
            left -= self._send()
            if left <= 0:
                return True
            if not endpoint.busy:
                return False
        return True

    def _send(self) -> int:
        """Send a share of what the endpoint wants to send; return how many bytes that was."""
        now = time.monotonic()
        sent = 0
        for transmit in self.endpoint.transmits(now=now):
            if self._tap is not None:
                self._tap.sent(transmit, now=now)
            self._ports.send(transmit)
            sent += len(transmit.data)
        return sent

    def _deliver(self) -> None:
        """Hand every event on."""
        for event in self.endpoint.events():
            if isinstance(event, (OpenPort, ClosePort)):
                self._ports.obey(event)
                continue
            listener = None if isinstance(event, PortEvent) else self._listeners.get(event.session)
            if listener is not None:
                self._tell(listener, event)
            self._tell(self._on_event, event)

    def _tell(self, listener: Callable[[Event], None], event: Event) -> None:
        try:
            listener(event)
        except Exception as error:  # noqa: BLE001 - a program's mistake must not stop its network
            self._loop.call_exception_handler({"message": f"while handling {event!r}", "exception": error})

    def _arm(self) -> None:
        """Let the timer fire at the endpoint's deadline or before; a later one is found when it fires."""
        deadline = self.endpoint.next_timeout()
        if deadline is None:
            return
        if self._backlog.bytes > MAX_WAITING_BYTES:
            # what is due can't be sent, and must not make the loop spin
            deadline = max(deadline, time.monotonic() + HELD_PAUSE)
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        now = time.monotonic()
        if self._timer is not None:
            self._meter.note(now - self._timer.when())
            self._timer = None
        deadline = self.endpoint.next_timeout()
        if deadline is not None and deadline <= now:
            self.endpoint.handle_timeout(now=now)
        self.flush()

    def _on_network_changed(self) -> None:
        self.endpoint.network_changed(now=time.monotonic())
        self.flush()
