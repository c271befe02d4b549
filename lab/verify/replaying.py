"""Replay what was recorded against a server that runs: nothing of it may be answered."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

BATCH: Final = 32
"""Datagrams sent before answers are looked for."""

PAUSE: Final = 0.002
"""Seconds between two batches, so that no buffer overflows on the way and hides what a server would answer."""

MAX_DATAGRAM: Final = 65_535


class Replayed(NamedTuple):
    """What became of a replay."""

    sent: int
    answers: tuple[bytes, ...]
    refusals: int
    """How often the host said that nobody listens there: then silence shows nothing."""


def replay(payloads: Sequence[bytes], target: tuple[str, int], *, wait: float) -> Replayed:
    """Send each payload to the target from a port of our own, and take what comes back until a while after."""
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    answers: list[bytes] = []
    refusals = 0
    with socket.socket(family, socket.SOCK_DGRAM) as end:
        end.connect(target)
        end.setblocking(False)

        def listen(seconds: float) -> None:
            nonlocal refusals
            until = time.monotonic() + seconds
            while select.select([end], [], [], max(until - time.monotonic(), 0.0))[0]:
                try:
                    answers.append(end.recv(MAX_DATAGRAM))
                except ConnectionRefusedError:
                    refusals += 1

        for number, payload in enumerate(payloads, 1):
            try:
                end.send(payload)
            except ConnectionRefusedError:
                refusals += 1
            if number % BATCH == 0:
                listen(PAUSE)
        listen(wait)
    return Replayed(len(payloads), tuple(answers), refusals)
