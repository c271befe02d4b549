"""The in-memory pair whose responder is measured."""

from __future__ import annotations

from lab.bench.handshakes import Pair


def test_every_client_of_a_group_joins_and_the_responder_is_charged_for_it() -> None:
    pair = Pair()
    assert pair.join(3, now=100.0) == 3
    assert len(pair.server.sessions) == 3
    assert pair.server_cpu > 0
