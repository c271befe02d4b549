"""The answering end of a relayed handshake opens its NATs at once, and says so, before it can know the peer is there.

By then it has read where the peer may be reached, so that the asking end, which hears of it together with the WELCOME,
may fire in the very moment its session begins: one round trip, and it is direct.
"""

from __future__ import annotations

from clawchat.nat.path import PathFrame
from clawchat.nat.probing import Prober
from clawchat.session.outbound import Outbound, Transmit
from clawchat.values.address import Path
from clawchat.values.limits import PRIMED_WORDS, PRIMED_WORDS_INTERVAL
from clawchat.values.timers import NEVER
from clawchat.wire.frames import Punch, encode


class Priming:
    """What an unconfirmed session sends: a prime by each path, and PUNCH for the first round more than once."""

    __slots__ = ("_at", "_prober", "_words")

    def __init__(self, prober: Prober) -> None:
        self._prober = prober
        self._words = 0
        self._at = NEVER

    def begin(self, ways: tuple[Path, ...], ttl: int, *, now: float) -> None:
        """Open our NATs for these paths."""
        for path in ways:
            self._prober.probe(path, ttl)
        if ways:
            self._words = PRIMED_WORDS
            self._at = now

    def transmit(self, out: list[Transmit], outbound: Outbound, relayed: Path, *, now: float) -> float:
        """Append what is due; return when there is more."""
        for item in self._prober.take(now=now):
            outbound.send_alone(out, item, now=now)
        if self._at <= now:
            self._words -= 1
            self._at = now + PRIMED_WORDS_INTERVAL if self._words else NEVER
            # nobody acknowledges anything yet, so that it is no frame to be repeated by itself
            outbound.send_alone(out, PathFrame(relayed, encode(Punch(0, 0))), now=now)
        return self._at
