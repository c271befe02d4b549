"""Real endpoints on a simulated internet: the programs of a cell without sockets, loop or waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count
from random import Random

from clawchat.nat.depth import DEEPEST, Depth
from clawchat.session.config import EndpointConfig
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import FIRST_TUNNEL, Address, Path
from clawchat.values.events import ClosePort, Event, OpenPort
from clawchat.values.timers import NEVER
from lab.sim.internet import Internet
from lab.sim.way import DEFAULT_TTL, Complaint, Datagram, Trouble

FIRST_PORT = 50_001
"""The number of an end's first port; the next ones follow."""


class Party:
    """An endpoint at one node, driven by the internet's clock. ``on_event`` is told every event but those of ports.

    ``sent_to`` counts datagrams by where they went.
    """

    def __init__(  # noqa: PLR0913 - what an end needs
        self,
        internet: Internet,
        node: str,
        host: str,
        on_event: Callable[[Event], None],
        *,
        seed: int = 0,
        config: EndpointConfig | None = None,
    ) -> None:
        self.node = node
        self.sent_to: Counter[str] = Counter()
        self.depth: Depth | None = None
        self.endpoint = Endpoint(random=Random(f"{seed}:{node}").randbytes, config=config)
        self._felt_to = 0
        """How far the last datagram went that was to measure."""
        self._internet = internet
        self._host = host
        self._on_event = on_event
        self._ports: dict[int, Address] = {}
        self._tunnels: dict[int, Callable[[bytes], None]] = {}
        self._handles = count(FIRST_TUNNEL)
        self._alarm = NEVER
        """When the clock calls."""
        self._turn_due = False
        self._asleep_until = 0.0

    @property
    def now(self) -> float:
        """The internet's time."""
        return self._internet.now

    @property
    def sent(self) -> int:
        """How many datagrams left by UDP."""
        return self.sent_to.total()

    def open(self, handle: int = 0, host: str = "") -> Address:
        """Open a port, at another address of the node if ``host`` says so; return its address inside."""
        address = Address(host or self._host, FIRST_PORT + handle)
        self._ports[handle] = address

        def receive(datagram: Datagram) -> None:
            path = Path(handle, datagram.source)
            self.endpoint.receive(memoryview(datagram.payload), len(datagram.payload), path, now=self._internet.now)
            self._take_turn()

        def complain(complaint: Complaint) -> None:
            if complaint.trouble is Trouble.TTL_EXCEEDED:
                self._felt(handle, complaint)
                return
            name = "ECONNREFUSED" if complaint.trouble is Trouble.PORT_UNREACHABLE else "EHOSTUNREACH"
            self.endpoint.path_error(Path(handle, complaint.datagram.destination), name, now=self._internet.now)
            self._take_turn()

        self._internet.listen(address, receive, complain)
        self.endpoint.port_opened(handle, address, now=self._internet.now)
        return address

    def open_tunnel(self, send: Callable[[bytes], None]) -> int:
        """Give a port to a WebSocket; return its handle."""
        handle = next(self._handles)
        self._tunnels[handle] = send
        return handle

    def arrived(self, handle: int, remote: Address, data: bytes) -> None:
        """Take in what a WebSocket brought."""
        if handle in self._tunnels:
            self.endpoint.receive(memoryview(data), len(data), Path(handle, remote), now=self._internet.now)
            self._take_turn()

    def hang_up(self) -> None:
        """Close all WebSockets."""
        self._tunnels.clear()

    def measure(self, towards: Address, handle: int) -> None:
        """Learn how deep our own NATs are: a datagram dies on the way to a public address, and says at which router.

        The next one goes a hop further, until the router is a public one, as with the programs.
        """
        self.depth = Depth()
        self._feel(towards, handle)

    def _feel(self, towards: Address, handle: int) -> None:
        self._felt_to += 1
        # A second one would say the same, but where the first may be lost.
        for _ in range(2 if self._internet.loses else 1):
            self._internet.send(self.node, Datagram(self._ports[handle], towards, b"", self._felt_to))

    def _felt(self, handle: int, complaint: Complaint) -> None:
        """Hear at which router a datagram died: one that measures, or one that opened our NAT."""
        if self.depth is None:
            return
        died = complaint.datagram
        self.depth.expired(died.ttl, complaint.offender)
        if not died.payload and died.ttl == self._felt_to < DEEPEST and self.depth.hops is None:
            self._feel(died.destination, handle)

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while, as a process that gets no turn; what arrives waits inside."""
        self._asleep_until = self.now + seconds
        self._internet.at(self._asleep_until, self.flush)

    def _take_turn(self) -> None:
        """Flush once all that arrives at this moment is there, as a driver does that reads its sockets empty."""
        if not self._turn_due:
            self._turn_due = True
            self._internet.soon(self._turn)

    def _turn(self) -> None:
        self._turn_due = False
        self.flush()

    def flush(self) -> None:
        """Do what the driver does at the end of a turn."""
        if self._internet.now < self._asleep_until:
            return
        endpoint, now = self.endpoint, self._internet.now
        while True:
            for event in endpoint.events():
                self._take(event)
            for data, size, path, ttl in endpoint.transmits(now=now):
                whole = bytes(data)  # a view is gone with the next call
                if size >= len(whole):
                    self._send(whole, path, ttl or DEFAULT_TTL)
                else:
                    for at in range(0, len(whole), size):
                        self._send(whole[at : at + size], path, ttl or DEFAULT_TTL)
            if not endpoint.busy:
                break
        self._wait(endpoint.next_timeout())

    def _take(self, event: Event) -> None:
        match event:
            case OpenPort(handle):
                self.open(handle)
            case ClosePort(handle):
                self._internet.close(self._ports.pop(handle))
                self.endpoint.port_failed(handle, now=self._internet.now)
            case _:
                self._on_event(event)

    def _send(self, data: bytes, path: Path, ttl: int) -> None:
        """Send a datagram."""
        tunnel = self._tunnels.get(path.port)
        if tunnel is not None:
            tunnel(data)
        source = self._ports.get(path.port)
        if source is not None:
            self.sent_to[path.remote.host] += 1
            self._internet.send(self.node, Datagram(source, path.remote, data, ttl))

    def _wait(self, due: float | None) -> None:
        """Be called when the endpoint is due. An earlier alarm is as good: it is put off when it goes."""
        if due is not None and due < self._alarm:
            self._alarm = due
            self._internet.at(due, self._on_alarm)

    def _on_alarm(self) -> None:
        now = self._internet.now
        if now < self._alarm:
            return  # an earlier one has taken its place since
        self._alarm = NEVER
        self.endpoint.handle_timeout(now=now)
        due = self.endpoint.next_timeout()
        # Most deadlines have been put off by the time they come, and then there is nothing to send.
        if self.endpoint.busy or (due is not None and due <= now):
            self._take_turn()
        else:
            self._wait(due)
