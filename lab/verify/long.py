"""Half one of the proof for captures of any length: each part is opened and let go, only nonces are remembered."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clawchat.crypto.keylog import KeyRing
from lab.verify.frames import Class
from lab.verify.opening import Reason, Sealed, open_all
from lab.verify.reading import in_parts

PART: Final = 8192
"""Frames that are opened at once."""


@dataclass(slots=True)
class Tally:
    """What became of the datagrams of a long capture."""

    datagrams: int = 0
    proven: int = 0
    epochs: set[tuple[bytes, int]] = field(default_factory=set)
    """The ids that data packets were for, each with its epochs."""
    failures: Counter[Reason] = field(default_factory=Counter)
    lost: int = 0
    """Frames that are missing in the capture, or are not whole."""

    @property
    def holds(self) -> bool:
        """Tell whether every datagram opened under exactly one key, each with a nonce of its own."""
        return self.proven == self.datagrams > 0 and not self.failures and not self.lost


def prove_long(file: Path, ring: KeyRing) -> Tally:
    """Open all of a capture that saw each datagram once. Raises ConfigError if it can't be read."""
    tally, sealed = Tally(), Sealed()
    for part in in_parts(file, PART):
        opening = open_all(part.udp, ring, sealed)
        datagrams = {packet.payload for packet in part.udp}
        bad = {failure.payload for failure in opening.failures} | {packet.payload for packet in opening.closed}
        tally.datagrams += len(datagrams)
        tally.proven += len(datagrams - bad)
        tally.epochs |= opening.ids
        tally.failures.update(failure.reason for failure in opening.failures)
        tally.failures.update(Reason.CLOSED for _ in opening.closed)
        tally.lost += part.lost + len(part.cut) + sum(part.others[kind] for kind in (Class.CUT, Class.FRAGMENT))
    return tally
