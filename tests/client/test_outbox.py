from __future__ import annotations

from clawchat.net.user_events import Accepted, Delivered, Refused, Said
from client.outbox import Outbox, Tick


def test_ticks_follow_the_receipts() -> None:
    box = Outbox()
    text = box.follow(Said("1", "hi", "lobby"), now=1.0)
    assert text is not None
    assert (text.tick, box.settled, box.all_accepted) == (Tick.SENT, False, False)
    box.follow(Accepted("1", 7, 2), now=1.1)
    assert (text.tick, box.settled, box.all_accepted) == (Tick.ACCEPTED, False, True)
    box.follow(Delivered("1", "ann", 1), now=1.2)
    assert (text.tick, text.open) == (Tick.ACCEPTED, True)
    box.follow(Delivered("1", "bob", 0), now=1.3)
    assert (text.tick, text.open, box.settled) == (Tick.DELIVERED, False, True)
    assert (box.sent, box.accepted, box.delivered) == (1, 1, 1)


def test_a_text_without_readers_is_done_when_the_server_has_it() -> None:
    box = Outbox()
    text = box.follow(Said("1", "hi", "lobby"), now=1.0)
    box.follow(Accepted("1", 7, 0), now=1.1)
    assert text is not None
    assert (text.tick, text.open) == (Tick.ACCEPTED, False)
    assert box.settled


def test_a_refused_text_is_settled_but_never_delivered() -> None:
    box = Outbox()
    text = box.follow(Said("1", "hi", None, "nobody"), now=1.0)
    box.follow(Refused("1", "nobody-of-that-name"), now=1.1)
    assert text is not None
    assert text.tick is Tick.REFUSED
    assert (box.settled, box.all_accepted, box.refused, box.delivered) == (True, True, 1, 0)


def test_receipts_of_nobodys_texts_change_nothing() -> None:
    box = Outbox()
    for event in (Accepted("9", 7, 0), Delivered("9", "ann", 0), Refused("join", "full")):
        assert box.follow(event, now=1.0) is None
    assert (box.sent, box.accepted, box.refused, box.waiting_after("9")) == (0, 0, 0, 0)
