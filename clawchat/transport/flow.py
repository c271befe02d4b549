"""Flow control (RFC 9000 section 4): what the peer may send, and what it lets us send.

The same two classes serve a stream and the whole session; a stream's windows know the session's.
"""

from __future__ import annotations

from typing import Final

from clawchat.transport.rtt import GRANULARITY
from clawchat.values.errors import ProtocolViolation
from clawchat.wire.frames import CloseCode

TUNING_RTTS: Final = 2
"""A window half consumed within this many round trips is too small for the path and doubles."""


class SendWindow:
    """How far the peer lets us send; ``used`` and ``limit`` count bytes from the beginning."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    @property
    def available(self) -> int:
        """Return how many more bytes may be sent."""
        return self.limit - self.used

    def spend(self, size: int) -> None:
        """Take ``size`` new bytes sent; the caller has checked ``available``."""
        self.used += size

    def raise_to(self, limit: int) -> bool:
        """Take a limit from the peer; an older, lower one changes nothing. Tell whether it is higher."""
        if limit <= self.limit:
            return False
        self.limit = limit
        return True


class ReceiveWindow:
    """How far we let the peer send, and when to let it send more.

    All positions count bytes from the beginning: ``received`` the highest the peer has reached,
    ``consumed`` what the application has taken, ``limit`` what the peer was told. The window, at first
    ``initial`` bytes, grows up to ``maximum`` while the application keeps up with the peer.
    """

    __slots__ = ("_raised_at", "consumed", "limit", "maximum", "received", "window")

    def __init__(self, initial: int, maximum: int) -> None:
        self.window = initial
        self.maximum = maximum
        self.limit = initial
        self.received = 0
        self.consumed = 0
        self._raised_at: float | None = None

    def receive(self, size: int) -> None:
        """Take ``size`` new bytes; raises ProtocolViolation, and changes nothing, beyond the limit."""
        received = self.received + size
        if received > self.limit:
            raise ProtocolViolation(
                CloseCode.FLOW_CONTROL, f"{received} bytes received where {self.limit} were allowed"
            )
        self.received = received

    def consume(self, size: int) -> None:
        """Count ``size`` bytes that the application has taken, or that will never be asked for."""
        self.consumed += size

    @property
    def due(self) -> bool:
        """Tell whether half of the window is consumed, so that the peer should be told a new limit."""
        return 2 * (self.limit - self.consumed) <= self.window

    def advance(self, *, now: float, rtt: float) -> int:
        """Raise the limit and return it, to be told to the peer; call it when ``due``.

        Give the *minimum* round trip: the smoothed one includes the queue that a large window makes, and
        would let the window grow without end.
        """
        if self._raised_at is not None and now - self._raised_at < TUNING_RTTS * max(rtt, GRANULARITY):
            self.window = min(2 * self.window, self.maximum)
        self._raised_at = now
        self.limit = max(self.limit, self.consumed + self.window)
        return self.limit
