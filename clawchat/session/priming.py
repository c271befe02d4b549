"""The answering end of a relayed handshake opens its NATs at once, and says so, before it can know the peer is there.

By then it has read where the peer may be reached, so that the asking end, which hears of it together with the WELCOME,
may fire in the very moment its session begins: one round trip, and it is direct.
"""

from __future__ import annotations

from clawchat.nat.path import PATH_PACKET, PathFrame
from clawchat.nat.probing import Prober
from clawchat.session.outbound import Outbound, Transmit
from clawchat.values.address import Path
from clawchat.values.limits import EARLY_INTERVAL, EARLY_PROBES, PRIMED_WAYS, PRIMED_WORDS, PRIMED_WORDS_INTERVAL
from clawchat.values.timers import NEVER
from clawchat.wire.frames import Punch, encode


class Priming:
    """What an unconfirmed session sends: a prime by each path, and PUNCH for the first round more than once.

    Behind a NAT that gives every destination another port nobody can know where we are before we send. If the peer's
    NAT lets in whoever comes, a probe that arrives together with the WELCOME, or a moment later, saves the time until
    we hear that the peer is there. It leaves by a port that is used for nothing else: elsewhere it may be spoilt by it.
    """

    __slots__ = ("_at", "_early", "_prober", "_words")

    def __init__(self, prober: Prober) -> None:
        self._prober = prober
        self._words = 0
        self._at = NEVER
        self._early: list[tuple[float, Path]] = []  # when to probe early

    def begin(self, ways: tuple[Path, ...], early: Path | None, ttl: int, allowed: int, *, now: float) -> None:
        """Open our NATs for these paths, and try the ``early`` one; to all of them go ``allowed`` bytes at most."""
        ways = ways[:PRIMED_WAYS]
        for path in ways:
            self._prober.probe(path, ttl)
        if ways:
            self._words = PRIMED_WORDS
            self._at = now
        times = range(min(EARLY_PROBES, allowed // PATH_PACKET - len(ways)))
        self._early = [(now + number * EARLY_INTERVAL, early) for number in times] if early is not None else []

    def transmit(self, out: list[Transmit], outbound: Outbound, relayed: Path, *, now: float) -> float:
        """Append what is due; return when there is more."""
        while self._early and self._early[0][0] <= now:
            self._prober.probe(self._early.pop(0)[1])
        for item in self._prober.take(now=now):
            outbound.send_alone(out, item, now=now)
        if self._at <= now:
            self._words -= 1
            self._at = now + PRIMED_WORDS_INTERVAL if self._words else NEVER
            # nobody acknowledges anything yet, so that it is no frame to be repeated by itself
            outbound.send_alone(out, PathFrame(relayed, encode(Punch(0, 0))), now=now)
        return min(self._at, self._early[0][0]) if self._early else self._at
