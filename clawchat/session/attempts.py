"""The handshakes that this end has begun."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from clawchat.session.initiator import Attempt
from clawchat.session.outbound import Transmit
from clawchat.values.address import Address, Path
from clawchat.values.timers import NEVER


class Attempts(Collection[bytes]):
    """Handshakes under way; a collection of the cids that a WELCOME may name."""

    __slots__ = ("_by_id",)

    def __init__(self) -> None:
        self._by_id: dict[int, Attempt] = {}

    def __bool__(self) -> bool:
        return bool(self._by_id)

    def __contains__(self, cid: object) -> bool:
        return any(cid in attempt.cids for attempt in self._by_id.values())

    def __iter__(self) -> Iterator[bytes]:
        return (cid for attempt in self._by_id.values() for cid in attempt.cids)

    def __len__(self) -> int:
        return sum(len(attempt.cids) for attempt in self._by_id.values())

    def add(self, attempt: Attempt) -> None:
        """Hold an attempt."""
        self._by_id[attempt.id] = attempt

    def get(self, cid: bytes) -> Attempt | None:
        """Return the attempt that a WELCOME names."""
        return next((attempt for attempt in self._by_id.values() if cid in attempt.cids), None)

    def forget(self, attempt: Attempt) -> None:
        """Drop an attempt that is over, and overwrite its keys."""
        del self._by_id[attempt.id]
        attempt.wipe()

    def ports(self) -> set[int]:
        """List the ports by which HELLOs are sent."""
        return {path.port for attempt in self._by_id.values() for path in attempt.ways}

    def forget_all(self) -> None:
        """Drop every attempt, and overwrite its keys."""
        for attempt in list(self._by_id.values()):
            self.forget(attempt)

    def abandon(self, attempt_id: int) -> None:
        """Drop an attempt by its id, if it is still under way."""
        attempt = self._by_id.get(attempt_id)
        if attempt is not None:
            self.forget(attempt)

    def add_path(self, attempt_id: int, path: Path, own: Sequence[Address], *, now: float) -> None:
        """Let an attempt try one more path, beginning now; ``own`` is where we may be reached."""
        attempt = self._by_id.get(attempt_id)
        if attempt is not None:
            attempt.add_path(path, own)
            attempt.hurry(now=now)

    def offer(self, attempt_id: int, *, prime_ttl: int | None, now: float) -> bytes:
        """Return a HELLO of an attempt that is under way, to be carried by other means."""
        return self._by_id[attempt_id].offer(prime_ttl=prime_ttl, now=now)

    def hurry(self, *, now: float) -> None:
        """Let every attempt send its next HELLO now."""
        for attempt in self._by_id.values():
            attempt.hurry(now=now)

    def transmit(self, out: list[Transmit], *, now: float) -> None:
        """Append the HELLOs that are due."""
        for attempt in self._by_id.values():
            attempt.transmit(out, now=now)

    def next_timeout(self) -> float:
        """Return when an attempt has something to do, NEVER if there is none."""
        if not self._by_id:
            return NEVER
        return min(attempt.next_timeout() for attempt in self._by_id.values())

    def take_expired(self, *, now: float) -> list[Attempt]:
        """Drop the attempts whose time is over, and return them."""
        expired = [attempt for attempt in self._by_id.values() if attempt.deadline <= now]
        for attempt in expired:
            self.forget(attempt)
        return expired
