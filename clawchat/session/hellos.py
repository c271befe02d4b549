"""Which HELLOs a slot has seen: a repeated one gets no second answer, not even after a restart."""

from __future__ import annotations

from typing import Final

from clawchat.values.errors import BadDatagram
from clawchat.values.limits import MAX_SEEN_HELLOS

BUCKET_SECONDS: Final = 600
"""A HELLO to a reusable slot names the ten minutes it was made in (of Unix time)."""

BUCKET_SLACK: Final = 1
"""So many buckets a client's clock may be off, either way."""

_REMEMBERED: Final = 2 * BUCKET_SLACK + 2
"""Buckets of arrival that are remembered: as long as any HELLO in them could still be repeated with success."""


class SeenHellos:
    """The ephemeral keys of accepted HELLOs.

    A slot for one client lives for minutes and remembers all of them. A reusable slot lives for months: its HELLOs
    carry a time, and what is too old to be accepted need not be remembered.
    """

    __slots__ = ("_buckets", "_reusable")

    def __init__(self, *, reusable: bool) -> None:
        self._reusable = reusable
        self._buckets: dict[int, set[bytes]] = {}

    def check(self, ephemeral: bytes) -> None:
        """Refuse a repeated HELLO, and any when the holder of a slot floods it. Raises BadDatagram."""
        if any(ephemeral in seen for seen in self._buckets.values()):
            raise BadDatagram("repeat")
        if not self._reusable and sum(map(len, self._buckets.values())) >= MAX_SEEN_HELLOS:
            raise BadDatagram("flood")

    def judge(self, claimed: int | None, bucket: int) -> None:
        """Refuse a HELLO to a reusable slot that was not made about now. Raises BadDatagram."""
        if self._reusable and (claimed is None or abs(claimed - bucket) > BUCKET_SLACK):
            raise BadDatagram("bucket")

    def add(self, ephemeral: bytes, bucket: int) -> None:
        """Remember an accepted HELLO."""
        if self._reusable and bucket not in self._buckets:
            self._buckets = {held: seen for held, seen in self._buckets.items() if held > bucket - _REMEMBERED}
        self._buckets.setdefault(bucket if self._reusable else 0, set()).add(ephemeral)
