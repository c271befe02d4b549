"""Relayed paths that a session does not use, and the watch over the one it does: when that falls silent, it is left."""

from __future__ import annotations

from collections.abc import Callable

from clawchat.nat.probing import Prober
from clawchat.nat.suspicion import Suspicion
from clawchat.transport.recovery import Recovery
from clawchat.values.address import Path
from clawchat.values.limits import FLOW_PACKETS, FLOW_SECONDS, RESERVE_SHOWN
from clawchat.values.timers import NEVER


class Reserve:
    """Hold one path for each relay, the one that worked last first, and those by WebSocket behind all others.

    An initiator shows the peer every path that it holds, now and then again: either end may have joined a relay
    anew, and the peer knows no other way to learn where to send.
    """

    __slots__ = (
        "_flow",
        "_flow_since",
        "_flow_watch",
        "_paths",
        "_prober",
        "_show_at",
        "_shows",
        "_suspicion",
        "_tunnelled",
        "_vain",
    )

    def __init__(self, prober: Prober, tunnelled: Callable[[Path], bool], *, shows: bool) -> None:
        self._paths: dict[int, Path] = {}  # by the virtual port of the relay
        self._prober = prober
        self._tunnelled = tunnelled
        self._suspicion = Suspicion()
        self._flow_watch = Suspicion()
        self._shows = shows
        self._show_at = NEVER
        self._flow = 0
        self._flow_since = 0.0
        self._vain = 0  # how many relays were left since the last answer

    @property
    def deadline(self) -> float:
        """Return when ``watch`` has something to do."""
        return min(self._suspicion.deadline, self._flow_watch.deadline, self._show_at)

    def add(self, path: Path, *, now: float) -> None:
        """Hold a path through a relay, instead of the one through that relay that was known."""
        if path.port not in self._paths and self._shows:
            self._show_at = now
        self._paths[path.port] = path

    def prefer(self, path: Path) -> None:
        """Note that a path works: it is the first to go to."""
        if self._paths.pop(path.port, None) is not None:
            self._paths = {path.port: path, **self._paths}

    def leave(self, path: Path) -> None:
        """Note that a path fell silent: it is the last to go to."""
        if self._paths.pop(path.port, None) is not None:
            self._paths[path.port] = path
            self._vain += 1

    @property
    def tried_all(self) -> bool:
        """Tell whether every relay was left in vain, so that only one that answers is worth going to."""
        return self._vain >= len(self._paths)

    def drop(self, port: int) -> bool:
        """Forget a relay that was left; tell whether a path through it was held."""
        self.on_moved()
        return self._paths.pop(port, None) is not None

    def instead_of(self, current: Path) -> Path | None:
        """Return the path to leave the current one for, None if there is no other."""
        others = self._others(current)
        return min(others, key=self._tunnelled, default=None)

    def is_better(self, path: Path, current: Path) -> bool:
        """Tell whether a relayed path that works should take the place of the one in use."""
        return current.relayed and self._tunnelled(current) and not self._tunnelled(path)

    def on_acked(self) -> None:
        """Note that the path in use works: what we sent was acknowledged. What the peer sends may yet fall silent."""
        self._suspicion.on_answer()
        self._vain = 0
        if self._flow_watch.probing:
            self._flow_watch.on_answer()

    def on_answer(self) -> None:
        """Note that the path in use works: a probe was answered."""
        self.on_moved()
        self._vain = 0

    def on_moved(self) -> None:
        """Begin anew to watch: another path is in use."""
        self._suspicion.on_answer()
        self._flow_watch.on_answer()

    def on_heard(self, packets: int, rtt: float, *, now: float) -> None:
        """Note that packets came in: an end that only receives has no other sign that its path died."""
        self._flow += packets
        if self._flow >= FLOW_PACKETS:
            if now - self._flow_since <= FLOW_SECONDS:
                self._flow_watch.on_flow(rtt, now=now)
            self._flow, self._flow_since = 0, now

    def watch(self, current: Path, recovery: Recovery, *, now: float) -> bool:
        """Show what is due, and probe the path in use when it gives no answer; tell whether it is to be left."""
        if self._show_at <= now:
            self._show(current, now=now)
        if recovery.in_flight:
            self._suspicion.on_asked(recovery.rtt.smoothed, now=now)
        if now < self._suspicion.deadline and now < self._flow_watch.deadline:
            return False
        verdicts = [each.check(recovery.rtt.smoothed, now=now) for each in (self._suspicion, self._flow_watch)]
        if False in verdicts:
            # the others as well: perhaps our NAT has forgotten them, too, and this opens them anew
            for path in (current, *self._others(current)):
                self._prober.probe(path)
        return True in verdicts and self.instead_of(current) is not None and not self.tried_all

    def _show(self, current: Path, *, now: float) -> None:
        others = self._others(current)
        for path in others:
            self._prober.probe(path)
        self._show_at = now + RESERVE_SHOWN if others else NEVER

    def _others(self, current: Path) -> list[Path]:
        return [path for port, path in self._paths.items() if port != current.port]
