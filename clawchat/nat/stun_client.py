"""Ask STUN servers and repeat what gets lost (RFC 8489 section 6.2.1); believe only who was asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from clawchat.nat.stun import (
    TRANSACTION_BYTES,
    UNKNOWN_ATTRIBUTE,
    Change,
    Reply,
    decode_reply,
    encode_request,
    transaction_of,
)
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram
from clawchat.values.timers import NEVER

FIRST_WAIT: Final = 0.5
"""RFC 8489 section 6.2.1: RTO, doubled after each request."""

MAX_REQUESTS: Final = 7
"""RFC 8489 section 6.2.1: Rc."""

LAST_WAIT: Final = 16
"""RFC 8489 section 6.2.1: Rm, how many first waits the last request is given."""


class Outgoing(NamedTuple):
    """A datagram to be sent."""

    data: bytes
    remote: Address


class Result(NamedTuple):
    """How a question ended: with a reply, or without one after every try."""

    number: int
    server: Address
    change: Change
    reply: Reply | None
    asked_at: float
    """When the first request left; later ones use the same mapping of a NAT."""

    ended_at: float
    requests: int


@dataclass(slots=True)
class _Question:
    number: int
    server: Address
    change: Change
    datagram: bytes
    asked_at: float
    due_at: float
    requests: int = 0


class StunClient:
    """Any number of questions at once. Ask, send what ``transmits`` returns, hand in what arrives, take ``results``.

    ``requests`` and ``first_wait`` (seconds) are the standard's unless an answer is worth less patience.
    """

    def __init__(
        self, *, random: Callable[[int], bytes], requests: int = MAX_REQUESTS, first_wait: float = FIRST_WAIT
    ) -> None:
        self._random = random
        self._requests = requests
        self._first_wait = first_wait
        self._questions: dict[bytes, _Question] = {}
        self._results: deque[Result] = deque()
        self._count = 0

    @property
    def idle(self) -> bool:
        """Tell whether no question is open."""
        return not self._questions

    def ask(self, server: Address, change: Change = Change.NOTHING, *, now: float) -> int:
        """Begin a question and return its number."""
        transaction = self._random(TRANSACTION_BYTES)
        number = self._count
        self._count += 1
        self._questions[transaction] = _Question(
            number, server, change, encode_request(transaction, change), asked_at=now, due_at=now
        )
        return number

    def give_up(self, *, now: float) -> None:
        """End every open question without a reply."""
        for transaction in list(self._questions):
            self._end(transaction, None, now)

    def transmits(self, *, now: float) -> list[Outgoing]:
        """Return the requests that are due; a question whose last wait is over ends."""
        due = [(transaction, each) for transaction, each in self._questions.items() if each.due_at <= now]
        outgoing = []
        for transaction, question in due:
            if question.requests == self._requests:
                self._end(transaction, None, now)
                continue
            question.requests += 1
            waits = LAST_WAIT if question.requests == MAX_REQUESTS else 1 << question.requests - 1
            question.due_at = now + waits * self._first_wait
            outgoing.append(Outgoing(question.datagram, question.server))
        return outgoing

    def next_timeout(self) -> float:
        """Return when to call ``transmits`` again, ``NEVER`` when nothing is open."""
        return min((each.due_at for each in self._questions.values()), default=NEVER)

    def receive(self, data: bytes, source: Address, *, now: float) -> None:
        """Take an answer in. Raises BadDatagram for what answers no open question, or comes from elsewhere."""
        transaction = transaction_of(data)
        question = self._questions.get(transaction)
        if question is None:
            raise BadDatagram("stun")
        reply = decode_reply(data)
        if question.change and source == question.server:
            # refused, or ignored: either way it says nothing of what a change would have shown
            reply = Reply(error=reply.error or UNKNOWN_ATTRIBUTE, reason=reply.reason)
        elif not _comes_from(question, source):
            raise BadDatagram("stun")
        self._end(transaction, reply, now)

    def results(self) -> Iterator[Result]:
        """Take the questions that have ended, in the order in which they did."""
        while self._results:
            yield self._results.popleft()

    def _end(self, transaction: bytes, reply: Reply | None, now: float) -> None:
        question = self._questions.pop(transaction)
        self._results.append(
            Result(question.number, question.server, question.change, reply, question.asked_at, now, question.requests)
        )


def _comes_from(question: _Question, source: Address) -> bool:
    """Tell whether an answer comes from where it must: the server, except for what it was asked to change."""
    server, change = question.server, question.change
    return (source.host != server.host) is bool(change & Change.IP) and (
        (source.port != server.port) is bool(change & Change.PORT)
    )
