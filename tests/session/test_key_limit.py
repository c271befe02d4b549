"""No key seals more packets than it may: the session ends before, and both ends know why."""

from __future__ import annotations

import pytest

from clawchat.session import keys
from clawchat.session.outbound import FAREWELL_PACKETS
from clawchat.values.errors import PeerClosed
from clawchat.values.events import SessionEnded
from clawchat.wire.frames import CloseCode
from tests.session.test_transfer import content
from tests.support.pair import Pair

LIMIT = FAREWELL_PACKETS + 500


def test_a_session_ends_before_its_key_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MAX_EPOCH_PACKETS", LIMIT)
    pair = Pair().handshake()
    pair.client.open(content("up", 3_000_000))
    pair.drive(until=lambda: bool(pair.server.told(SessionEnded)), limit=60)
    [ended] = pair.server.told(SessionEnded)
    assert isinstance(ended.error, PeerClosed)
    assert ended.error.close_code == CloseCode.KEY_EXHAUSTED
    assert len(pair.client.told(SessionEnded)) == 1
    assert 500 <= sum(-(-len(sent.data) // 1472) for sent in pair.sent_by(pair.client)) < LIMIT
