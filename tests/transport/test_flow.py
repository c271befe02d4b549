from __future__ import annotations

import pytest

from clawchat.transport import ReceiveWindow, SendWindow
from clawchat.values.errors import ProtocolViolation
from clawchat.wire.frames import CloseCode


def test_a_send_window_counts_down_and_is_raised() -> None:
    window = SendWindow(100)
    window.spend(60)
    assert window.available == 40
    assert window.raise_to(150)
    assert window.available == 90


def test_an_older_limit_changes_nothing() -> None:
    window = SendWindow(100)
    assert not window.raise_to(100)
    assert not window.raise_to(50)
    assert window.limit == 100


def test_a_peer_may_use_its_window_to_the_last_byte() -> None:
    window = ReceiveWindow(100, 1000)
    window.receive(100)
    with pytest.raises(ProtocolViolation) as violation:
        window.receive(1)
    assert violation.value.code == CloseCode.FLOW_CONTROL
    assert window.received == 100


def test_a_limit_is_due_when_half_is_consumed() -> None:
    window = ReceiveWindow(100, 1000)
    window.receive(100)
    due = []
    for size in (49, 1):
        window.consume(size)
        due.append(window.due)
    assert due == [False, True]
    assert window.advance(now=1.0, rtt=0.1) == 150
    assert not window.due


def test_a_window_used_up_quickly_doubles_to_its_maximum() -> None:
    window = ReceiveWindow(100, 350)
    now = 0.0
    sizes = []
    for _ in range(5):
        now += 0.1
        window.consume(window.limit - window.consumed)
        window.advance(now=now, rtt=0.1)
        sizes.append(window.window)
    assert sizes == [100, 200, 350, 350, 350]


def test_a_window_used_up_slowly_stays() -> None:
    window = ReceiveWindow(100, 1000)
    for turn in range(5):
        window.consume(window.limit - window.consumed)
        window.advance(now=turn * 0.3, rtt=0.1)
    assert window.window == 100


def test_on_a_very_short_path_the_timer_grain_decides() -> None:
    window = ReceiveWindow(100, 1000)
    window.advance(now=1.0, rtt=1e-5)
    window.advance(now=1.0015, rtt=1e-5)
    assert window.window == 200


def test_the_limit_never_falls() -> None:
    window = ReceiveWindow(100, 1000)
    window.consume(100)
    window.advance(now=1.0, rtt=0.1)
    window.window = 10
    assert window.advance(now=9.0, rtt=0.1) == 200
