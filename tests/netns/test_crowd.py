"""Many clients at once: each is served as if it were alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.netns.ground import Ground

pytestmark = pytest.mark.netns

CROWD = 50


def test_fifty_clients_talk_at_the_same_time(ground: Ground, figure: Callable[[str], None]) -> None:
    server, client = ground.start_server(), ground.start_client()
    talked = client.ask("crowd", count=CROWD, size=300_000)
    facts = server.ask("facts")
    assert talked["right"] == CROWD
    assert facts["sessions"] == 0  # each said goodbye, and is forgotten
    assert set(facts["drops"]) <= {"full", "budget", "unknown", "repeat"}
    figure(f"{CROWD} clients in {talked['seconds']:.2f} s; the server refused {facts['drops']}")
